"""What a mark notes of the vault that is destroyed: as the registry had it at the freeze, and no later.

Every step after the freeze goes by this. A registry that leads elsewhere meanwhile, a table that was restored
under another name, lines that somebody removes early: none of it changes what is destroyed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from privacy.customers.customer import Customer
from privacy.vault.sessions import vault_resources

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef


@dataclass(frozen=True, slots=True)
class MarkedVault:
    """The customer with its vault, its clients and its contract as they were noted.

    It has no datasets; `prefixes` are those that they had. Large buckets are emptied prefix by prefix.
    """

    customer: Customer
    prefixes: tuple[str, ...]


def noted(customer: Customer) -> "Mapping[str, AttributeValueTypeDef]":
    """Return what the mark says of the customer's vault: ARNs, clients, dates of the contract."""
    resources = vault_resources(customer)
    prefixes = [dataset.prefix for dataset in customer.datasets if dataset.prefix]
    return {
        "bucket_arn": {"S": resources.bucket_arn},
        "table_arn": {"S": resources.table_arn},
        "key_arn": {"S": resources.key_arn},
        "user_pool": {"S": customer.user_pool},
        "clients": {"S": json.dumps(customer.clients)},
        "prefixes": {"S": json.dumps(prefixes)},
        "contract_starts": {"S": customer.contract_starts.isoformat()},
        "contract_ends": {"S": customer.contract_ends.isoformat()},
        "grace_days": {"N": str(customer.grace_days)},
        "key_deletion_days": {"N": str(customer.key_deletion_days)},
    }


def of(customer_id: str, mark: "Mapping[str, AttributeValueTypeDef]") -> MarkedVault | None:
    """Return what a mark notes of the vault; None where an earlier version set it, which notes nothing."""
    if "key_arn" not in mark:
        return None
    customer = Customer(
        id=customer_id,
        bucket=mark["bucket_arn"]["S"].rpartition(":")[2],
        table=mark["table_arn"]["S"].rpartition("/")[2],
        key_arn=mark["key_arn"]["S"],
        contract_starts=date.fromisoformat(mark["contract_starts"]["S"]),
        contract_ends=date.fromisoformat(mark["contract_ends"]["S"]),
        grace_days=int(mark["grace_days"]["N"]),
        subject_id="exact",  # nobody is looked for any more
        datasets=(),
        key_deletion_days=int(mark["key_deletion_days"]["N"]),
        user_pool=mark["user_pool"]["S"],
        clients=tuple(json.loads(mark["clients"]["S"])),
    )
    return MarkedVault(customer, tuple(json.loads(mark["prefixes"]["S"])))
