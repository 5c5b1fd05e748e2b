"""Tables that customers share: who is who, and what was requested. Neither holds personal data."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
from pulumi_aws import dynamodb

from ..api.identity import Identity
from ..ground import Ground
from ..settings.settings import Csv, Customer
from ..standard.table import protected_table
from ..vaults.vault import CustomerVault


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """The customers, their vaults by id, and the user pool with the clients of their programs."""

    ground: Ground
    customers: Sequence[Customer]
    vaults: Mapping[str, CustomerVault]
    identity: Identity


class Registry(pulumi.ComponentResource):
    """What functions look up: client → customer, bucket → customer, customer → vault and contract."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:stores:Registry", name, None, opts)
        self._name = name
        self._table = protected_table(
            f"{name}-table",
            parent=self,
            names=args.ground.names,
            table=args.ground.names.registry_table,
            key_arn=args.ground.region_key_arn,
            data_class="operational",
        )
        client_ids = args.identity.client_ids
        ids = [customer.id for customer in args.customers]
        self._item("customers", {"pk": {"S": "customers"}, "ids": {"S": json.dumps(ids)}})
        for customer in args.customers:
            vault = args.vaults[customer.id]
            self._item(f"{customer.id}.bucket", vault.bucket.apply(partial(bucket_item, customer.id)))
            self._item(
                f"{customer.id}.customer",
                pulumi.Output.all(
                    vault.bucket,
                    vault.table,
                    vault.key_arn,
                    args.identity.pool_id,
                    *(client for (owner, _), client in client_ids.items() if owner == customer.id),
                ).apply(partial(_customer_item, customer)),
            )
        for (customer_id, program), client_id in client_ids.items():
            self._item(
                f"{customer_id}.client.{program}",
                client_id.apply(partial(client_item, customer_id, program)),
            )
        self.register_outputs({})

    def _item(self, resource: str, item: pulumi.Input[Any]) -> None:
        dynamodb.TableItem(
            f"{self._name}-{resource}",
            table_name=self._table.name,
            hash_key="pk",
            item=pulumi.Output.from_input(item).apply(json.dumps),
            opts=pulumi.ResourceOptions(parent=self),
        )


Item = Mapping[str, Mapping[str, str]]
"""An item, typed as DynamoDB has it."""


def bucket_item(customer: str, bucket: str) -> Item:
    """Return the registry item that says whose bucket it is."""
    return {"pk": {"S": f"bucket#{bucket}"}, "customer": {"S": customer}}


def client_item(customer: str, program: str, client: str) -> Item:
    """Return the registry item that says whose client it is."""
    return {"pk": {"S": f"client#{client}"}, "customer": {"S": customer}, "program": {"S": program}}


def _customer_item(customer: Customer, facts: Sequence[str]) -> Item:
    bucket, table, key_arn, user_pool, *clients = facts
    return customer_item(
        customer, bucket=bucket, table=table, key_arn=key_arn, user_pool=user_pool, clients=clients
    )


def _dialect(csv: Csv) -> dict[str, Any]:
    # Nothing in place of a quote: functions of the version before this one then refuse the files, where they
    # would take a word for a quote.
    return dataclasses.asdict(csv) | {"quote": None if csv.quote == "none" else csv.quote}


def customer_item(
    customer: Customer, *, bucket: str, table: str, key_arn: str, user_pool: str, clients: Iterable[str]
) -> Item:
    """Return a customer's registry item. Dates are UTC days, both ends included.

    `clients` are the ids of its OAuth2 clients in the `user_pool`, which go when the contract ends.
    """
    contract = customer.contract
    datasets = [
        {
            "name": dataset.name,
            "format": dataset.format,
            "prefix": dataset.prefix,
            # Functions of the version before this one read `subject` alone: where there are several they take
            # the dataset for one that they cannot read, instead of looking for some of its people only.
            "subject": dataset.subjects[0] if len(dataset.subjects) == 1 else None,
            "subjects": dataset.subjects,
            "personal": dataset.personal,
            "remove": dataset.remove,
            "csv": _dialect(dataset.csv or Csv()) if dataset.format == "csv" else None,
            "as_of": dataset.as_of,
            "index": dataset.index,
            "archived": dataset.archived,
            "unattributed": dataclasses.asdict(dataset.unattributed) if dataset.unattributed else None,
        }
        for dataset in customer.datasets
    ]
    return {
        "pk": {"S": f"customer#{customer.id}"},
        "customer": {"S": customer.id},
        "bucket": {"S": bucket},
        "table": {"S": table},
        "key_arn": {"S": key_arn},
        "contract_starts": {"S": contract.starts.isoformat()},
        "contract_ends": {"S": contract.ends.isoformat()},
        "contract_status": {"S": contract.status},
        "grace_days": {"N": str(contract.grace_days)},
        "key_deletion_days": {"N": str(contract.key_deletion_days)},
        **({"hold": {"S": contract.hold}} if contract.hold is not None else {}),
        "user_pool": {"S": user_pool},
        "clients": {"S": json.dumps(sorted(clients))},
        "subject_id": {"S": customer.subject_id},
        "datasets": {"S": json.dumps(datasets)},
    }


@dataclass(frozen=True, kw_only=True)
class RequestStoreArgs:
    """What the table stands on."""

    ground: Ground


class RequestStore(pulumi.ComponentResource):
    """The table of requests, idempotency answers and run locks."""

    def __init__(self, name: str, args: RequestStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:stores:RequestStore", name, None, opts)
        protected_table(
            f"{name}-table",
            parent=self,
            names=args.ground.names,
            table=args.ground.names.request_table,
            key_arn=args.ground.region_key_arn,
            data_class="pseudonymous",
            range_key="sk",
            expires=True,
        )
        self.register_outputs({})
