"""What AWS still has of vaults that are being destroyed, so that nothing of them is made anew.

At a contract's end functions destroy a customer's table, its clients and its key, and Pulumi's state does not
know of it. `pulumi refresh` then takes them out of the state: the table and the clients are gone, and the
provider takes a key that waits for its deletion for gone, too. Were they still declared, the next `pulumi up`
would make the vault anew. So what is gone is declared no more, and its removal from the state has nothing to
do in AWS.
"""

import json
from collections.abc import Iterable, Mapping
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


def destroyed_vaults(names: RegionNames, customers: Iterable[Customer]) -> Mapping[str, Remains]:
    """Return, by customer, what is left of the vaults whose table a contract's end has deleted.

    A customer that was deployed and has no table was destroyed where the registry says so; without that,
    something else took the table, and it is made again.

    Raises ReturnedCustomerError for a customer that is not deployed, and was destroyed before.
    """
    tables = set(aws.dynamodb.get_tables().names)
    lacking = [each for each in customers if names.vault_table(each.id, each.restored_table) not in tables]
    if names.registry_table not in tables or not lacking:
        return {}
    deployed = _item(names, "customers")
    known = json.loads(deployed["ids"]["S"]) if deployed is not None else []
    found = {}
    for customer in lacking:
        mark = _item(names, f"destruction#{customer.id}")
        if customer.id not in known:
            if mark is not None:
                raise ReturnedCustomerError(customer.id)
            continue
        entry = _item(names, f"customer#{customer.id}")
        if mark is not None and entry is not None:
            found[customer.id] = _remains(entry["key_arn"]["S"], mark["state"]["S"])
            _tell(customer)
    return found


def _remains(key_arn: str, state: str) -> Remains:
    if state == "destroyed":
        return Remains(key_arn=key_arn, key_declared=False, alias_declared=False)
    # Only now: a key that is gone for good, nobody can ask about.
    usable = aws.kms.get_key(key_id=key_arn).key_state not in _GOING
    return Remains(key_arn=key_arn, key_declared=usable, alias_declared=True)


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
    then = (
        "Then remove the customer's lines"
        if customer.contract.terminated
        else "Once the evidence says that its data is destroyed, set contract.status: terminated; after "
        "that, remove the customer's lines"
    )
    pulumi.log.warn(
        f"customer {customer.id}: its contract's end has deleted its table and its OAuth2 clients, and they "
        "are declared no more. If Pulumi refuses because one of them is protected, run pulumi refresh: AWS "
        f"has them no longer, so the state lets them go. {then}"
    )
