"""S3 buckets and what hangs on them."""

from collections.abc import Callable
from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    DeploymentError,
    Existing,
    Inputs,
    Made,
    again,
    gone_is_fine,
    if_there,
    known_keys,
    pascal,
    picked,
    properties,
    tag_list,
)

_GONE = "NoSuchBucket"


def _bucket(aws: Aws, name: str, inputs: Inputs) -> Made:
    s3 = aws.client("s3")
    bucket = inputs.get("bucket") or name
    if inputs.get("forceDestroy"):
        raise DeploymentError(f"aws:s3/bucket:Bucket {name!r}: forceDestroy is not known here")
    place: dict[str, Any] = {}
    if aws.region != "us-east-1":  # the one region that S3 wants unsaid
        place = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    s3.create_bucket(Bucket=bucket, **picked(inputs, ObjectLockEnabledForBucket="objectLockEnabled"), **place)
    if inputs.get("tags"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_list(inputs)})
    return Made(
        bucket,
        {
            "bucket": bucket,
            "arn": f"arn:aws:s3:::{bucket}",
            "bucketDomainName": f"{bucket}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{bucket}.s3.{aws.region}.amazonaws.com",
            "region": aws.region,
        },
    )


def _read_bucket(aws: Aws, bucket: Existing) -> Existing | None:
    head = aws.client("s3").head_bucket  # its answer has no body, and so no code but the status
    return if_there(bucket, lambda: head(Bucket=bucket.id), "404")


def _update_bucket(aws: Aws, bucket: Existing, inputs: Inputs) -> Made:
    s3 = aws.client("s3")
    if inputs.get("tags"):
        s3.put_bucket_tagging(Bucket=bucket.id, Tagging={"TagSet": tag_list(inputs)})
    else:
        s3.delete_bucket_tagging(Bucket=bucket.id)
    return bucket.unchanged


def _delete_bucket(aws: Aws, bucket: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("s3").delete_bucket(Bucket=bucket.id)  # refused while anything is in it


def _versioning(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("s3").put_bucket_versioning(
        Bucket=inputs["bucket"], VersioningConfiguration=pascal(inputs["versioningConfiguration"])
    )
    return Made(inputs["bucket"])


def _encryption(aws: Aws, name: str, inputs: Inputs) -> Made:
    rules = []
    for rule in inputs["rules"]:
        known_keys(name, rule, "applyServerSideEncryptionByDefault bucketKeyEnabled blockedEncryptionTypes")
        default = rule["applyServerSideEncryptionByDefault"]
        known_keys(name, default, "sseAlgorithm kmsMasterKeyId")
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": picked(
                    default, SSEAlgorithm="sseAlgorithm", KMSMasterKeyID="kmsMasterKeyId"
                ),
                **picked(rule, BucketKeyEnabled="bucketKeyEnabled"),
            }
        )
    aws.client("s3").put_bucket_encryption(
        Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
    )
    return Made(inputs["bucket"])


def _lifecycle(aws: Aws, _name: str, inputs: Inputs) -> Made:
    rules = []
    for rule in inputs["rules"]:
        theirs = pascal({key: value for key, value in rule.items() if key != "id"})
        if "id" in rule:
            theirs["ID"] = rule["id"]
        rules.append(theirs)
    aws.client("s3").put_bucket_lifecycle_configuration(
        Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
    )
    return Made(inputs["bucket"])


def _public_access_block(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("s3").put_public_access_block(
        Bucket=inputs["bucket"],
        PublicAccessBlockConfiguration=picked(
            inputs,
            BlockPublicAcls="blockPublicAcls",
            BlockPublicPolicy="blockPublicPolicy",
            IgnorePublicAcls="ignorePublicAcls",
            RestrictPublicBuckets="restrictPublicBuckets",
        ),
    )
    return Made(inputs["bucket"])


def _ownership(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("s3").put_bucket_ownership_controls(
        Bucket=inputs["bucket"], OwnershipControls={"Rules": [pascal(inputs["rule"])]}
    )
    return Made(inputs["bucket"])


def _policy(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])
    return Made(inputs["bucket"])


def _object_lock(aws: Aws, name: str, inputs: Inputs) -> Made:
    known_keys(name, inputs["rule"], "defaultRetention")
    aws.client("s3").put_object_lock_configuration(
        Bucket=inputs["bucket"],
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": pascal(inputs["rule"]["defaultRetention"])},
        },
    )
    return Made(inputs["bucket"])


def _notification(aws: Aws, name: str, inputs: Inputs) -> Made:
    queues = []
    for queue in inputs["queues"]:
        known_keys(name, queue, "id queueArn events filterPrefix filterSuffix")
        rules = [
            {"Name": kind, "Value": queue[key]}
            for kind, key in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
            if queue.get(key)
        ]
        queues.append(
            {
                **picked(queue, Id="id", QueueArn="queueArn", Events="events"),
                **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {}),
            }
        )
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=inputs["bucket"], NotificationConfiguration={"QueueConfigurations": queues}
    )
    return Made(inputs["bucket"])


