"""What exists once an account (and region), made only by the stack whose config says so.

Two stacks that both made it would take it from each other at every deployment.
"""

from dataclasses import dataclass

import pulumi
from pulumi_aws import apigateway, iam, s3

from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..settings.settings import Account

LOG_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
"""AWS's own policy for this, the one that it documents."""


@dataclass(frozen=True, kw_only=True)
class AccountSettingsArgs:
    """Which of the two this stack makes, as its config says."""

    ground: Ground
    account: Account


class AccountSettings(pulumi.ComponentResource):
    """API Gateway's log role (once an account and region) and the public access block (once an account)."""

    def __init__(
        self, name: str, args: AccountSettingsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:account:AccountSettings", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if args.account.api_gateway_log_role:
            role = iam.Role(
                f"{name}-gateway-logs",
                name=args.ground.names.name("api-gateway-logs"),
                assume_role_policy=document(trust.by_api_gateway()),
                tags=args.ground.names.tags("operational"),
                opts=child,
            )
            attached = iam.RolePolicyAttachment(
                f"{name}-gateway-logs-policy", role=role.name, policy_arn=LOG_POLICY, opts=child
            )
            apigateway.Account(
                f"{name}-gateway",
                cloudwatch_role_arn=role.arn,
                # API Gateway tries the role when it is set.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[attached]),
            )
        if args.account.block_public_s3:
            s3.AccountPublicAccessBlock(
                f"{name}-public-access",
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
                opts=child,
            )
        self.register_outputs({})
