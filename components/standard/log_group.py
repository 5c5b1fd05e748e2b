"""How every log group of a stack is made."""

import pulumi
from pulumi_aws import cloudwatch

from ..ground import Ground

RETENTION_DAYS = 90
"""Days that log lines are kept. They hold ids, counts and subject references, never personal data."""


def encrypted_log_group(
    resource: str, *, parent: pulumi.Resource, ground: Ground, group: str
) -> cloudwatch.LogGroup:
    """Declare a log group under the region's key."""
    return cloudwatch.LogGroup(
        resource,
        name=group,
        kms_key_id=ground.region_key_arn,
        retention_in_days=RETENTION_DAYS,
        tags=ground.names.tags("pseudonymous"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
