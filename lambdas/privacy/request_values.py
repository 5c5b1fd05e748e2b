"""What waits in the vault for a request: a correction's new values, or the key that a follow-up is about.

It goes just before the request ends. Where the request failed, it waits some days more, so that the operator
can redrive the run.
"""

import time
from typing import TYPE_CHECKING, Final

from privacy import vault_items
from privacy.requests import Request
from privacy.vault import Vault

if TYPE_CHECKING:
    from privacy.vault_items import Item

REDRIVE_SECONDS: Final = 14 * 24 * 3600
"""How long the values of a request that failed wait for a redrive: as long as a dead letter waits."""


def take(vault: Vault, request: Request) -> "Item | None":
    """Return what waits for the request, or None where it is no longer there; it stays for the whole run."""
    sk = _sk(request)
    return _expire(vault, request, sk, vault_items.backstop()["expires_at"]["N"]) if sk else None


def keep_for_redrive(vault: Vault, request: Request) -> None:
    """Let what waits for a request that failed go after REDRIVE_SECONDS."""
    if sk := _sk(request):
        _expire(vault, request, sk, str(int(time.time()) + REDRIVE_SECONDS))


def drop(vault: Vault, request: Request) -> None:
    """Remove what waits for the request."""
    if sk := _sk(request):
        vault_items.batch_write(vault, delete=[vault_items.key(vault_items.request_pk(request.id), sk)])


def _sk(request: Request) -> str | None:
    if request.type == "correction":
        return vault_items.CHANGES
    return vault_items.LATE if request.follows is not None else None


def _expire(vault: Vault, request: Request, sk: str, at: str) -> "Item | None":
    """Set the Unix time at which DynamoDB removes the item, and return the item; None where it is gone."""
    client = vault.dynamodb
    try:
        answer = client.update_item(
            TableName=vault.customer.table,
            Key=vault_items.key(vault_items.request_pk(request.id), sk),
            UpdateExpression="SET expires_at = :at",
            ConditionExpression="attribute_exists(sk)",
            ExpressionAttributeValues={":at": {"N": at}},
            ReturnValues="ALL_NEW",
        )
    except client.exceptions.ConditionalCheckFailedException:
        return None
    return answer["Attributes"]
