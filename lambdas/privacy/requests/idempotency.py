"""Idempotency keys in the request table: who sends a call again gets its first answer again.

The answer is written in the same transaction as what the call makes (`idempotency#<digest>` under
`customer#<customer>`), so that one is never there without the other.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from privacy.aws import clients as aws_clients
from privacy.requests.items import compact, key

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    Item = dict[str, AttributeValueTypeDef]

KEEP_SECONDS: Final = 7 * 24 * 3600
"""How long the answer of an idempotency key is kept: a script that retries after a weekend is safe."""


class IdempotencyKeyReusedError(Exception):
    """The key was used before with another body."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """An idempotency key in the form that is kept: neither the key nor the body can be read from it."""

    key_digest: str
    body_digest: str

    @classmethod
    def of(cls, *, client_id: str, operation: str, key: str, body_digest: str) -> "Idempotency":
        """Bind a key to its client and operation: the same text from another client is another key."""
        text = f"{client_id}\n{operation}\n{key}"
        return cls(hashlib.sha256(text.encode()).hexdigest(), body_digest)


@dataclass(frozen=True, slots=True)
class Created:
    """The first answer to a call that makes something; `replayed` where an earlier call has made it."""

    answer: dict[str, Any]
    replayed: bool


def keeping(
    table: str, customer: str, idempotency: Idempotency, answer: Mapping[str, Any]
) -> "TransactWriteItemTypeDef":
    """Return the write that keeps the first answer of an idempotency key.

    It fails where the key has an answer already. One that has expired counts as none: DynamoDB removes
    expired items some time later.
    """
    now = int(time.time())
    item: Item = {
        **key(customer, _sk(idempotency)),
        "body_digest": {"S": idempotency.body_digest},
        "request_id": {"S": answer["id"]},
        "answer": {"S": compact(answer)},
        "expires_at": {"N": str(now + KEEP_SECONDS)},
    }
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(sk) OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": {"N": str(now)}},
        }
    }


def first_answer(table: str, customer: str, idempotency: Idempotency | None) -> dict[str, Any] | None:
    """Return the answer that the key got before (strongly consistent).

    None where the call has no key, and where the key is new or its answer has expired. Raises
    IdempotencyKeyReusedError where it came with another body.
    """
    if idempotency is None:
        return None
    found = aws_clients.dynamodb().get_item(
        TableName=table, Key=key(customer, _sk(idempotency)), ConsistentRead=True
    )
    item = found.get("Item")
    if item is None or int(item["expires_at"]["N"]) <= time.time():
        return None
    if item["body_digest"]["S"] != idempotency.body_digest:
        raise IdempotencyKeyReusedError
    answer: dict[str, Any] = json.loads(item["answer"]["S"])
    return answer


def _sk(idempotency: Idempotency) -> str:
    return f"idempotency#{idempotency.key_digest}"
