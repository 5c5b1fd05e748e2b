"""The request table: puts requests on record, finds them, and carries them from state to state.

No personal data: subjects are references, a correction's values wait in the vault.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.aws.retries import ATTEMPTS, pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.requests import items as request_items
from privacy.requests.caller import Caller
from privacy.requests.due_dates import due_at
from privacy.requests.idempotency import KEEP_SECONDS, Created, Idempotency, first_answer, keeping
from privacy.requests.items import key
from privacy.requests.request import EndState, Request, RequestType
from privacy.timestamps import timestamp

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        QueryOutputTypeDef,
        TransactWriteItemTypeDef,
    )

    Item = dict[str, AttributeValueTypeDef]

_BATCH_GET_LIMIT: Final = 100  # items in one BatchGetItem
_MARKERS: Final = 1000  # read in one query where some may wait: some 100 KB
_LIST_QUERIES: Final = 10  # at most 10 MB read for one page of a filtered list

_LAST_ID: Final = "~"
"""Behind every id."""


class RequestBusyError(Exception):
    """Other calls kept writing the same items; nothing was written by this one. Trying again helps."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of requests, newest first; `cursor` continues after it and is None at the end."""

    requests: list[Request]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class RequestStore:
    """Reads and writes the request table. AWS errors that retries did not cure are raised as they are."""

    table: str

    @classmethod
    def from_environment(cls) -> Self:
        """Return the region's requests. Raises MissingEnvironmentVariableError."""
        return cls(environment.read(environment.REQUEST_TABLE))

    def create(
        self,
        customer: str,
        *,
        type: RequestType,  # noqa: A002 - the word the API and the table use
        refs: Sequence[str],
        request_id: str,
        received_at: datetime,
        reason: str | None = None,
        follows: str | None = None,
        restored_from: str | None = None,
        erased_at: Sequence[str] = (),
        idempotency: Idempotency | None = None,
        caller: Caller | None = None,
    ) -> Created:
        """Write a pending request with its subjects, marker and idempotency answer in one transaction.

        An idempotency key that was used with the same body, or a `request_id` that exists, writes nothing
        and returns the first answer with `replayed` set. `erased_at` are the instants of the erasures that a
        request with `restored_from` repeats, one for each of the subjects.

        Raises IdempotencyKeyReusedError for another
        body, RequestBusyError where the outcome of concurrent calls is still open.
        """
        request = Request(
            id=request_id,
            type=type,
            state="pending",
            received_at=timestamp(received_at),
            due_at=timestamp(due_at(received_at)),
            subjects=len(refs),
            reason=reason,
            follows=follows,
            restored_from=restored_from,
            client_id=caller.client_id if caller else None,
            person_id=caller.person_id if caller else None,
            call_id=caller.call_id if caller else None,
        )
        puts = request_items.creation(self.table, customer, request.public(), refs, erased_at)
        if idempotency is not None:
            puts.append(keeping(self.table, customer, idempotency, request.public()))
        for attempt in range(ATTEMPTS):
            reasons = transact(aws_clients.dynamodb(), puts)
            if not reasons:
                return Created(request.public(), replayed=False)
            answer = self.replay(customer, idempotency)
            if answer is not None:
                return Created(answer, replayed=True)
            if reasons[0] == CONDITION_FAILED:
                existing = self.get(customer, request_id)
                if existing is not None:
                    return Created(existing.public(), replayed=True)
            pause(attempt)
        raise RequestBusyError

    def forestall(self, customer: str, request_id: str) -> bool:
        """See to it that a creation whose outcome is open does not happen; return False where it did.

        Takes the place of one of the items that the creation writes, so that it cannot go through any more.
        """
        with ConditionMayFail():
            aws_clients.dynamodb().put_item(
                TableName=self.table,
                Item={
                    **key(customer, f"subjects#{request_id}"),
                    "expires_at": {"N": str(int(time.time()) + KEEP_SECONDS)},
                },
                ConditionExpression="attribute_not_exists(sk)",
            )
            return True
        return False

    def replay(self, customer: str, idempotency: Idempotency | None) -> dict[str, Any] | None:
        """Return the answer that the key got before; None without a key, or where it is new or has expired.

        Raises IdempotencyKeyReusedError where it came with another body.
        """
        return first_answer(self.table, customer, idempotency)

    def get(self, customer: str, request_id: str) -> Request | None:
        """Return the customer's request of that id (strongly consistent), or None."""
        item = self._get(customer, f"request#{request_id}")
        return Request.of_item(item) if item else None

    def page(
        self,
        customer: str,
        *,
        state: str | None,
        type: str | None,  # noqa: A002 - as in create
        limit: int,
        cursor: str | None,
        client_id: str | None = None,
        person_id: str | None = None,
    ) -> Page:
        """Return at most `limit` requests, newest first, after the request whose id is `cursor`.

        A page can be short, even empty, and still have a cursor: the filters run over a bounded read.
        """
        wanted = {"state": state, "type": type, "client_id": client_id, "person_id": person_id}
        query = self._listing(customer, wanted)
        if "FilterExpression" not in query:
            query["Limit"] = limit + 1
        if cursor is not None:
            query["ExclusiveStartKey"] = key(customer, f"request#{cursor}")
        found: list[Request] = []
        for answer in islice(_queried(query), _LIST_QUERIES):
            found += [Request.of_item(item) for item in answer["Items"]]
            if len(found) > limit:
                return Page(found[:limit], found[limit - 1].id)
            last = answer.get("LastEvaluatedKey")
            cursor = last["sk"]["S"].removeprefix("request#") if last else None
        return Page(found, cursor)

    def _listing(self, customer: str, wanted: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the query for those requests, newest first, that have the values in `wanted` (None: any)."""
        query: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": {"S": f"customer#{customer}"}, ":prefix": {"S": "request#"}},
            "ScanIndexForward": False,
            "ConsistentRead": True,
        }
        filters = {name: value for name, value in wanted.items() if value is not None}
        if filters:
            query["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in filters)
            query["ExpressionAttributeNames"] = {f"#{name}": name for name in filters}
            query["ExpressionAttributeValues"] |= {
                f":{name}": {"S": value} for name, value in filters.items()
            }
        return query

    def pending(self, customer: str, limit: int, *, waiting: bool = False) -> list[Request]:
        """Return at most `limit` requests that have not ended, oldest first (strongly consistent).

        These are the ones with a marker: also those that a run which died had taken. Those that wait for a
        moment which is still to come are among them only with `waiting`.
        """
        ids = self._markers(customer, limit, waiting=waiting)
        found: dict[str, Request] = {}
        for start in range(0, len(ids), _BATCH_GET_LIMIT):
            keys = [key(customer, f"request#{id_}") for id_ in ids[start : start + _BATCH_GET_LIMIT]]
            found |= {request.id: request for request in map(Request.of_item, self._batch_get(keys))}
        return [found[id_] for id_ in ids]

    def _markers(self, customer: str, limit: int, *, waiting: bool) -> list[str]:
        """Return the ids of at most `limit` requests that have a marker, oldest first, as `pending` does."""
        query: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": {"S": f"customer#{customer}"}, ":prefix": {"S": "pending#"}},
            "ConsistentRead": True,
            "Limit": limit,
        }
        if not waiting:
            # DynamoDB counts before it filters: with a limit of one, each that waits would be a query.
            query["Limit"] = max(limit, _MARKERS)
            query["FilterExpression"] = "attribute_not_exists(not_before) OR not_before <= :now"
            query["ExpressionAttributeValues"][":now"] = {"S": timestamp(datetime.now(UTC))}
        ids: list[str] = []
        for answer in _queried(query):
            ids += [item["sk"]["S"].removeprefix("pending#") for item in answer["Items"]]
            if len(ids) >= limit:
                break
        return ids[:limit]

    def refs(self, customer: str, request_id: str) -> list[str]:
        """Return the subject references that the request is about; empty for an unknown request."""
        item = self._get(customer, f"subjects#{request_id}")
        return [ref["S"] for ref in item["refs"]["L"]] if item else []

    def erased_at(self, customer: str, request_id: str) -> dict[str, str]:
        """Return, by subject, the instants of the erasures that the request repeats; empty for any other."""
        item = self._get(customer, f"subjects#{request_id}") or {}
        refs, instants = (item.get(name, {}).get("L", []) for name in ("refs", "erased_at"))
        return {ref["S"]: at["S"] for ref, at in zip(refs, instants, strict=False)}

    def claim(self, customer: str, request_id: str, run_id: str) -> bool:
        """Set the request running under this run; return False where it has already ended.

        A request that a dead run had taken is taken over.
        """
        with ConditionMayFail():
            aws_clients.dynamodb().update_item(
                TableName=self.table,
                Key=key(customer, f"request#{request_id}"),
                UpdateExpression="SET #state = :running, run_id = :run_id",
                ConditionExpression="#state IN (:pending, :running)",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":pending": {"S": "pending"},
                    ":running": {"S": "running"},
                    ":run_id": {"S": run_id},
                },
            )
            return True
        return False

    def finish(
        self,
        customer: str,
        request_id: str,
        *,
        state: EndState,
        at: datetime,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """End the request and remove its marker in one transaction.

        Returns False, and changes nothing, where it had ended before: the first end stands. Raises
        RequestBusyError where other writers kept the transaction from going through.
        """
        writes = request_items.ending(
            self.table, customer, request_id, state=state, at=timestamp(at), detail=detail
        )
        return self._carried_out(writes)

    def of_run(self, customer: str, run_id: str) -> list[Request]:
        """Return the requests that this run took, or that were redriven from it (strongly consistent).

        Reads all of the customer's requests: for the operator, not for what happens often.
        """
        narrowed = {
            "FilterExpression": "run_id = :value OR redriven_from = :value",
            "ExpressionAttributeValues": {":value": {"S": run_id}},
        }
        return self._search(customer, "", narrowed)

    def since(self, customer: str, request_id: str, last_id: str = _LAST_ID) -> list[Request]:
        """Return the customer's requests from this one on, to the last one (strongly consistent)."""
        return self._search(customer, request_id, {}, last_id)

    def _search(
        self, customer: str, first_id: str, narrowed: Mapping[str, Any], last_id: str = _LAST_ID
    ) -> list[Request]:
        query = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ConsistentRead": True,
            **narrowed,
            "ExpressionAttributeValues": {
                ":pk": {"S": f"customer#{customer}"},
                ":first": {"S": f"request#{first_id}"},
                ":last": {"S": f"request#{last_id}"},
                **narrowed.get("ExpressionAttributeValues", {}),
            },
        }
        return [Request.of_item(item) for answer in _queried(query) for item in answer["Items"]]

    def reopen(self, customer: str, request_id: str, run_id: str) -> bool:
        """Make a request that ended failed in this run pending again, with its marker, in one transaction.

        Returns False, and changes nothing, where that is not how it ended, or no longer. Raises
        RequestBusyError where other writers kept the transaction from going through.
        """
        return self._carried_out(request_items.reopening(self.table, customer, request_id, run_id))

    def postpone(
        self, customer: str, request_id: str, run_id: str, *, until: datetime, detail: Mapping[str, Any]
    ) -> bool:
        """Take the request back from its run: it is pending again, and no run takes it before `until`.

        Returns False, and changes nothing, where the run does not have it any more. Raises RequestBusyError
        where other writers kept the transaction from going through.
        """
        writes = request_items.postponement(
            self.table, customer, request_id, run_id, not_before=timestamp(until), detail=detail
        )
        return self._carried_out(writes)

    def _carried_out(self, writes: "Sequence[TransactWriteItemTypeDef]") -> bool:
        for attempt in range(ATTEMPTS):
            reasons = transact(aws_clients.dynamodb(), writes)
            if not reasons:
                return True
            if reasons[0] == CONDITION_FAILED:
                return False
            pause(attempt)
        raise RequestBusyError

    def _get(self, customer: str, sk: str) -> "Item | None":
        return (
            aws_clients.dynamodb()
            .get_item(TableName=self.table, Key=key(customer, sk), ConsistentRead=True)
            .get("Item")
        )

    def _batch_get(self, keys: "list[Item]") -> "list[Item]":
        items: list[Item] = []
        for attempt in range(ATTEMPTS):
            answer = aws_clients.dynamodb().batch_get_item(
                RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}}
            )
            items += answer["Responses"].get(self.table, [])
            left = answer["UnprocessedKeys"].get(self.table)
            if not left:
                return items
            keys = [dict(key) for key in left["Keys"]]
            pause(attempt)
        raise RequestBusyError


def _queried(query: Mapping[str, Any]) -> "Iterator[QueryOutputTypeDef]":
    """Yield the answers to a query, one call each, as long as they are asked for."""
    return iter(aws_clients.dynamodb().get_paginator("query").paginate(**query))
