"""KMS keys and aliases."""

from local.deploy.creator import Aws, Creator, Inputs, Made, picked, properties, tag_list


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


def _alias(aws: Aws, _name: str, inputs: Inputs) -> Made:
    kms = aws.client("kms")
    kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    target = kms.describe_key(KeyId=inputs["targetKeyId"])["KeyMetadata"]["Arn"]
    return Made(inputs["name"], {"arn": aws.arn("kms", inputs["name"]), "targetKeyArn": target})


CREATORS = (
    Creator(
        token="aws:kms/key:Key",
        create=_key,
        properties=properties(
            "description keyUsage customerMasterKeySpec multiRegion policy tags enableKeyRotation "
            "rotationPeriodInDays"
        ),
        without_effect={
            "deletionWindowInDays": "only `pulumi destroy` uses it",
            "bypassPolicyLockoutSafetyCheck": "the emulator makes no such check",
            "isEnabled": "a new key is enabled",
        },
    ),
    Creator(token="aws:kms/alias:Alias", create=_alias, properties=properties("name targetKeyId")),
)
