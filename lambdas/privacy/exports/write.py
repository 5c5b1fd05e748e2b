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
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.failures import StepFailedError
from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.exports import files as export_files
from privacy.exports import walk as export_walk
from privacy.exports.store import Export, ExportStore, Kind, Part, Written
from privacy.exports.walk import Walk
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import parse_timestamp, timestamp
from privacy.vault import items as vault_items
from privacy.vault.session_policies import EXPORTS
from privacy.vault.sessions import Vault

PART_BYTES: Final = 64 * 1024 * 1024
"""A part is written when it has grown to this. All parts of an export are in one answer of the API (6 MB) and
one item (400 KB): more than 3,000 parts, or 190 GB of records, do not fit."""

SHORTEST_WAIT: Final = 15
LONGEST_WAIT: Final = 900
"""Seconds between two looks at whether the run has ended: ever longer, so that a week of them fits into an
execution's history (25,000 events)."""

_log: Final = logging.getLogger("privacy")


class ExportOvertakenError(StepFailedError):
    """Somebody else goes on with the export, or its lock was lost. What this call wrote was taken back."""


class DestructionBegunError(StepFailedError):
    """The customer's data is being destroyed: nothing is exported any more."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """One export of one customer, and what it needs of the region."""

    vault: Vault
    export_id: str
    store: ExportStore
    requests: RequestStore
    lock: RunLock

    def go_on(self, execution: str, remaining: Callable[[], int]) -> dict[str, Any]:
        """Go on with the export until less than RESERVE_MILLISECONDS are left; `remaining` tells how many.

        Returns what the workflow does `next`: `wait` for `seconds` where a run is active, `more` (call again)
        where there is more to do, `done` where the export has ended, well or not. Raises ExportOvertakenError
        and errors of AWS; called again after one, it goes on behind the last part that was noted.
        """
        export = self.store.get(self._customer, self.export_id)
        if export is None or export.state != "running":
            # The call that ended it may have come no further.
            export_walk.forget(self.vault, self.export_id)
            self._free()
            return {"next": "done"}
        if not self.lock.take_for_export(self._customer, self.export_id, execution):
            return {"next": "wait", "seconds": _wait(export, datetime.now(UTC))}
        walk, revision = export_walk.read(self.vault, self.export_id)
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
        export_walk.forget(self.vault, self.export_id)
        self._free()

    @property
    def _customer(self) -> str:
        return self.vault.customer.id

    def _next_part(self, walk: Walk, revision: str, remaining: Callable[[], int]) -> str:
        """Write one part, and note how far it reaches; return the revision of the note.

        Raises ExportOvertakenError, and takes the part back, where the lock is lost or another call goes on.
        """
        kind: Kind = "files" if walk.scanned else "records"
        lines = self._lines(walk, remaining)
        written = None
        if lines:
            # No two calls write the same key: a part counts where the note names it, and only there.
            name = f"{kind}-{len(walk.parts) + 1:06d}-{secrets.token_hex(4)}.jsonl"
            content = b"".join(lines)
            walk.parts.append([name, kind, len(lines), len(content)])
            written = name, self._write(name, content)
        if self._holds_lock() and (noted := export_walk.note(self.vault, self.export_id, walk, revision)):
            return noted
        if written:
            self._take_back(*written)
        raise ExportOvertakenError(f"export {self.export_id} was overtaken")

    def _lines(self, walk: Walk, remaining: Callable[[], int]) -> list[bytes]:
        """Go on with the walk for one part; return its lines, which are of one kind: records or files."""
        lines: list[bytes] = []
        size = 0
        in_table = not walk.scanned
        while size < PART_BYTES and remaining() >= RESERVE_MILLISECONDS:
            page = list(self._page_of_records(walk) if in_table else self._page_of_files(walk))
            lines += page
            size += sum(map(len, page))
            if walk.done or (in_table and walk.scanned):
                break
        return lines

    def _page_of_records(self, walk: Walk) -> Iterable[bytes]:
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

    def _page_of_files(self, walk: Walk) -> Iterable[bytes]:
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

    def _complete(self, walk: Walk) -> None:
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
        export_walk.forget(self.vault, self.export_id)

    def _free(self) -> None:
        """Give the lock back, and start a run where requests have come meanwhile. Can be done again."""
        self.lock.release_run(self._customer, self.export_id)
        # After the release: who came before it found the lock taken and left a marker, which is seen here.
        if self.requests.pending(self._customer, 1):
            self.lock.start_run_or_leave_to_sweep(self._customer)


def _wait(export: Export, now: datetime) -> int:
    waited = int((now - parse_timestamp(export.requested_at)).total_seconds())
    return min(LONGEST_WAIT, max(SHORTEST_WAIT, waited // 10))


def _line(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _record_line(item: "vault_items.Item") -> bytes:
    known = {name: item[name]["S"] for name in ("dataset", "record_id", "updated_at")}
    # The fields are JSON already: as they were sent, numbers to the last digit.
    return _line(known)[:-2] + b',"fields":' + item["fields"]["S"].encode() + b"}\n"
