"""Making an export: all records of a vault as JSON Lines, and a list of all its files.

One page of a scan, then one page of a listing after the other; what comes together is written in parts, so
that memory stays flat and a call goes on where the one before stopped. How far it has come is noted in the
vault, because it names records and objects.

No run works meanwhile. Should the lock be lost all the same (its execution was stopped, the function was
not), then a run may have erased somebody in between: so each part is written first and the lock looked at
after, and a part that came too late is taken back. A run takes the lock first and looks for exports after.
"""

import json
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from privacy.aws.conditions import ConditionMayFail
from privacy.aws.failures import StepFailedError
from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.exports import files as export_files
from privacy.exports.store import Export, ExportStore, Kind, Part, Written
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import parse_timestamp, timestamp
from privacy.vault import items as vault_items
from privacy.vault.session_policies import EXPORTS
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

PART_BYTES: Final = 64 * 1024 * 1024
"""A part is written when it has grown to this. All parts of an export are in one answer of the API (6 MB) and
one item (400 KB): more than 3,000 parts, or 190 GB of records, do not fit."""

SHORTEST_WAIT: Final = 15
LONGEST_WAIT: Final = 900
"""Seconds between two looks at whether the run has ended: ever longer, so that a week of them fits into an
execution's history (25,000 events)."""

_WALK: Final = "walk"
_log: Final = logging.getLogger("privacy")


class ExportOvertakenError(StepFailedError):
    """Somebody else goes on with the export, or its lock was lost. What this call wrote was taken back."""


class DestructionBegunError(StepFailedError):
    """The customer's data is being destroyed: nothing is exported any more."""


