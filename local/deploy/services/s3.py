"""S3 buckets and what hangs on them."""

from typing import Any

from local.deploy.creator import Aws, Creator, Inputs, Made, known_keys, pascal, picked, properties, tag_list


def _bucket(aws: Aws, name: str, inputs: Inputs) -> Made:
    s3 = aws.client("s3")
    bucket = inputs.get("bucket") or name
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


CREATORS = (
    Creator(
        token="aws:s3/bucket:Bucket",
        create=_bucket,
        properties=properties("bucket tags objectLockEnabled"),
        without_effect={"forceDestroy": "only `pulumi destroy` uses it"},
    ),
    Creator(
        token="aws:s3/bucketVersioning:BucketVersioning",
        create=_versioning,
        properties=properties("bucket versioningConfiguration"),
    ),
    Creator(
        token="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        create=_encryption,
        properties=properties("bucket rules"),
    ),
    Creator(
        token="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        create=_lifecycle,
        properties=properties("bucket rules"),
        without_effect={
            "transitionDefaultMinimumObjectSize": "the emulator stores lifecycle rules, it runs none"
        },
    ),
    Creator(
        token="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        create=_public_access_block,
        properties=properties(
            "bucket blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets"
        ),
        without_effect={"skipDestroy": "only `pulumi destroy` uses it"},
    ),
    Creator(
        token="aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        create=_ownership,
        properties=properties("bucket rule"),
    ),
    Creator(
        token="aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        create=_object_lock,
        properties=properties("bucket rule"),
    ),
    Creator(token="aws:s3/bucketPolicy:BucketPolicy", create=_policy, properties=properties("bucket policy")),
    Creator(
        token="aws:s3/bucketNotification:BucketNotification",
        create=_notification,
        properties=properties("bucket queues"),
    ),
)
