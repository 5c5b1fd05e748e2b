"""How every key of a stack is made."""

import pulumi
from pulumi_aws import kms

from ..naming import SHARED, DataClass, RegionNames

DELETION_DAYS = 30
"""Days between the order to delete a key and its end: the longest that KMS offers."""


def rotated_key(
    resource: str,
    *,
    parent: pulumi.Resource,
    names: RegionNames,
    description: str,
    alias: str,
    policy: pulumi.Input[str],
    data_class: DataClass,
    customer: str = SHARED,
    protect: bool = True,
) -> kms.Key:
    """Declare a symmetric key of this region alone, rotated every year, with its alias.

    Without `protect` Pulumi orders the key's deletion once it is declared no more.
    """
    key = kms.Key(
        resource,
        description=description,
        key_usage="ENCRYPT_DECRYPT",
        customer_master_key_spec="SYMMETRIC_DEFAULT",
        multi_region=False,
        enable_key_rotation=True,
        deletion_window_in_days=DELETION_DAYS,
        policy=policy,
        tags=names.tags(data_class, customer),
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    key_alias(resource, parent=parent, names=names, alias=alias, key_id=key.key_id)
    return key


def key_alias(
    resource: str, *, parent: pulumi.Resource, names: RegionNames, alias: str, key_id: pulumi.Input[str]
) -> None:
    """Declare a key's alias."""
    kms.Alias(
        f"{resource}-alias",
        name=f"alias/{names.name(alias)}",
        target_key_id=key_id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
