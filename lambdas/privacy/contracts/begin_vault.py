"""The beginning of a vault: its subject secret is made once, and kept in the registry and in its table.

A deployment calls it when it has made a vault, and again when the vault has got another table. What one of
the two places has is put into the other: so vaults from before the registry kept secrets are taken over, and
so a restored table gets its secret back.
"""

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.customers.registry import Registry, secret_key
from privacy.requests.store import RequestStore
from privacy.vault import subject_secret
from privacy.vault.items import subject_pk
from privacy.vault.session_policies import encryption_context
from privacy.vault.sessions import Vault
from privacy.vault.subject_secret import OtherSubjectSecretError, SubjectSecretMissingError

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_log: Final = logging.getLogger("privacy")


def keep_secret(vault: Vault, registry: Registry, requests: RequestStore) -> str:
    """Have the vault's subject secret in both places; return the digest of the sealed one.

    It is made only where there is none and no reference was ever made: neither the table nor a request names
    anybody. Can be done again at any point, and twice at the same time.

    Raises SubjectSecretMissingError where references are there and the secret is gone,
    OtherSubjectSecretError where the two places have different ones.
    """
    customer = vault.customer
    kept = registry.sealed_secret(customer.id)
    in_table = subject_secret.of_table(customer, vault.dynamodb)
    if kept is None:
        if in_table is None and _names_somebody(vault, requests):
            raise SubjectSecretMissingError("there are subject references, and their secret is gone")
        kept = _first_in_registry(registry, customer.id, in_table or _make(vault))
    if in_table is None:
        _put(vault, kept)
        in_table = subject_secret.of_table(customer, vault.dynamodb)
    if in_table != kept:
        raise OtherSubjectSecretError("the subject secret in the table is not the one in the registry")
    return hashlib.sha256(kept).hexdigest()


def _names_somebody(vault: Vault, requests: RequestStore) -> bool:
    """Return whether a reference of the customer is anywhere that is kept."""
    if requests.page(vault.customer.id, state=None, type=None, limit=1, cursor=None).requests:
        return True
    pages = vault.dynamodb.get_paginator("scan").paginate(
        TableName=vault.customer.table,
        FilterExpression="begins_with(pk, :subject)",
        ExpressionAttributeValues={":subject": {"S": subject_pk("")}},
        ConsistentRead=True,
    )
    return any(page["Items"] for page in pages)


def _make(vault: Vault) -> bytes:
    made = vault.kms.generate_data_key_without_plaintext(
        KeyId=vault.customer.key_arn,
        NumberOfBytes=32,
        EncryptionContext=encryption_context(vault.customer.id),
    )["CiphertextBlob"]
    _log.info("subject secret made: customer=%s", vault.customer.id)
    return made


def _first_in_registry(registry: Registry, customer_id: str, sealed: bytes) -> bytes:
    """Put the sealed secret into the registry, where none is; return the one that is there then."""
    item: dict[str, AttributeValueTypeDef] = {
        "pk": {"S": secret_key(customer_id)},
        "ciphertext": {"B": sealed},
    }
    with ConditionMayFail():
        aws_clients.dynamodb().put_item(
            TableName=registry.table, Item=item, ConditionExpression="attribute_not_exists(pk)"
        )
        return sealed
    first = registry.sealed_secret(customer_id)
    if first is None:
        raise SubjectSecretMissingError("somebody removes the secret from the registry")
    return first


def _put(vault: Vault, sealed: bytes) -> None:
    with ConditionMayFail():
        vault.dynamodb.put_item(
            TableName=vault.customer.table,
            Item={**subject_secret.ITEM_KEY, "ciphertext": {"B": sealed}},
            ConditionExpression="attribute_not_exists(sk)",
        )
