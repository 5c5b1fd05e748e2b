"""Keys and items of a vault's table, and the few ways in which they are read and written in bulk."""

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from privacy.aws.conditions import ConditionMayFail
from privacy.aws.retries import pause
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

OBJECTS_INDEX: Final = "objects"
"""The sparse index that finds an object's entries by its key."""

INDEXED: Final = "indexed"
POINTER: Final = "subject"
"""Sort key of the item, in a record's own partition, that names the subject the record belongs to."""

_SK_BYTES: Final = 1024  # DynamoDB limit of a sort key
_WRITE_LIMIT: Final = 25  # items in one BatchWriteItem
_READ_LIMIT: Final = 100  # items in one BatchGetItem
_ATTEMPTS: Final = 10
_FIRST_PAUSE: Final = 0.05  # seconds: a busy table needs longer than a rival
_BACKSTOP_SECONDS: Final = 120 * 24 * 3600  # an answer takes three months at most (Art. 12(3))


class TableBusyError(Exception):
    """The table kept refusing part of a batch. Trying again later helps."""


def backstop() -> "Item":
    """Return the attribute that lets DynamoDB remove an item which no run cleared away."""
    return {"expires_at": {"N": str(int(time.time()) + _BACKSTOP_SECONDS)}}


def key(pk: str, sk: str) -> "dict[str, AttributeValueTypeDef]":
    """Return the primary key of an item."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def subject_pk(ref: str) -> str:
    """Return the partition of a subject."""
    return f"subject#{ref}"


def object_pk(object_key: str) -> str:
    """Return the partition of an object, which holds what is known of its indexing.

    By digest: partitions are also the sort key of the index, and so have at most 1,024 bytes.
    """
    return f"object#{hashlib.sha256(object_key.encode()).hexdigest()}"


def object_sk(object_key: str) -> str:
    """Return the sort key of a subject's entry for an object.

    S3 keys have up to 1,024 bytes, as many as a sort key: the few that do not fit behind `object#` are
    kept as a digest. The entry's `object` attribute always has the key itself.
    """
    sk = f"object#{object_key}"
    if len(sk.encode()) <= _SK_BYTES:
        return sk
    return f"object#sha256:{hashlib.sha256(object_key.encode()).hexdigest()}"


def record_name(dataset: str, record_id: str) -> str:
    """Return the sort key of a record, which is also the partition of the pointer to its subject."""
    return f"record#{dataset}/{record_id}"


def request_pk(request_id: str) -> str:
    """Return the partition of what waits encrypted for a request."""
    return f"request#{request_id}"


def run_pk(run_id: str) -> str:
    """Return the partition of a run's visits."""
    return f"run#{run_id}"


def reindex_pk(reindex_id: str) -> str:
    """Return the partition of what a reindex has to compare, and of the differences that it found."""
    return f"reindex#{reindex_id}"


def get(vault: Vault, pk: str, sk: str) -> "Item | None":
    """Return one item (strongly consistent), or None."""
    answer = vault.dynamodb.get_item(TableName=vault.customer.table, Key=key(pk, sk), ConsistentRead=True)
    return answer.get("Item")


def query(
    vault: Vault, pk: str, *, first: str = "", last: str | None = None, backward: bool = False
) -> "Iterator[Item]":
    """Yield a partition's items (strongly consistent) whose sort key begins with `first`, in its order.

    With `last`, those from `first` to `last`, both included; `backward` yields the last one first.
    """
    values: dict[str, Any] = {":pk": {"S": pk}}
    condition = "pk = :pk"
    if last is not None:
        condition += " AND sk BETWEEN :first AND :last"
        values |= {":first": {"S": first}, ":last": {"S": last}}
    elif first:
        condition += " AND begins_with(sk, :first)"
        values[":first"] = {"S": first}
    pages = vault.dynamodb.get_paginator("query").paginate(
        TableName=vault.customer.table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ConsistentRead=True,
        ScanIndexForward=not backward,
    )
    for page in pages:
        yield from page["Items"]


