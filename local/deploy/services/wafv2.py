"""WAF web ACLs."""

from collections.abc import Mapping
from typing import Any

from local.deploy.creator import Aws, Creator, Inputs, Made, picked, properties, tag_list

_SPELLED_OTHERWISE = {
    "arn": "ARN",
    "cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled",
    "ipSetReferenceStatement": "IPSetReferenceStatement",
    "jsonBody": "JsonBody",
}


def _theirs(value: Any) -> Any:
    """Pulumi's structure under boto3's names; boto3 refuses what it does not know."""
    if isinstance(value, Mapping):
        return {
            _SPELLED_OTHERWISE.get(key, key[0].upper() + key[1:]): _theirs(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_theirs(inner) for inner in value]
    return value


def _web_acl(aws: Aws, name: str, inputs: Inputs) -> Made:
    bodies = {
        body["key"]: picked(body, Content="content", ContentType="contentType")
        for body in inputs.get("customResponseBodies") or []
    }
    tags = {"Tags": tag_list(inputs)} if inputs.get("tags") else {}  # an empty list is refused
    web_acl = aws.client("wafv2").create_web_acl(
        Name=inputs.get("name") or name,
        Scope=inputs["scope"],
        DefaultAction=_theirs(inputs["defaultAction"]),
        VisibilityConfig=_theirs(inputs["visibilityConfig"]),
        Rules=_theirs(inputs.get("rules") or []),
        **picked(inputs, Description="description"),
        **({"CustomResponseBodies": bodies} if bodies else {}),
        **tags,
    )["Summary"]
    return Made(web_acl["Id"], {"arn": web_acl["ARN"], "name": web_acl["Name"]})


def _association(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("wafv2").associate_web_acl(WebACLArn=inputs["webAclArn"], ResourceArn=inputs["resourceArn"])
    return Made(f"{inputs['webAclArn']},{inputs['resourceArn']}")


CREATORS = (
    Creator(
        token="aws:wafv2/webAcl:WebAcl",
        create=_web_acl,
        properties=properties(
            "name scope description defaultAction visibilityConfig rules customResponseBodies tags"
        ),
        without_effect={"dataProtectionConfig": "the emulator keeps no WAF logs"},
    ),
    Creator(
        token="aws:wafv2/webAclAssociation:WebAclAssociation",
        create=_association,
        properties=properties("webAclArn resourceArn"),
    ),
)
