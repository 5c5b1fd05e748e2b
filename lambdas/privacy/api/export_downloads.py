"""What can be fetched of an export: its parts, and the files that it lists."""

import base64
import json
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from privacy.api import problems
from privacy.api.problems import Fault, ProblemError
from privacy.exports import files as export_files
from privacy.exports.store import Export, ExportStore
from privacy.vault.sessions import Vault

_ID_LENGTH: Final = 36

_READ_BYTES: Final = 1024 * 1024
"""What a page reads of the list: a line has at most a key of 1,024 bytes and some 300 more."""

_POSITION: Final = struct.Struct(">IQ")


@dataclass(frozen=True, slots=True)
class Page:
    """Files as the API shows them; `cursor` continues after them and is None at the end."""

    files: list[dict[str, Any]]
    cursor: str | None


def found(store: ExportStore, customer: str, export_id: str) -> Export:
    """Return the customer's export. Raises ProblemError (404), also for another customer's."""
    # Anything longer than a UUID names no export, and could be more than a table key takes.
    export = store.get(customer, export_id) if len(export_id) == _ID_LENGTH else None
    if export is None:
        raise ProblemError(problems.NOT_FOUND, "The customer has no such export.")
    return export


def fetchable(store: ExportStore, customer: str, export_id: str, now: datetime) -> Export:
    """Return the customer's export. Raises ProblemError: 404, and 409 where it cannot be fetched."""
    export = found(store, customer, export_id)
    state = export.state_at(now)
    if state != "completed":
        detail = export.public(now).get("detail", "Wait until it is completed.")
        raise ProblemError(problems.EXPORT_UNAVAILABLE, f"It is {state}. {detail}")
    return export


def urls_end(now: datetime) -> datetime:
    """Return when URLs that are signed now end."""
    return now + export_files.URL_LIFE


def parts(vault: Vault, export: Export) -> list[dict[str, Any]]:
    """Return the parts of a completed export, each with a URL."""
    written = export.written.parts if export.written else ()
    return [
        {
            "name": part.name,
            "kind": part.kind,
            "lines": part.lines,
            "size": part.size,
            "url": export_files.download(vault, export_files.prefix(export.id) + part.name),
        }
        for part in written
    ]


def files(vault: Vault, store: ExportStore, export: Export, cursor: str | None, limit: int) -> Page:
    """Return a page of the files that a completed export lists, each with a URL; a page may be short.

    The URL is of the file as it is then: a correction may have changed it since. Raises ProblemError: 400 for
    a cursor that no page has given, 409 where the export was withdrawn a moment ago.
    """
    lists = [part for part in (export.written.parts if export.written else ()) if part.kind == "files"]
    number, offset = _POSITION.unpack(base64.urlsafe_b64decode(cursor)) if cursor else (0, 0)
    if not lists and cursor is None:
        return Page([], None)
    if number >= len(lists) or offset >= lists[number].size:
        raise _made_up()
    part = lists[number]
    content = _read(vault, store, export, part.name, offset)
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)[:limit]
    offset += sum(map(len, lines))
    try:
        shown = [_file(vault, json.loads(line)) for line in lines]
    except (ValueError, KeyError, TypeError):
        raise _made_up() from None
    if offset < part.size:
        return Page(shown, _cursor(number, offset))
    return Page(shown, _cursor(number + 1, 0) if number + 1 < len(lists) else None)


def _file(vault: Vault, listed: dict[str, Any]) -> dict[str, Any]:
    return {**listed, "url": export_files.download(vault, listed["key"])}


def _read(vault: Vault, store: ExportStore, export: Export, name: str, offset: int) -> bytes:
    try:
        return vault.s3.get_object(
            Bucket=vault.customer.bucket,
            Key=export_files.prefix(export.id) + name,
            Range=f"bytes={offset}-{offset + _READ_BYTES - 1}",
        )["Body"].read()
    except ClientError:
        # An erasure may have come in between; what else keeps it from being read is an error.
        again = store.get(vault.customer.id, export.id)
        if again is None or again.state == "completed":
            raise
        raise ProblemError(problems.EXPORT_UNAVAILABLE, f"It is {again.state}.") from None


def _cursor(number: int, offset: int) -> str:
    return base64.urlsafe_b64encode(_POSITION.pack(number, offset)).decode()


def _made_up() -> ProblemError:
    faults = [Fault("is not the next_cursor of a page of this export", parameter="cursor")]
    return ProblemError(problems.INVALID_PARAMETER, "A part of the query is not as described.", faults)
