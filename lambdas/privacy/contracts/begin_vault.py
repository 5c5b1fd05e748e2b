"""The beginning of a vault: its subject secret is made once, and kept in the registry and in its table.

A deployment calls it when it has made a vault, and again when the vault has got another table. What one of
the two places has is put into the other: so vaults from before the registry kept secrets are taken over, and
so a restored table gets its secret back.

A vault may have got another key: its lines were removed while it was empty, without a contract's end, and put
back. The secret of before opens no more, and is made anew where nobody is known by it.
"""

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.aws.failures import StepFailedError
from privacy.aws.retries import ATTEMPTS, pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.customers.registry import KeptSecret, Registry, destruction_key, secret_key
from privacy.requests.store import RequestStore
from privacy.vault import subject_secret
from privacy.vault.items import subject_pk
from privacy.vault.session_policies import encryption_context
from privacy.vault.sessions import Vault
from privacy.vault.subject_secret import OtherSubjectSecretError, SubjectSecretMissingError

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

_log: Final = logging.getLogger("privacy")


class OtherVaultKeyError(StepFailedError):
    """The secret is sealed under a key that the vault has no more. docs/restore.md says what can be done."""


class RegistryBusyError(StepFailedError):
    """Other writers of the secret's item kept getting in the way. Trying again helps."""


def keep_secret(vault: Vault, registry: Registry, requests: RequestStore) -> str | None:
    """Have the vault's subject secret in both places; return the digest of the sealed one.

    It is made only where there is none that the vault's key opens and no reference was ever made: neither the
    table nor a request names anybody. Can be done again at any point, and twice at the same time. Returns
    None, and puts nothing into the registry, where the destruction of the vault has begun.

    Raises SubjectSecretMissingError where references are there and the secret is gone, OtherVaultKeyError
    where they are there and the secret is sealed under another key than the vault's, OtherSubjectSecretError
    where the two places have different ones.
    """
    customer = vault.customer
    kept = registry.kept_secret(customer.id)
    in_table = subject_secret.of_table(customer, vault.dynamodb)
    if kept is None:
        if in_table is None and _names_somebody(vault, requests):
            raise SubjectSecretMissingError("there are subject references, and their secret is gone")
        kept = _enter(vault, registry, in_table or _make(vault), before=None)
    elif kept.key_arn not in (None, customer.key_arn):
        kept = _make_anew(vault, registry, requests, kept, in_table)
    if kept is None:
        return None
    # What stands for another one does so where nobody is known by that: a restored table may bring both back.
    replaced = in_table is not None and in_table == kept.before and not _names_somebody(vault, requests)
    if in_table is None or replaced:
        _put(vault, kept.ciphertext, before=in_table)
        in_table = subject_secret.of_table(customer, vault.dynamodb)
    if in_table != kept.ciphertext:
        raise OtherSubjectSecretError("the subject secret in the table is not the one in the registry")
    return hashlib.sha256(kept.ciphertext).hexdigest()


def _make_anew(
    vault: Vault, registry: Registry, requests: RequestStore, kept: KeptSecret, in_table: bytes | None
) -> KeptSecret | None:
    """Put a secret under the vault's key into the registry, in place of one that it does not open."""
    if in_table not in (None, kept.ciphertext):
        raise OtherSubjectSecretError("the subject secret in the table is not the one in the registry")
    if _names_somebody(vault, requests):
        raise OtherVaultKeyError(
            f"the subject secret is sealed under {kept.key_arn}, the vault's key no more, and people are "
            "known by it: give the vault that key back, or the customer another id (docs/restore.md, "
            "The subject secret)"
        )
    return _enter(vault, registry, _make(vault), before=kept.ciphertext)


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


def _enter(vault: Vault, registry: Registry, sealed: bytes, *, before: bytes | None) -> KeptSecret | None:
    """Put the sealed secret into the registry, where none is, or in place of the one `before`.

    Returns the one that is there then, which may be another call's; None, and puts nothing, where the
    destruction of the vault has begun. Both are one transaction: what a contract's end deletes stays away.
    """
    customer = vault.customer
    old: dict[str, AttributeValueTypeDef] = {} if before is None else {"before": {"B": before}}
    item: dict[str, AttributeValueTypeDef] = {
        "pk": {"S": secret_key(customer.id)},
        "ciphertext": {"B": sealed},
        "key_arn": {"S": customer.key_arn},
        **old,
    }
    put: TransactWriteItemTypeDef = {
        "Put": {
            "TableName": registry.table,
            "Item": item,
            "ConditionExpression": "ciphertext = :before" if old else "attribute_not_exists(pk)",
        }
    }
    if old:
        put["Put"]["ExpressionAttributeValues"] = {":before": old["before"]}
    not_begun: TransactWriteItemTypeDef = {
        "ConditionCheck": {
            "TableName": registry.table,
            "Key": {"pk": {"S": destruction_key(customer.id)}},
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }
    for attempt in range(ATTEMPTS):
        there, begun = transact(aws_clients.dynamodb(), [put, not_begun]) or ("", "")
        if begun == CONDITION_FAILED:
            return None
        if not there or there == CONDITION_FAILED:
            break
        pause(attempt)
    else:
        raise RegistryBusyError("the secret's item in the registry is busy")
    first = registry.kept_secret(customer.id)
    if first is None:
        raise SubjectSecretMissingError("somebody removes the secret from the registry")
    return first


def _put(vault: Vault, sealed: bytes, *, before: bytes | None) -> None:
    """Put the sealed secret into the table, where none is, or in place of the one `before`."""
    item: dict[str, AttributeValueTypeDef] = {**subject_secret.ITEM_KEY, "ciphertext": {"B": sealed}}
    table = vault.customer.table
    with ConditionMayFail():
        if before is None:
            vault.dynamodb.put_item(
                TableName=table, Item=item, ConditionExpression="attribute_not_exists(sk)"
            )
        else:
            vault.dynamodb.put_item(
                TableName=table,
                Item=item,
                ConditionExpression="ciphertext = :before",
                ExpressionAttributeValues={":before": {"B": before}},
            )