def _suspend_versioning(aws: Aws, versioning: Existing) -> None:
    if versioning.inputs["versioningConfiguration"]["status"] == "Enabled":
        with gone_is_fine(_GONE):
            aws.client("s3").put_bucket_versioning(
                Bucket=versioning.id, VersioningConfiguration={"Status": "Suspended"}
            )


def _delete_public_access_block(aws: Aws, block: Existing) -> None:
    if not block.inputs.get("skipDestroy"):
        with gone_is_fine(_GONE):
            aws.client("s3").delete_public_access_block(Bucket=block.id)


def _forget_retention(aws: Aws, lock: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("s3").put_object_lock_configuration(
            Bucket=lock.id, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        )


def _stop_notifying(aws: Aws, notification: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("s3").put_bucket_notification_configuration(
            Bucket=notification.id, NotificationConfiguration={}
        )


def _read_by(operation: str, *unset: str) -> Callable[[Aws, Existing], Existing | None]:
    """The reading of a setting of a bucket by the operation of this name.

    It is gone where its bucket is gone, and with the codes that say that it is not set. For some settings
    there is no such code: for the provider, too, these are there for as long as the bucket is, with whatever
    value (every bucket is encrypted by some key since 2023).
    """

    def read(aws: Aws, setting: Existing) -> Existing | None:
        look = getattr(aws.client("s3"), operation)
        return if_there(setting, lambda: look(Bucket=setting.id), _GONE, *unset)

    return read


def _by(operation: str) -> Callable[[Aws, Existing], None]:
    """The deletion of a setting of a bucket by the operation of this name."""

    def delete(aws: Aws, setting: Existing) -> None:
        with gone_is_fine(_GONE):
            getattr(aws.client("s3"), operation)(Bucket=setting.id)

    return delete


CREATORS = (
    Creator(
        token="aws:s3/bucket:Bucket",
        create=_bucket,
        read=_read_bucket,
        properties=properties("bucket tags objectLockEnabled forceDestroy"),
        update=_update_bucket,
        updatable=properties("tags"),
        delete=_delete_bucket,
    ),
    Creator(
        token="aws:s3/bucketVersioning:BucketVersioning",
        create=_versioning,
        read=_read_by("get_bucket_versioning"),
        properties=properties("bucket versioningConfiguration"),
        update=again(_versioning),
        updatable=properties("versioningConfiguration"),
        delete=_suspend_versioning,
    ),
    Creator(
        token="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        create=_encryption,
        read=_read_by("get_bucket_encryption"),
        properties=properties("bucket rules"),
        update=again(_encryption),
        updatable=properties("rules"),
        delete=_by("delete_bucket_encryption"),
    ),
    Creator(
        token="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        create=_lifecycle,
        read=_read_by("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        properties=properties("bucket rules"),
        update=again(_lifecycle),
        updatable=properties("rules"),
        delete=_by("delete_bucket_lifecycle"),
        without_effect={
            "transitionDefaultMinimumObjectSize": "the emulator stores lifecycle rules, it runs none"
        },
    ),
    Creator(
        token="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        create=_public_access_block,
        read=_read_by("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
        properties=properties(
            "bucket blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets skipDestroy"
        ),
        update=again(_public_access_block),
        updatable=properties(
            "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets skipDestroy"
        ),
        delete=_delete_public_access_block,
    ),
    Creator(
        token="aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        create=_ownership,
        read=_read_by("get_bucket_ownership_controls", "OwnershipControlsNotFoundError"),
        properties=properties("bucket rule"),
        update=again(_ownership),
        updatable=properties("rule"),
        delete=_by("delete_bucket_ownership_controls"),
    ),
    Creator(
        token="aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        create=_object_lock,
        read=_read_by("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        properties=properties("bucket rule"),
        update=again(_object_lock),
        updatable=properties("rule"),
        delete=_forget_retention,
    ),
    Creator(
        token="aws:s3/bucketPolicy:BucketPolicy",
        create=_policy,
        read=_read_by("get_bucket_policy", "NoSuchBucketPolicy"),
        properties=properties("bucket policy"),
        update=again(_policy),
        updatable=properties("policy"),
        delete=_by("delete_bucket_policy"),
    ),
    Creator(
        token="aws:s3/bucketNotification:BucketNotification",
        create=_notification,
        read=_read_by("get_bucket_notification_configuration"),
        properties=properties("bucket queues"),
        update=again(_notification),
        updatable=properties("queues"),
        delete=_stop_notifying,
    ),
)
