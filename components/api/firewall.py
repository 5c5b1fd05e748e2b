"""The web application firewall before the API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import wafv2

from ..ground import Ground
from .responses import GATEWAY_RESPONSES

WINDOW_SECONDS = 300
REQUESTS_PER_ADDRESS = 30_000
"""Requests in a window from one address: customers' programs, and many of them behind one address."""

REQUESTS_PER_TOKEN = 15_000
"""Requests in a window with one access token."""

_DATA = "what people write may hold markup, paths and links: bodies are data here, never run"
_ID = "a record's id is the customer's, and may look like a file's name, a path or an address: it is a key"

COUNTED_RULES: Final[Mapping[str, str]] = {
    "SizeRestrictions_BODY": "a thousand subjects do not fit in the 8 KB that it lets through",
    "CrossSiteScripting_BODY": _DATA,
    "GenericLFI_BODY": _DATA,
    "GenericRFI_BODY": _DATA,
    "EC2MetaDataSSRF_BODY": _DATA,
    "RestrictedExtensions_URIPATH": f"{_ID}, such as session.log",
    "GenericLFI_URIPATH": f"{_ID}, such as a..b",
    "EC2MetaDataSSRF_URIPATH": f"{_ID}, such as 169.254.169.254",
    "NoUserAgent_HEADER": "customers' scripts need not name themselves",
}
"""Rules of AWS's common set that match legal input and so only count, each with the reason."""


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """The API's stage: the firewall looks at each request before it does."""

    ground: Ground
    stage_arn: pulumi.Input[str]


class Firewall(pulumi.ComponentResource):
    """Rate limits and AWS's common rules. Requests are neither sampled nor logged: they may name people."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:firewall:Firewall", name, None, opts)
        names = args.ground.names
        acl = wafv2.WebAcl(
            f"{name}-acl",
            name=names.prefix,
            scope="REGIONAL",
            default_action=wafv2.WebAclDefaultActionArgs(allow=wafv2.WebAclDefaultActionAllowArgs()),
            custom_response_bodies=[
                wafv2.WebAclCustomResponseBodyArgs(
                    key="too-many-requests",
                    content_type="APPLICATION_JSON",
                    # WAF fills nothing in: the problem goes without an instance. It offers no
                    # application/problem+json either.
                    content=json.dumps(
                        {
                            key: value
                            for key, value in json.loads(GATEWAY_RESPONSES["THROTTLED"].template).items()
                            if key != "instance"
                        }
                    ),
                )
            ],
            rules=[
                _rate_rule("rate-per-address", 0, _per_address()),
                _rate_rule("rate-per-token", 1, _per_token()),
                _common_rules(2),
            ],
            visibility_config=wafv2.WebAclVisibilityConfigArgs(
                # The metrics' dimension: two stacks in one region must not count together.
                cloudwatch_metrics_enabled=True,
                metric_name=names.prefix,
                sampled_requests_enabled=False,
            ),
            tags=names.tags("operational"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        wafv2.WebAclAssociation(
            f"{name}-association",
            resource_arn=args.stage_arn,
            web_acl_arn=acl.arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _visibility(metric: str) -> wafv2.WebAclRuleVisibilityConfigArgs:
    return wafv2.WebAclRuleVisibilityConfigArgs(
        cloudwatch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=False
    )


def _per_address() -> wafv2.WebAclRuleStatementRateBasedStatementArgs:
    return wafv2.WebAclRuleStatementRateBasedStatementArgs(
        aggregate_key_type="IP", limit=REQUESTS_PER_ADDRESS, evaluation_window_sec=WINDOW_SECONDS
    )


def _per_token() -> wafv2.WebAclRuleStatementRateBasedStatementArgs:
    return wafv2.WebAclRuleStatementRateBasedStatementArgs(
        aggregate_key_type="CUSTOM_KEYS",
        limit=REQUESTS_PER_TOKEN,
        evaluation_window_sec=WINDOW_SECONDS,
        custom_keys=[
            wafv2.WebAclRuleStatementRateBasedStatementCustomKeyArgs(
                header=wafv2.WebAclRuleStatementRateBasedStatementCustomKeyHeaderArgs(
                    name="authorization",
                    text_transformations=[
                        wafv2.WebAclRuleStatementRateBasedStatementCustomKeyHeaderTextTransformationArgs(
                            priority=0, type="NONE"
                        )
                    ],
                )
            )
        ],
    )


def _rate_rule(
    name: str, priority: int, statement: wafv2.WebAclRuleStatementRateBasedStatementArgs
) -> wafv2.WebAclRuleArgs:
    problem = GATEWAY_RESPONSES["THROTTLED"]
    return wafv2.WebAclRuleArgs(
        name=name,
        priority=priority,
        action=wafv2.WebAclRuleActionArgs(
            block=wafv2.WebAclRuleActionBlockArgs(
                custom_response=wafv2.WebAclRuleActionBlockCustomResponseArgs(
                    response_code=problem.status,
                    custom_response_body_key="too-many-requests",
                    response_headers=[
                        wafv2.WebAclRuleActionBlockCustomResponseResponseHeaderArgs(name=header, value=value)
                        for header, value in problem.sent_headers.items()
                    ],
                )
            )
        ),
        statement=wafv2.WebAclRuleStatementArgs(rate_based_statement=statement),
        visibility_config=_visibility(name),
    )


def _common_rules(priority: int) -> wafv2.WebAclRuleArgs:
    return wafv2.WebAclRuleArgs(
        name="common",
        priority=priority,
        override_action=wafv2.WebAclRuleOverrideActionArgs(
            none=wafv2.WebAclRuleOverrideActionNoneArgs()  # type: ignore[no-untyped-call]  # generated so
        ),
        statement=wafv2.WebAclRuleStatementArgs(
            managed_rule_group_statement=wafv2.WebAclRuleStatementManagedRuleGroupStatementArgs(
                vendor_name="AWS",
                name="AWSManagedRulesCommonRuleSet",
                rule_action_overrides=[
                    wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideArgs(
                        name=rule,
                        action_to_use=wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideActionToUseArgs(
                            count=wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideActionToUseCountArgs()
                        ),
                    )
                    for rule in COUNTED_RULES
                ],
            )
        ),
        visibility_config=_visibility("common"),
    )
