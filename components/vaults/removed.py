"""Customers about to be forgotten: their vault still holds data, and the config names them no more."""

from collections.abc import Iterable

import pulumi
import pulumi_aws as aws

from ..naming import SHARED, RegionNames


class RemovedCustomerError(pulumi.RunError):
    """A customer left the config before its data was destroyed. Pulumi prints it without a traceback."""

    def __init__(self, customer: str, bucket: str) -> None:
        self.customer = customer
        super().__init__(
            f"customer {customer} is no longer in the stack's config, but its vault still holds data "
            f"(bucket {bucket}). Put its lines back and let its contract end: contract.ends plus the grace "
            "days says when the data is destroyed. Once it is, set contract.status: terminated and run "
            "pulumi up; after that, remove the lines"
        )


def refuse_removed(names: RegionNames, customers: Iterable[str]) -> None:
    """Refuse a config that lacks a customer of whose vault an object is left.

    Raises RemovedCustomerError. Only current versions are looked for: AWS itself refuses to delete a bucket
    that holds others (BucketNotEmpty), and a table that is protected.
    """
    known = {*customers, SHARED}
    tagged = aws.resourcegroupstaggingapi.get_resources(
        resource_type_filters=["s3"],
        tag_filters=[
            aws.resourcegroupstaggingapi.GetResourcesTagFilterArgs(key="stack", values=[names.prefix])
        ],
    )
    for resource in tagged.resource_tag_mapping_lists:
        customer = resource.tags.get("customer", SHARED)
        bucket = resource.resource_arn.removeprefix("arn:aws:s3:::")  # nothing else of S3 has the stack's tag
        if customer not in known and _holds_objects(bucket):
            raise RemovedCustomerError(customer, bucket)


def _holds_objects(bucket: str) -> bool:
    try:
        return bool(aws.s3.get_objects(bucket=bucket, max_keys=1).keys)
    except Exception as error:
        # Pulumi has one exception for all that a provider answers. Tags are listed a while longer than the
        # bucket is there.
        if "NoSuchBucket" in str(error):
            return False
        raise
