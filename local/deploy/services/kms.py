"""KMS keys and aliases."""

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

_GONE = "NotFoundException"

_GOING = ("PendingDeletion", "PendingReplicaDeletion")
"""States of a key of which the provider says that it is gone (its findKeyByID)."""


def _key(aws: Aws, _name: str, inputs: Inputs) -> Made:
    kms = aws.client("kms")
    key = kms.create_key(
        **picked(
            inputs,
            Description="description",
            KeyUsage="keyUsage",
            KeySpec="customerMasterKeySpec",
            MultiRegion="multiRegion",
            Policy="policy",
        ),
        Tags=tag_list(inputs, "TagKey", "TagValue"),
    )["KeyMetadata"]
    if inputs.get("enableKeyRotation"):
        kms.enable_key_rotation(
            KeyId=key["KeyId"], **picked(inputs, RotationPeriodInDays="rotationPeriodInDays")
        )
    return Made(key["KeyId"], {"arn": key["Arn"], "keyId": key["KeyId"]})


def _read_key(aws: Aws, key: Existing) -> Existing | None:
    def look() -> bool:
        return aws.client("kms").describe_key(KeyId=key.id)["KeyMetadata"]["KeyState"] not in _GOING

    return if_there(key, look, _GONE)


def _update_key(aws: Aws, key: Existing, inputs: Inputs) -> Made:
    kms = aws.client("kms")

    def changed(name: str) -> bool:
        return bool(inputs.get(name) != key.inputs.get(name))

    if changed("description"):
        kms.update_key_description(KeyId=key.id, Description=inputs.get("description") or "")
    if changed("policy"):
        kms.put_key_policy(KeyId=key.id, PolicyName="default", Policy=inputs["policy"])
    if changed("enableKeyRotation") or changed("rotationPeriodInDays"):
        if inputs.get("enableKeyRotation"):
            kms.enable_key_rotation(
                KeyId=key.id, **picked(inputs, RotationPeriodInDays="rotationPeriodInDays")
            )
        else:
            kms.disable_key_rotation(KeyId=key.id)
    retag(
        key,
        inputs,
        tag=lambda tags: kms.tag_resource(KeyId=key.id, Tags=tag_list({"tags": tags}, "TagKey", "TagValue")),
        untag=lambda names: kms.untag_resource(KeyId=key.id, TagKeys=names),
    )
    return key.unchanged


def _delete_key(aws: Aws, key: Existing) -> None:
    kms = aws.client("kms")
    with gone_is_fine(_GONE):
        # Asked again, the emulator would begin the waiting period anew, where AWS refuses.
        if kms.describe_key(KeyId=key.id)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            kms.schedule_key_deletion(
                KeyId=key.id, **picked(key.inputs, PendingWindowInDays="deletionWindowInDays")
            )


def _alias(aws: Aws, _name: str, inputs: Inputs) -> Made:
    kms = aws.client("kms")
    kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    target = kms.describe_key(KeyId=inputs["targetKeyId"])["KeyMetadata"]["Arn"]
    return Made(inputs["name"], {"arn": aws.arn("kms", inputs["name"]), "targetKeyArn": target})


def _read_alias(aws: Aws, alias: Existing) -> Existing | None:
    """By its name alone: an alias outlives the day on which the deletion of its key is scheduled."""
    pages = aws.client("kms").get_paginator("list_aliases").paginate()
    return if_there(
        alias, lambda: any(each["AliasName"] == alias.id for page in pages for each in page["Aliases"])
    )


def _update_alias(aws: Aws, alias: Existing, inputs: Inputs) -> Made:
    kms = aws.client("kms")
    kms.update_alias(AliasName=alias.id, TargetKeyId=inputs["targetKeyId"])
    target = kms.describe_key(KeyId=inputs["targetKeyId"])["KeyMetadata"]["Arn"]
    return Made(alias.id, {**alias.outputs, "targetKeyArn": target})


def _delete_alias(aws: Aws, alias: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("kms").delete_alias(AliasName=alias.id)


CREATORS = (
    Creator(
        token="aws:kms/key:Key",
        create=_key,
        read=_read_key,
        properties=properties(
            "description keyUsage customerMasterKeySpec multiRegion policy tags enableKeyRotation "
            "rotationPeriodInDays deletionWindowInDays"
        ),
        update=_update_key,
        updatable=properties(
            "description policy tags enableKeyRotation rotationPeriodInDays deletionWindowInDays"
        ),
        delete=_delete_key,
        without_effect={
            "bypassPolicyLockoutSafetyCheck": "the emulator makes no such check",
            "isEnabled": "a new key is enabled",
        },
    ),
    Creator(
        token="aws:kms/alias:Alias",
        create=_alias,
        read=_read_alias,
        properties=properties("name targetKeyId"),
        update=_update_alias,
        updatable=properties("targetKeyId"),
        delete=_delete_alias,
    ),
)
