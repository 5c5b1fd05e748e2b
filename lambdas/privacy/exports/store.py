"""Exports in the request table: `export#<id>` under `customer#<customer>`, without any object's key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.aws.retries import ATTEMPTS, pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.requests.caller import Caller
from privacy.requests.idempotency import Created, Idempotency, first_answer, keeping
from privacy.requests.items import key
from privacy.requests.store import RequestBusyError
from privacy.timestamps import parse_timestamp, timestamp

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    Item = dict[str, AttributeValueTypeDef]

State = Literal["running", "completed", "failed", "withdrawn"]
Kind = Literal["records", "files"]

_SK: Final = "export#"
_LATEST: Final = "latest-export"
_LAST_ONES: Final = 50
"""Exports that are looked at for those which can still be fetched; there may be failed ones among them."""

_DETAILS: Final = {
    "failed": "It was not made. Ask for a new one.",
    "withdrawn": "Somebody who may be in it was erased after it was made. Ask for a new one.",
    "expired": "It could be fetched for seven days. Ask for a new one.",
}


class AnotherExportError(Exception):
    """Another call has made an export meanwhile: nothing was written by this one."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file that an export wrote: lines of records, or of the list of files."""

    name: str
    kind: Kind
    lines: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a completed export holds. `size` are the bytes of the files that it lists, as they lie there."""

    records: int
    files: int
    size: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """An export as the table keeps it; times are RFC 3339 texts. `written` is known of completed ones.

    `client_id`, `person_id` and `call_id` are the caller's (`privacy.requests.caller`).
    """

    id: str
    state: State
    requested_at: str
    ended_at: str | None = None
    fetch_until: str | None = None
    written: Written | None = None
    client_id: str | None = None
    person_id: str | None = None
    call_id: str | None = None

    def state_at(self, now: datetime) -> str:
        """Return the state as the API shows it: a completed export expires."""
        expired = self.fetch_until is not None and now >= parse_timestamp(self.fetch_until)
        return "expired" if self.state == "completed" and expired else self.state

    def public(self, now: datetime) -> dict[str, Any]:
        """Return the export as the API shows it, without its downloads."""
        state = self.state_at(now)
        shown: dict[str, Any] = {
            "id": self.id,
            "state": state,
            "requested_at": self.requested_at,
            "ended_at": self.ended_at,
            "expires_at": self.fetch_until,
            "reason": "erasure" if state == "withdrawn" else None,
            "detail": _DETAILS.get(state),
            "client_id": self.client_id,
            "person_id": self.person_id,
            "call_id": self.call_id,
        }
        if self.written is not None:
            shown["counts"] = {
                "records": self.written.records,
                "files": self.written.files,
                "file_bytes": self.written.size,
            }
        return {name: value for name, value in shown.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ExportStore:
    """Reads and writes exports. AWS errors that retries did not cure are raised as they are."""

    table: str

    @classmethod
    def from_environment(cls) -> Self:
        """Return the region's exports. Raises MissingEnvironmentVariableError."""
        return cls(environment.read(environment.REQUEST_TABLE))

    def create(
        self,
        customer: str,
        export_id: str,
        requested_at: datetime,
        idempotency: Idempotency | None,
        *,
        caller: Caller,
        after: str | None,
    ) -> Created:
        """Write a running export as the customer's latest, and its idempotency answer, in one transaction.

        `after` is the id of the latest one so far, which has ended (`latest`); None where there was none. So
        of calls at the same time only one makes an export: raises AnotherExportError in the others. A key
        that was used before writes nothing and returns the first answer with `replayed` set. Raises
        RequestBusyError where the outcome of concurrent calls is still open.
        """
        export = Export(
            export_id,
            "running",
            timestamp(requested_at),
            client_id=caller.client_id,
            person_id=caller.person_id,
            call_id=caller.call_id,
        )
        answer = export.public(requested_at)
        texts = {name: value for name, value in answer.items() if name != "id"}
        item: Item = {
            **key(customer, f"{_SK}{export_id}"),
            **{name: {"S": value} for name, value in texts.items()},
        }
        writes: list[TransactWriteItemTypeDef] = [
            {"Put": {"TableName": self.table, "Item": item}},
            self._becomes_latest(customer, export_id, after),
        ]
        if idempotency is not None:
            writes.append(keeping(self.table, customer, idempotency, answer))
        for attempt in range(ATTEMPTS):
            reasons = transact(aws_clients.dynamodb(), writes)
            if not reasons:
                return Created(answer, replayed=False)
            first = self.replay(customer, idempotency)
            if first is not None:
                return Created(first, replayed=True)
            if reasons[1] == CONDITION_FAILED:
                raise AnotherExportError
            pause(attempt)
        raise RequestBusyError

    def _becomes_latest(self, customer: str, export_id: str, after: str | None) -> "TransactWriteItemTypeDef":
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self.table,
                "Item": {**key(customer, _LATEST), "export_id": {"S": export_id}},
                "ConditionExpression": "attribute_not_exists(sk)",
            }
        }
        if after is not None:
            put["Put"]["ConditionExpression"] += " OR export_id = :after"
            put["Put"]["ExpressionAttributeValues"] = {":after": {"S": after}}
        return put

    def latest(self, customer: str) -> tuple[str | None, Export | None]:
        """Return id and state of the export that was made last (strongly consistent); None where none was."""
        found = aws_clients.dynamodb().get_item(
            TableName=self.table, Key=key(customer, _LATEST), ConsistentRead=True
        )
        if "Item" not in found:
            # It may have been made before there was a note of the latest.
            newest = self.newest(customer)
            return (newest.id if newest else None), newest
        export_id = found["Item"]["export_id"]["S"]
        return export_id, self.get(customer, export_id)

    def replay(self, customer: str, idempotency: Idempotency | None) -> dict[str, Any] | None:
        """Return the answer that the key got before; None without a key, or where it is new or has expired.

        Raises IdempotencyKeyReusedError where it came with another call.
        """
        return first_answer(self.table, customer, idempotency)

    def get(self, customer: str, export_id: str) -> Export | None:
        """Return the customer's export of that id (strongly consistent), or None."""
        answer = aws_clients.dynamodb().get_item(
            TableName=self.table, Key=key(customer, f"{_SK}{export_id}"), ConsistentRead=True
        )
        return _export(answer["Item"]) if "Item" in answer else None

    def newest(self, customer: str) -> Export | None:
        """Return the export that the customer asked for last (strongly consistent), or None."""
        answer = aws_clients.dynamodb().query(
            **self._all(customer), ConsistentRead=True, ScanIndexForward=False, Limit=1
        )
        return next((_export(item) for item in answer["Items"]), None)

    def kept(self, customer: str, now: datetime) -> list[Export]:
        """Return the exports that can be fetched, of the last ones, newest first (strongly consistent)."""
        answer = aws_clients.dynamodb().query(
            **self._all(customer), ConsistentRead=True, ScanIndexForward=False, Limit=_LAST_ONES
        )
        return [each for each in map(_export, answer["Items"]) if each.state_at(now) == "completed"]

    def complete(
        self, customer: str, export_id: str, *, at: datetime, fetch_until: datetime, written: Written
    ) -> bool:
        """End a running export as completed; return False where it has ended before."""
        parts = [[part.name, part.kind, part.lines, part.size] for part in written.parts]
        more: Item = {
            "fetch_until": {"S": timestamp(fetch_until)},
            "records": {"N": str(written.records)},
            "files": {"N": str(written.files)},
            "size": {"N": str(written.size)},
            "parts": {"S": json.dumps(parts, separators=(",", ":"))},
        }
        return self._end(customer, export_id, "completed", ("running",), at, more)

    def fail(self, customer: str, export_id: str, *, at: datetime) -> bool:
        """End a running export as failed; return False where it has ended before."""
        return self._end(customer, export_id, "failed", ("running",), at, {})

    def withdraw_all(self, customer: str, *, at: datetime) -> int:
        """Withdraw every export of the customer that is completed or running; return how many they were."""
        withdrawn = 0
        for page in (
            aws_clients.dynamodb().get_paginator("query").paginate(**self._all(customer), ConsistentRead=True)
        ):
            for export in map(_export, page["Items"]):
                if export.state in {"completed", "running"}:
                    withdrawn += self._end(customer, export.id, "withdrawn", ("completed", "running"), at, {})
        return withdrawn

    def _all(self, customer: str) -> Any:  # noqa: ANN401 - keyword arguments of a typed call
        return {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": {"S": f"customer#{customer}"}, ":prefix": {"S": _SK}},
        }

    def _end(
        self,
        customer: str,
        export_id: str,
        state: State,
        before: tuple[State, ...],
        at: datetime,
        more: "Item",
    ) -> bool:
        values: Item = {
            ":state": {"S": state},
            ":at": {"S": timestamp(at)},
            **{f":{name}": {"S": name} for name in before},
            **{f":{name}": value for name, value in more.items()},
        }
        sets = ["#state = :state", "ended_at = :at", *(f"#{name} = :{name}" for name in more)]
        # Whatever it had written is gone with its state.
        forget = "" if more else " REMOVE #parts, #records, #files, #size, #fetch_until"
        names = {f"#{name}": name for name in ("parts", "records", "files", "size", "fetch_until")}
        with ConditionMayFail():
            aws_clients.dynamodb().update_item(
                TableName=self.table,
                Key=key(customer, f"{_SK}{export_id}"),
                UpdateExpression=f"SET {', '.join(sets)}{forget}",
                ConditionExpression=f"#state IN ({', '.join(f':{name}' for name in before)})",
                ExpressionAttributeNames={"#state": "state", **names},
                ExpressionAttributeValues=values,
            )
            return True
        return False


def _export(item: "Mapping[str, AttributeValueTypeDef]") -> Export:
    written = None
    if "parts" in item:
        written = Written(
            records=int(item["records"]["N"]),
            files=int(item["files"]["N"]),
            size=int(item["size"]["N"]),
            parts=tuple(Part(*part) for part in json.loads(item["parts"]["S"])),
        )
    return Export(
        id=item["sk"]["S"].removeprefix(_SK),
        state=item["state"]["S"],  # type: ignore[arg-type]  # ours
        requested_at=item["requested_at"]["S"],
        ended_at=item["ended_at"]["S"] if "ended_at" in item else None,
        fetch_until=item["fetch_until"]["S"] if "fetch_until" in item else None,
        written=written,
        **{name: item[name]["S"] for name in ("client_id", "person_id", "call_id") if name in item},
    )
