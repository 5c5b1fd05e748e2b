"""How every table of a stack is made."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import dynamodb

from ..naming import SHARED, DataClass, RegionNames

BACKUP_DAYS = 7
"""Point-in-time recovery window in days: what was erased can be restored for so long, and no longer."""


def protected_table(
    resource: str,
    *,
    parent: pulumi.Resource,
    names: RegionNames,
    table: str,
    key_arn: pulumi.Input[str],
    data_class: DataClass,
    customer: str = SHARED,
    range_key: str | None = None,
    expires: bool = False,
    index: tuple[str, str, str] | None = None,
    protect: bool = True,
) -> dynamodb.Table:
    """Declare a table with hash key `pk`: encrypted, backed up for BACKUP_DAYS, protected from deletion.

    `expires` turns on time to live by `expires_at`. `index` is a sparse global index of keys only: its name,
    its hash key and its range key. Without `protect` Pulumi removes the table once it is declared no more.
    """
    attributes: Sequence[str] = ["pk", *([range_key] if range_key else []), *([index[1]] if index else [])]
    return dynamodb.Table(
        resource,
        name=table,
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        range_key=range_key,
        attributes=[dynamodb.TableAttributeArgs(name=name, type="S") for name in attributes],
        global_secondary_indexes=[
            dynamodb.TableGlobalSecondaryIndexArgs(
                name=index[0],
                key_schemas=[
                    dynamodb.TableGlobalSecondaryIndexKeySchemaArgs(attribute_name=index[1], key_type="HASH"),
                    dynamodb.TableGlobalSecondaryIndexKeySchemaArgs(
                        attribute_name=index[2], key_type="RANGE"
                    ),
                ],
                projection_type="KEYS_ONLY",
            )
        ]
        if index
        else None,
        ttl=dynamodb.TableTtlArgs(attribute_name="expires_at", enabled=True) if expires else None,
        point_in_time_recovery=dynamodb.TablePointInTimeRecoveryArgs(
            enabled=True, recovery_period_in_days=BACKUP_DAYS
        ),
        server_side_encryption=dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=key_arn),
        deletion_protection_enabled=True,
        tags=names.tags(data_class, customer),
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
