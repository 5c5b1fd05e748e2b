"""What AWS still has of vaults that are being destroyed, so that nothing of them is made anew.

At a contract's end functions destroy a customer's table, its clients and its key, and Pulumi's state does not
know of it. `pulumi refresh` then takes them out of the state: the table and the clients are gone, and the
provider takes a key that waits for its deletion for gone, too. Were they still declared, the next `pulumi up`
would make the vault anew. So what is gone is declared no more, and its removal from the state has nothing to
do in AWS.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from ..naming import RegionNames
from ..settings.settings import Customer

_GOING: Final = ("PendingDeletion", "PendingReplicaDeletion")
"""States of a key that the provider takes for gone."""

_NO_ITEM: Final = ("empty result", "couldn't find resource")
"""How the provider tells that a table has no such item: Pulumi has one exception for all its answers."""

_NO_KEY: Final = (*_NO_ITEM, "NotFoundException")
"""The same of a key that KMS has deleted."""


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What is left of a vault whose table and clients are gone.

    `key_arn` names the key, also when it is gone. It is declared as long as its deletion is not ordered, and
    its alias as long as the key exists.
    """

    key_arn: str
    key_declared: bool
    alias_declared: bool


class ReturnedCustomerError(pulumi.RunError):
    """An id comes back whose data was destroyed. Pulumi prints it without a traceback."""

    def __init__(self, customer: str) -> None:
        self.customer = customer
        super().__init__(
            f"customer {customer} had a contract in this stack whose end has destroyed its data, and that is "
            "never taken back: the API would refuse it, the index would pass over its files, and the state "
            f"machine of a contract's end would destroy them at once. Choose another id, such as {customer}-2"
        )


class UnfinishedEndError(pulumi.RunError):
    """A customer left the config before its contract's end was over. Pulumi prints it without a traceback."""

    def __init__(self, customer: str, key_deletion: str | None) -> None:
        self.customer = customer
        when = f"its key is deleted at {key_deletion}" if key_deletion else "its data is being destroyed"
        super().__init__(
            f"customer {customer} is no longer in the stack's config, but its contract's end is not over: "
            f"{when}. Without its lines nobody would see that the key is gone, and no evidence would say "
            "so. Put them back with contract.status: terminated, and remove them once there is "
            f"contract-end/{customer}/…/destroyed.json in the evidence bucket"
        )


def deployed_customers(names: RegionNames) -> Sequence[str]:
    """Return the ids of the customers in the registry; none where nothing is deployed."""
    if names.registry_table not in aws.dynamodb.get_tables().names:
        return ()
    entry = _item(names, "customers")
    ids: Sequence[str] = json.loads(entry["ids"]["S"]) if entry is not None else ()
    return ids


def refuse_unfinished(names: RegionNames, customers: Iterable[str], deployed: Sequence[str]) -> None:
    """Refuse a config that lacks a customer whose contract's end has begun and is not over.

    Raises UnfinishedEndError.
    """
    for customer in sorted(set(deployed) - set(customers)):
        mark = _item(names, f"destruction#{customer}")
        if mark is not None and mark["state"]["S"] != "destroyed":
            raise UnfinishedEndError(customer, mark.get("key_deletion", {}).get("S"))


def destroyed_vaults(
    names: RegionNames, customers: Iterable[Customer], deployed: Sequence[str]
) -> Mapping[str, Remains]:
    """Return, by customer, what is left of the vaults whose table a contract's end has deleted.

    A customer that was deployed and has no table was destroyed where the registry says so; without that,
    something else took the table, and it is made again.

    Raises ReturnedCustomerError for a customer that is not deployed, and was destroyed before.
    """
    if not deployed:
        return {}
    tables, found = set(aws.dynamodb.get_tables().names), {}
    for customer in customers:
        mark = _item(names, f"destruction#{customer.id}")
        if mark is None or _marked_table(names, customer, mark) in tables:
            continue
        if customer.id not in deployed:
            raise ReturnedCustomerError(customer.id)
        entry = _item(names, f"customer#{customer.id}")
        if entry is not None:
            # The key that is going is the one that the mark notes, wherever the entry leads by now.
            found[customer.id] = _remains(customer, mark.get("key_arn", entry["key_arn"])["S"], mark)
            _tell(customer)
    return found


def _marked_table(names: RegionNames, customer: Customer, mark: Mapping[str, Any]) -> str:
    """Return the name of the table that goes: the config may name another one by now (`restoredTable`)."""
    declared = names.vault_table(customer.id, customer.restored_table)
    return str(mark.get("table_arn", {}).get("S", declared)).rpartition("/")[2]


def _remains(customer: Customer, key_arn: str, mark: Mapping[str, Any]) -> Remains:
    """Return what is left of a vault whose destruction has come as far as the mark says.

    A key whose deletion was ordered is never declared again. Pulumi may have let go of it and would make
    another; the registry would lead to that one, and nobody would delete the one that sealed the data.
    """
    state = mark["state"]["S"]
    key_state = None if state == "destroyed" else _key_state(key_arn)
    if key_state is None:
        return Remains(key_arn=key_arn, key_declared=False, alias_declared=False)
    # Disabled is what KMS leaves of a key that was to go; under a hold somebody may enable it, to read.
    ordered = state == "scheduled" or "kept_at" in mark or key_state == "Disabled"
    if ordered and key_state not in _GOING and customer.contract.hold is None:
        who, when = _order_taken_back(mark)
        pulumi.log.warn(
            f"customer {customer.id}: {who} took back the order to delete the key of its destroyed vault "
            f"({key_arn} is {key_state}). The watch over contracts has it ordered anew {when}; to have it at "
            "once, start the state machine contract-end for it"
        )
    return Remains(key_arn=key_arn, key_declared=not ordered and key_state not in _GOING, alias_declared=True)


def _order_taken_back(mark: Mapping[str, Any]) -> tuple[str, str]:
    """Return who took back the order to delete the key, and when it is given anew where no hold stands."""
    if mark["state"]["S"] == "scheduled":
        return "somebody", "two days after the key's day"
    who = "a hold that is lifted now" if "kept_at" in mark else "somebody"
    return who, "within the hour, or within a day where that has failed before"


def _key_state(key_arn: str) -> str | None:
    """Return KMS's word for the key's state, or None where it is gone for good.

    It may be gone before the registry says so: the state machine looks every six hours, and not while a hold
    stands.
    """
    try:
        return aws.kms.get_key(key_id=key_arn).key_state
    except Exception as error:
        if any(text in str(error) for text in _NO_KEY):
            return None
        raise


def _item(names: RegionNames, key: str) -> Mapping[str, Any] | None:
    """Return an item of the registry, typed as DynamoDB has it, or None where there is none."""
    try:
        found = aws.dynamodb.get_table_item(
            table_name=names.registry_table, key=json.dumps({"pk": {"S": key}})
        )
    except Exception as error:
        if any(text in str(error) for text in _NO_ITEM):
            return None
        raise
    item: Mapping[str, Any] = json.loads(found.item)
    return item


def _tell(customer: Customer) -> None:
    status = "" if customer.contract.terminated else "Then set contract.status: terminated. "
    pulumi.log.warn(
        f"customer {customer.id}: its contract's end has deleted its table and its OAuth2 clients, and they "
        "are declared no more. If Pulumi refuses because one of them is protected, run pulumi refresh: AWS "
        f"has them no longer, so the state lets them go. {status}Remove the customer's lines once there is "
        f"contract-end/{customer.id}/…/destroyed.json in the evidence bucket"
    )
