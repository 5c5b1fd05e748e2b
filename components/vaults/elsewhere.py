"""Customers who have a vault in another stack of the region: no request would reach the data in both."""

from collections.abc import Iterable

import pulumi
import pulumi_aws as aws

from ..naming import RegionNames


class VaultElsewhereError(pulumi.RunError):
    """A customer is declared in two stacks of a region. Pulumi prints it without a traceback."""

    def __init__(self, customer: str, stack: str, bucket: str) -> None:
        self.customer = customer
        super().__init__(
            f"customer {customer} has a vault in another stack of this region and account already: {stack} "
            f"(bucket {bucket}). An erasure in one of two vaults would leave the data in the other. Leave "
            f"the customer's lines in one stack only. To move it here, let its contract in {stack} end, set "
            "contract.status: terminated there once its data is destroyed, and remove its lines there"
        )


def refuse_elsewhere(names: RegionNames, customers: Iterable[str]) -> None:
    """Refuse a config that declares a customer whose vault another stack has, in this region and account.

    Raises VaultElsewhereError. Two first deployments at the same time do not see each other. Where both have
    a vault, each deployment warns and goes on: only a deployment can end the contract in one of them.
    """
    own = set(customers)
    tagged = aws.resourcegroupstaggingapi.get_resources(
        resource_type_filters=["s3"],
        tag_filters=[aws.resourcegroupstaggingapi.GetResourcesTagFilterArgs(key="customer")],
    )
    listed = {each.resource_arn.removeprefix("arn:aws:s3:::") for each in tagged.resource_tag_mapping_lists}
    for resource in tagged.resource_tag_mapping_lists:
        customer, stack = resource.tags["customer"], resource.tags.get("stack", names.prefix)
        bucket = resource.resource_arn.removeprefix("arn:aws:s3:::")
        # Others than these stacks may use the same tags; their buckets are not called so.
        ours = bucket == f"{stack}-vault-{customer}-{names.account}-{names.region}"
        if ours and stack != names.prefix and customer in own and _is_there(bucket):
            error = VaultElsewhereError(customer, stack, bucket)
            own_bucket = names.vault_bucket(customer)
            if own_bucket not in listed or not _is_there(own_bucket):
                raise error
            pulumi.log.warn(f"{error}. This stack has a vault of it, too ({own_bucket}): end one contract")


def _is_there(bucket: str) -> bool:
    """Whether more of a bucket is left than tags, which are listed a while longer."""
    try:
        aws.s3.get_objects(bucket=bucket, max_keys=1)
    except Exception as error:
        # Pulumi has one exception for all that a provider answers.
        if "NoSuchBucket" in str(error):
            return False
        if "AccessDenied" not in str(error):  # what may not be looked into is there
            raise
    return True