def batch_get(vault: Vault, keys: "Sequence[Item]") -> "list[Item]":
    """Return those of the items that exist (strongly consistent). Raises TableBusyError."""
    table = vault.customer.table
    found: list[Item] = []
    for start in range(0, len(keys), _READ_LIMIT):
        wanted = list(keys[start : start + _READ_LIMIT])
        for attempt in range(_ATTEMPTS):
            answer = vault.dynamodb.batch_get_item(
                RequestItems={table: {"Keys": wanted, "ConsistentRead": True}}
            )
            found += answer["Responses"].get(table, [])
            left = answer["UnprocessedKeys"].get(table)
            if not left:
                break
            wanted = list(left["Keys"])
            pause(attempt, first_seconds=_FIRST_PAUSE)
        else:
            raise TableBusyError
    return found


def batch_write(vault: Vault, *, put: "Iterable[Item]" = (), delete: "Iterable[Item]" = ()) -> None:
    """Put and delete items, whatever was there before. No key may occur twice. Raises TableBusyError."""
    table = vault.customer.table
    writes: Iterator[Any] = chain(
        ({"PutRequest": {"Item": item}} for item in put),
        ({"DeleteRequest": {"Key": item}} for item in delete),
    )
    while wanted := list(islice(writes, _WRITE_LIMIT)):
        for attempt in range(_ATTEMPTS):
            left = vault.dynamodb.batch_write_item(RequestItems={table: wanted})["UnprocessedItems"]
            if not left.get(table):
                break
            wanted = list(left[table])
            pause(attempt, first_seconds=_FIRST_PAUSE)
        else:
            raise TableBusyError


def subjects_of(vault: Vault, object_key: str) -> list[str]:
    """Return the subjects that have an entry for the object (through the index: a moment old)."""
    pages = vault.dynamodb.get_paginator("query").paginate(
        TableName=vault.customer.table,
        IndexName=OBJECTS_INDEX,
        KeyConditionExpression="#object = :object",
        ExpressionAttributeNames={"#object": "object"},
        ExpressionAttributeValues={":object": {"S": object_key}},
    )
    return [item["pk"]["S"].removeprefix("subject#") for page in pages for item in page["Items"]]


def delete_version(vault: Vault, pk: str, sk: str, version_id: str) -> None:
    """Delete the item if it is still about this version of its object; otherwise do nothing."""
    with ConditionMayFail():
        vault.dynamodb.delete_item(
            TableName=vault.customer.table,
            Key=key(pk, sk),
            ConditionExpression="version_id = :version_id",
            ExpressionAttributeValues={":version_id": {"S": version_id}},
        )


def put_over(vault: Vault, item: "Item", version_id: str | None) -> bool:
    """Put the item over one that is still about this version of its object (None: where there is none).

    Returns whether it was put: otherwise somebody else wrote it meanwhile.
    """
    condition: Any = {"ConditionExpression": "attribute_not_exists(sk)"}
    if version_id is not None:
        condition = {
            "ConditionExpression": "version_id = :version_id",
            "ExpressionAttributeValues": {":version_id": {"S": version_id}},
        }
    with ConditionMayFail():
        vault.dynamodb.put_item(TableName=vault.customer.table, Item=item, **condition)
        return True
    return False


_PIECE: Final = 250  # items: ten calls

_PARALLEL: Final = 8


def put_all(vault: Vault, items: "Iterable[Item]") -> int:
    """Put the items, whatever was there before, several pieces at a time; return how many.

    No key may occur twice. Raises TableBusyError.
    """
    return _each_piece(vault, items, lambda piece: batch_write(vault, put=piece))


def delete_all(vault: Vault, keys: "Iterable[Item]") -> int:
    """Delete the items, several pieces at a time; return how many. Raises TableBusyError."""
    return _each_piece(vault, keys, lambda piece: batch_write(vault, delete=piece))


def _each_piece(vault: Vault, items: Iterable[Any], write: Any) -> int:  # noqa: ANN401 - one of the two above
    pieces = _pieces(items)
    first = next(pieces, [])
    if len(first) < _PIECE:
        write(first)
        return len(first)
    _ = vault.dynamodb  # made before the threads share it
    written = len(first)
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        begun: deque[Future[None]] = deque([pool.submit(write, first)])
        for piece in pieces:
            if len(begun) == 2 * _PARALLEL:
                begun.popleft().result()
            begun.append(pool.submit(write, piece))
            written += len(piece)
        for each in begun:
            each.result()
    return written


def _pieces(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while piece := list(islice(rest, _PIECE)):
        yield piece
