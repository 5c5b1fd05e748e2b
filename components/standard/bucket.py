"""Buckets that keep data, all with the same protection."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi
from pulumi_aws import s3


def protected_bucket(
    resource: str,
    *,
    parent: pulumi.Resource,
    bucket: str,
    tags: Mapping[str, str],
    key_arn: pulumi.Output[str],
    policy: Callable[[str], str],
    rules: Sequence[s3.BucketLifecycleConfigurationRuleArgs],
    protect: bool = True,
    **more: Any,  # noqa: ANN401 - further arguments of the bucket itself
) -> tuple[s3.Bucket, s3.BucketVersioning]:
    """Declare a versioned bucket under its own key that nobody can make public, with its lifecycle rules.

    `policy` makes the bucket's policy of the key's ARN. Without `protect` Pulumi removes the bucket once it
    is declared no more. Return the bucket, and its versioning: what needs a versioned bucket depends on it.
    """
    child = pulumi.ResourceOptions(parent=parent)
    made = s3.Bucket(
        f"{resource}-bucket",
        bucket=bucket,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
        **more,
    )
    blocked = s3.BucketPublicAccessBlock(
        f"{resource}-public-access",
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=child,
    )
    s3.BucketOwnershipControls(
        f"{resource}-ownership",
        bucket=made.bucket,
        rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=child,
    )
    versioning = s3.BucketVersioning(
        f"{resource}-versioning",
        bucket=made.bucket,
        versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=child,
    )
    s3.BucketServerSideEncryptionConfiguration(
        f"{resource}-encryption",
        bucket=made.bucket,
        rules=[
            s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                    sse_algorithm="aws:kms", kms_master_key_id=key_arn
                ),
                bucket_key_enabled=True,
            )
        ],
        opts=child,
    )
    s3.BucketPolicy(
        f"{resource}-bucket-policy",
        bucket=made.bucket,
        policy=key_arn.apply(policy),
        # S3 answers OperationAborted where both change at the same time.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[blocked]),
    )
    s3.BucketLifecycleConfiguration(
        f"{resource}-lifecycle",
        bucket=made.bucket,
        rules=rules,
        # Rules for noncurrent versions need a versioned bucket.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
    return made, versioning