@dataclass(slots=True)
class _Walk:
    """How far an export has come: first through the table, then through the bucket.

    `entry` is DynamoDB's marker of the next page, `key` and `version` are S3's; `scanned` is set when the
    table is done. `began` is when the first part was begun: from then on S3 counts the days of its life.
    """

    began: str
    entry: "dict[str, AttributeValueTypeDef] | None" = None
    scanned: bool = False
    key: str | None = None
    version: str | None = None
    done: bool = False
    records: int = 0
    files: int = 0
    size: int = 0
    parts: list[list[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exporter:
    """One export of one customer, and what it needs of the region."""

    vault: Vault
    export_id: str
    store: ExportStore
    requests: RequestStore
    lock: RunLock

    def go_on(self, execution: str, remaining: Callable[[], int]) -> dict[str, Any]:
        """Go on with the export as long as the time suffices; return what the workflow does `next`.

        `remaining` tells the milliseconds left. `wait` for `seconds` where a run is active; `more` where
        there is more to do; `done` when it has ended, however that was. Raises ExportOvertakenError and what
        the calls raise; called again, it goes on where it was.
        """
        export = self.store.get(self._customer, self.export_id)
        if export is None or export.state != "running":
            # The call that ended it may have come no further.
            self._forget()
            self._free()
            return {"next": "done"}
        if not self.lock.take_for_export(self._customer, self.export_id, execution):
            return {"next": "wait", "seconds": _wait(export, datetime.now(UTC))}
        walk, revision = self._noted()
        while not walk.done:
            if remaining() < RESERVE_MILLISECONDS:
                return {"next": "more"}
            revision = self._next_part(walk, revision, remaining)
        self._complete(walk)
        self._free()
        return {"next": "done"}

    def give_up(self) -> None:
        """End the export as failed and give the lock back; what was written of it goes by itself."""
        if self.store.fail(self._customer, self.export_id, at=datetime.now(UTC)):
            _log.error("export failed: customer=%s export=%s", self._customer, self.export_id)
        self._forget()
        self._free()

    @property
    def _customer(self) -> str:
        return self.vault.customer.id

    def _next_part(self, walk: _Walk, revision: str, remaining: Callable[[], int]) -> str:
        """Write one part, and note how far it reaches; return the revision of the note."""
        kind: Kind = "files" if walk.scanned else "records"
        lines: list[bytes] = []
        size = 0
        while size < PART_BYTES and remaining() >= RESERVE_MILLISECONDS:
            page = list(self._page_of_files(walk) if walk.scanned else self._page_of_records(walk))
            lines += page
            size += sum(map(len, page))
            if walk.done or (walk.scanned and kind == "records"):
                break
        written = None
        if lines:
            # No two calls write the same key: a part counts where the note names it, and only there.
            name = f"{kind}-{len(walk.parts) + 1:06d}-{secrets.token_hex(4)}.jsonl"
            walk.parts.append([name, kind, len(lines), size])
            written = name, self._write(name, b"".join(lines))
        if self._holds_lock() and (noted := self._note(walk, revision)):
            return noted
        if written:
            self._take_back(*written)
        raise ExportOvertakenError(f"export {self.export_id} was overtaken")

    def _page_of_records(self, walk: _Walk) -> Iterable[bytes]:
        # No paginator here and below: the marker of the next page is noted, for the next call to go on with.
        after: Any = {"ExclusiveStartKey": walk.entry} if walk.entry else {}
        page = self.vault.dynamodb.scan(
            TableName=self.vault.customer.table,
            FilterExpression="attribute_exists(record_id)",
            ConsistentRead=True,
            **after,
        )
        walk.entry = page.get("LastEvaluatedKey")
        walk.scanned = walk.entry is None
        walk.records += len(page["Items"])
        return (_record_line(item) for item in page["Items"])

    def _page_of_files(self, walk: _Walk) -> Iterable[bytes]:
        after: Any = {} if walk.key is None else {"KeyMarker": walk.key, "VersionIdMarker": walk.version}
        page = self.vault.s3.list_object_versions(Bucket=self.vault.customer.bucket, **after)
        walk.key, walk.version = page.get("NextKeyMarker"), page.get("NextVersionIdMarker")
        walk.done = not page["IsTruncated"]
        found: list[Any] = [
            each
            for each in page.get("Versions", [])
            if each["IsLatest"] and not each["Key"].startswith(EXPORTS)
        ]
        walk.files += len(found)
        walk.size += sum(each["Size"] for each in found)
        return (self._file_line(each) for each in found)

    def _file_line(self, version: Any) -> bytes:  # noqa: ANN401 - a version of a listing
        # A file may lie below a prefix that is no dataset's any more: it is the customer's all the same.
        dataset = self.vault.customer.dataset_of(version["Key"])
        return _line(
            {
                "dataset": dataset.name if dataset else None,
                "key": version["Key"],
                "version_id": version["VersionId"],
                "size": version["Size"],
                "last_modified": timestamp(version["LastModified"]),
                "etag": version["ETag"],
            }
        )

    def _write(self, name: str, content: bytes) -> str:
        """Write a part and return its version's id."""
        return self.vault.s3.put_object(
            Bucket=self.vault.customer.bucket,
            Key=export_files.prefix(self.export_id) + name,
            Body=content,
            ContentType="application/jsonl",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=self.vault.customer.key_arn,
            BucketKeyEnabled=True,
            ChecksumAlgorithm="SHA256",
        )["VersionId"]

    def _take_back(self, name: str, version_id: str) -> None:
        self.vault.s3.delete_object(
            Bucket=self.vault.customer.bucket,
            Key=export_files.prefix(self.export_id) + name,
            VersionId=version_id,
        )

    def _holds_lock(self) -> bool:
        active = self.lock.active_run(self._customer)
        return active is not None and active.run_id == self.export_id

    def _noted(self) -> tuple[_Walk, str]:
        item = vault_items.get(self.vault, _pk(self.export_id), _WALK)
        if item is None:
            return _Walk(began=timestamp(datetime.now(UTC))), ""
        return _Walk(**json.loads(item["walk"]["S"])), item["revision"]["S"]

    def _note(self, walk: _Walk, seen: str) -> str | None:
        """Note how far the export has come, unless another call has; return the note's revision."""
        revision = secrets.token_hex(8)
        with ConditionMayFail():
            self.vault.dynamodb.put_item(
                TableName=self.vault.customer.table,
                Item={
                    **vault_items.key(_pk(self.export_id), _WALK),
                    "walk": {"S": json.dumps(asdict(walk), ensure_ascii=False, separators=(",", ":"))},
                    "revision": {"S": revision},
                    **vault_items.backstop(),
                },
                # The last part for a call that is made again because its answer was lost.
                ConditionExpression="revision = :seen OR revision = :mine"
                if seen
                else "attribute_not_exists(sk) OR revision = :mine",
                ExpressionAttributeValues={
                    ":mine": {"S": revision},
                    **({":seen": {"S": seen}} if seen else {}),
                },
            )
            return revision
        return None

    def _forget(self) -> None:
        self.vault.dynamodb.delete_item(
            TableName=self.vault.customer.table, Key=vault_items.key(_pk(self.export_id), _WALK)
        )

    def _complete(self, walk: _Walk) -> None:
        written = Written(
            records=walk.records,
            files=walk.files,
            size=walk.size,
            parts=tuple(Part(*part) for part in walk.parts),
        )
        until = parse_timestamp(walk.began) + export_files.LIFE
        if self.store.complete(
            self._customer, self.export_id, at=datetime.now(UTC), fetch_until=until, written=written
        ):
            _log.info(
                "export completed: customer=%s export=%s records=%d files=%d parts=%d",
                self._customer,
                self.export_id,
                walk.records,
                walk.files,
                len(walk.parts),
            )
        self._forget()

    def _free(self) -> None:
        """Give the lock back and start the run that what came meanwhile waits for. Can be done again."""
        self.lock.release_run(self._customer, self.export_id)
        # After the release: who came before it found the lock taken and left a marker, which is seen here.
        if self.requests.pending(self._customer, 1):
            self.lock.start_run_or_leave_to_sweep(self._customer)


def _wait(export: Export, now: datetime) -> int:
    waited = int((now - parse_timestamp(export.requested_at)).total_seconds())
    return min(LONGEST_WAIT, max(SHORTEST_WAIT, waited // 10))


def _pk(export_id: str) -> str:
    return f"export#{export_id}"


def _line(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _record_line(item: "vault_items.Item") -> bytes:
    known = {name: item[name]["S"] for name in ("dataset", "record_id", "updated_at")}
    # The fields are JSON already: as they were sent, numbers to the last digit.
    return _line(known)[:-2] + b',"fields":' + item["fields"]["S"].encode() + b"}\n"
