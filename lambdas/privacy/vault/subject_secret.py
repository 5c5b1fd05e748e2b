"""The secret behind a vault's subject references: where it is kept, sealed under the vault's key.

It is made once, when the vault is made (`privacy.contracts.begin_vault`), and kept twice: in the vault's
table, and in the registry, which no restoration of the table touches. Under another secret every reference
that was ever made means nobody: an erasure would find nothing and be called completed. So nobody makes one on
the way; a vault that got another key gets another secret only while nobody is known in it.
"""

import logging
from typing import TYPE_CHECKING, Final

from privacy.aws.failures import StepFailedError
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_log: Final = logging.getLogger("privacy")

ITEM_KEY: Final[dict[str, "AttributeValueTypeDef"]] = {"pk": {"S": "vault"}, "sk": {"S": "subject-secret"}}
"""Key of the secret's item in the vault's table."""


class SubjectSecretMissingError(StepFailedError):
    """The vault's secret is kept nowhere. docs/restore.md says how it is put back; it cannot be made anew."""


class OtherSubjectSecretError(StepFailedError):
    """The vault's table has another secret than the registry. docs/restore.md says which of them to keep."""


def read(customer: Customer, dynamodb: "DynamoDBClient") -> bytes:
    """Return the sealed secret of the customer's vault.

    Where one of the two places has lost it, the other's counts, and a log line (with an alarm) says so.
    Raises SubjectSecretMissingError and OtherSubjectSecretError, after a line of the same kind.
    """
    kept = Registry.from_environment().sealed_secret(customer.id)
    in_table = of_table(customer, dynamodb)
    found = kept or in_table
    if found is None:
        _tell(customer, "missing")
        raise SubjectSecretMissingError("the subject secret is kept neither in the registry nor in the table")
    if kept is None or in_table is None:
        _tell(customer, "kept-once")
    elif kept != in_table:
        _tell(customer, "another-one")
        raise OtherSubjectSecretError("the subject secret in the table is not the one in the registry")
    return found


def of_table(customer: Customer, dynamodb: "DynamoDBClient") -> bytes | None:
    """Return the sealed secret that the vault's table has, or None (strongly consistent)."""
    answer = dynamodb.get_item(TableName=customer.table, Key=ITEM_KEY, ConsistentRead=True)
    item = answer.get("Item")
    return bytes(item["ciphertext"]["B"]) if item else None


def _tell(customer: Customer, reason: str) -> None:
    _log.warning("subject secret unsafe: customer=%s reason=%s", customer.id, reason)
