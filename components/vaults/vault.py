"""A customer's vault: all of its data in this region, and nothing else's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pulumi
from pulumi_aws import iam, s3

from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..iam.keys import vault_key
from ..iam.resources import vault_bucket
from ..iam.services import customer_access
from ..settings.settings import Customer, Dataset
from ..standard.bucket import protected_bucket
from ..standard.key import key_alias, rotated_key
from ..standard.role import bounded_role
from ..standard.table import BACKUP_DAYS, protected_table
from .lifecycle import lifecycle_rules
from .remains import Remains

EVENTS = (
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:LifecycleExpiration:*",
    "s3:ObjectRestore:Completed",
)
"""Bucket events that change which subjects are in which object, or let the index look into one."""


def indexed_files(customer: Customer) -> list[Dataset]:
    """Return the datasets of files whose events keep an index; the others are walked."""
    return [d for d in customer.datasets if d.prefix is not None and d.index == "events"]


@dataclass(frozen=True, kw_only=True)
class CustomerVaultArgs:
    """Whose vault it is, who may use its key, where its bucket's events go; what is left, once destroyed.

    `today` is the UTC day of this deployment.
    """

    ground: Ground
    customer: Customer
    today: date
    remains: Remains | None = None
    purpose_roles: Mapping[str, pulumi.Input[str]]
    events_queue_arn: pulumi.Input[str]


class CustomerVault(pulumi.ComponentResource):
    """Key, bucket, table and access role of one customer.

    Everything in it is encrypted under its key, so that destroying the key destroys what is left. What the
    contract's end has destroyed is declared no more. Once the contract is terminated the rest is no longer
    protected: removing the customer's lines removes it.
    """

    key_arn: pulumi.Output[str]
    bucket: pulumi.Output[str]
    table: pulumi.Output[str]
    access_role_arn: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: CustomerVaultArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:vault:CustomerVault", name, None, opts)
        names, customer = args.ground.names, args.customer
        access_role = self._access_role(name, args) if customer.principals else None
        # Nothing else about it may differ: AWS would be asked to change what is gone, or a key that is going.
        protect = not customer.contract.terminated
        self.key_arn = self._key(name, args, access_role, protect=protect)
        bucket = self._bucket(name, args, self.key_arn, protect=protect)
        table = names.vault_table(customer.id, customer.restored_table)
        self.table = pulumi.Output.from_input(table)
        if args.remains is None:
            self.table = protected_table(
                f"{name}-table",
                parent=self,
                names=names,
                table=table,
                key_arn=self.key_arn,
                data_class="personal",
                customer=customer.id,
                range_key="sk",
                expires=True,
                index=("objects", "object", "pk"),
                protect=protect,
            ).name
        self.bucket = bucket.bucket
        self.access_role_arn = access_role.arn if access_role is not None else None
        self.facts: Mapping[str, pulumi.Input[Any]] = {
            "bucket": self.bucket,
            "table": self.table,
            "keyArn": self.key_arn,
            "contractEnds": customer.contract.ends.isoformat(),
            "destruction": customer.contract.destruction.isoformat(),
            "backupDays": BACKUP_DAYS,
            "accessRoleArn": self.access_role_arn,
            "externalId": names.external_id(customer.id) if access_role is not None else None,
        }
        self.register_outputs(dict(self.facts))

    def _key(
        self, name: str, args: CustomerVaultArgs, access_role: iam.Role | None, *, protect: bool
    ) -> pulumi.Output[str]:
        """Declare the key, unless its deletion is ordered; return its ARN."""
        names, customer, remains = args.ground.names, args.customer, args.remains
        alias = f"vault-{customer.id}"
        if remains is None or remains.key_declared:
            return rotated_key(
                f"{name}-key",
                parent=self,
                names=names,
                description=f"{names.prefix}: everything in the vault of {customer.id}",
                alias=alias,
                policy=pulumi.Output.all(
                    purposes=args.purpose_roles, access=access_role.arn if access_role is not None else None
                ).apply(
                    lambda roles: document(vault_key(names, customer.id, roles["purposes"], roles["access"]))
                ),
                data_class="personal",
                customer=customer.id,
                protect=protect,
            ).arn
        if remains.alias_declared:
            key_id = remains.key_arn.rpartition("/")[2]
            key_alias(f"{name}-key", parent=self, names=names, alias=alias, key_id=key_id)
        return pulumi.Output.from_input(remains.key_arn)

    def _access_role(self, name: str, args: CustomerVaultArgs) -> iam.Role:
        names, customer = args.ground.names, args.customer
        role, _ = bounded_role(
            f"{name}-access",
            parent=self,
            ground=args.ground,
            role=names.access_role(customer.id),
            trusted=document(
                trust.by_customer(
                    names,
                    customer.id,
                    customer.principals,
                    starts=customer.contract.starts.isoformat(),
                    ends=customer.contract.access_ends.isoformat(),
                )
            ),
            policy=document(
                customer_access(
                    names,
                    customer.id,
                    customer.prefixes,
                    ends=customer.contract.access_ends.isoformat(),
                )
            ),
            data_class="personal",
            customer=customer.id,
        )
        return role

    def _bucket(
        self, name: str, args: CustomerVaultArgs, key_arn: pulumi.Output[str], *, protect: bool
    ) -> s3.Bucket:
        names, customer = args.ground.names, args.customer
        access_ends, destruction = customer.contract.access_ends, customer.contract.destruction
        bucket, _ = protected_bucket(
            name,
            parent=self,
            bucket=names.vault_bucket(customer.id),
            tags=names.tags("personal", customer.id),
            key_arn=key_arn,
            policy=lambda key: document(
                vault_bucket(
                    names,
                    customer.id,
                    key,
                    access_ends=access_ends.isoformat(),
                    destruction=destruction.isoformat(),
                )
            ),
            rules=lifecycle_rules(customer.contract, args.today),
            protect=protect,
        )
        indexed = indexed_files(customer)
        if indexed:
            s3.BucketNotification(
                f"{name}-events",
                bucket=bucket.bucket,
                queues=[
                    s3.BucketNotificationQueueArgs(
                        id=dataset.name,
                        queue_arn=args.events_queue_arn,
                        events=EVENTS,
                        filter_prefix=dataset.prefix,
                    )
                    for dataset in indexed
                ],
                opts=pulumi.ResourceOptions(parent=self),
            )
        return bucket


def customer_vaults(
    name: str,
    ground: Ground,
    customers: Iterable[Customer],
    purpose_roles: Mapping[str, pulumi.Input[str]],
    events_queue_arn: pulumi.Input[str],
    destroyed: Mapping[str, Remains],
    today: date,
    opts: pulumi.ResourceOptions,
) -> Mapping[str, CustomerVault]:
    """Declare a vault for each customer, or what is left of it; return them by the customers' ids."""
    return {
        customer.id: CustomerVault(
            f"{name}-vault-{customer.id}",
            CustomerVaultArgs(
                ground=ground,
                customer=customer,
                today=today,
                remains=destroyed.get(customer.id),
                purpose_roles=purpose_roles,
                events_queue_arn=events_queue_arn,
            ),
            opts,
        )
        for customer in customers
    }
