"""WAF web ACLs."""

from collections.abc import Mapping
from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    Existing,
    Inputs,
    Made,
    gone_is_fine,
    if_there,
    picked,
    properties,
    retag,
    tag_list,
)

_GONE = "WAFNonexistentItemException"

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


def _settings(inputs: Inputs) -> dict[str, Any]:
    bodies = {
        body["key"]: picked(body, Content="content", ContentType="contentType")
        for body in inputs.get("customResponseBodies") or []
    }
    return {
        "DefaultAction": _theirs(inputs["defaultAction"]),
        "VisibilityConfig": _theirs(inputs["visibilityConfig"]),
        "Rules": _theirs(inputs.get("rules") or []),
        **picked(inputs, Description="description"),
        **({"CustomResponseBodies": bodies} if bodies else {}),
    }


def _web_acl(aws: Aws, name: str, inputs: Inputs) -> Made:
    tags = {"Tags": tag_list(inputs)} if inputs.get("tags") else {}  # an empty list is refused
    web_acl = aws.client("wafv2").create_web_acl(
        Name=inputs.get("name") or name, Scope=inputs["scope"], **_settings(inputs), **tags
    )["Summary"]
    return Made(web_acl["Id"], {"arn": web_acl["ARN"], "name": web_acl["Name"]})


def _known_as(web_acl: Existing) -> dict[str, str]:
    return {"Name": web_acl.outputs["name"], "Scope": web_acl.inputs["scope"], "Id": web_acl.id}


def _read_web_acl(aws: Aws, web_acl: Existing) -> Existing | None:
    return if_there(web_acl, lambda: aws.client("wafv2").get_web_acl(**_known_as(web_acl)), _GONE)


def _update_web_acl(aws: Aws, web_acl: Existing, inputs: Inputs) -> Made:
    waf, arn = aws.client("wafv2"), web_acl.outputs["arn"]
    if _settings(inputs) != _settings(web_acl.inputs):
        lock = waf.get_web_acl(**_known_as(web_acl))["LockToken"]
        waf.update_web_acl(**_known_as(web_acl), LockToken=lock, **_settings(inputs))
    retag(
        web_acl,
        inputs,
        tag=lambda tags: waf.tag_resource(ResourceARN=arn, Tags=tag_list({"tags": tags})),
        untag=lambda keys: waf.untag_resource(ResourceARN=arn, TagKeys=keys),
    )
    return web_acl.unchanged


def _delete_web_acl(aws: Aws, web_acl: Existing) -> None:
    waf = aws.client("wafv2")
    with gone_is_fine(_GONE):
        waf.delete_web_acl(**_known_as(web_acl), LockToken=waf.get_web_acl(**_known_as(web_acl))["LockToken"])


def _read_association(aws: Aws, association: Existing) -> Existing | None:
    waf, resource = aws.client("wafv2"), association.inputs["resourceArn"]
    return if_there(
        association, lambda: waf.get_web_acl_for_resource(ResourceArn=resource).get("WebACL"), _GONE
    )


def _disassociate(aws: Aws, association: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("wafv2").disassociate_web_acl(ResourceArn=association.inputs["resourceArn"])


def _association(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("wafv2").associate_web_acl(WebACLArn=inputs["webAclArn"], ResourceArn=inputs["resourceArn"])
    return Made(f"{inputs['webAclArn']},{inputs['resourceArn']}")


CREATORS = (
    Creator(
        token="aws:wafv2/webAcl:WebAcl",
        create=_web_acl,
        read=_read_web_acl,
        properties=properties(
            "name scope description defaultAction visibilityConfig rules customResponseBodies tags"
        ),
        update=_update_web_acl,
        updatable=properties("description defaultAction visibilityConfig rules customResponseBodies tags"),
        delete=_delete_web_acl,
        without_effect={"dataProtectionConfig": "the emulator keeps no WAF logs"},
    ),
    Creator(
        token="aws:wafv2/webAclAssociation:WebAclAssociation",
        create=_association,
        read=_read_association,
        properties=properties("webAclArn resourceArn"),
        delete=_disassociate,
    ),
)
