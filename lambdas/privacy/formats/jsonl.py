"""Rows of a JSON Lines object: whose they are, and what they look like after a correction.

Bytes go in and come out; a row that is not changed is never written anew. What cannot be read is told in
fixed words, never with the content.

Every row is parsed. Two members of one name are the trap: a parser keeps the last, and the first may name
somebody too. So the subject field's name is counted in the text: where it stands as often as the parser found
it, and no escape could spell it otherwise, no other member can have it. Wherever that does not come out even,
the row is read again with all of its members.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import orjson

from privacy.customers.addresses import may_be_address
from privacy.customers.references import MAX_IDENTIFIER
from privacy.formats.blocks import (
    NO_FIELD,
    Block,
    Subject,
    Unreadable,
    UnreadableRowError,
    is_blank,
    whole_lines,
)
from privacy.formats.json_values import dumps_exactly, loads_members, loads_uniquely, set_fields
from privacy.formats.paths import EACH, Path, is_missing, path_of, printed, subject_of, values_at
from privacy.formats.readers import RowsInStream
from privacy.formats.remembered import MOST, SHORT

_BOM: Final = b"\xef\xbb\xbf"

_ESCAPE: Final = b"\\u00"
_ESCAPED_NAME: Final = re.compile(rb"\\u00[2-7]")
"""An escape of a printable ASCII character, of which field names consist."""


class JsonLines:
    """Reads files whose rows are JSON documents, one a line, with their people at these paths."""

    head = 0

    def __init__(self, *subjects: str, addresses: bool = False) -> None:
        self._addresses: Final = addresses
        self._known_addresses: set[str] = set()
        self._paths: Final = [path_of(subject) for subject in subjects]
        names = [next(step for step in reversed(path) if step != EACH) for path in self._paths]
        self._names: Final = [
            _Name(name, [path for path, last in zip(self._paths, names, strict=True) if last == name])
            for name in dict.fromkeys(names)
        ]

    def blocks(self, content: Iterable[bytes]) -> Iterator[Block]:
        """Yield the file's rows. Raises LineTooLongError."""
        line, offset = 1, 0
        for piece in whole_lines(content):
            rows = piece.split(b"\n")
            ended = not rows[-1]
            if ended:
                rows.pop()
            subjects: Sequence[Subject] | None = self._subjects_at_once(piece, rows)
            if subjects is None:
                subjects = [self.subject_of(row) for row in rows]
            yield Block(piece, rows, subjects, ended, line, offset)
            line += len(rows)
            offset += len(piece)

    def subject_of(self, row: bytes) -> Subject:
        """Return whose the row is."""
        if is_blank(row):
            return None
        faults: set[str] = set()
        try:
            document = orjson.loads(row)
        except orjson.JSONDecodeError:
            return self._subject_of_members(row)
        if not isinstance(document, dict):
            return Unreadable("not a JSON object")
        values: list[Any] = []
        for name in self._names:
            found = [value for path in name.paths for value in values_at(document, path, faults)]
            # Whole numbers beyond 64 bits are floats too: the row's own spelling counts.
            if float in set(map(type, found)) or name.may_hide(row, len(found)):
                return self._subject_of_members(row)
            values += found
        return self._subject_among(document, values, faults)

    def corrected(self, row: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes | None:
        """Return the row with the fields set, one change after the other, or None where nothing changes.

        `changes` map dotted field paths to values read by `loads_exactly`. Byte order mark and line ending
        are kept. Raises UnreadableRowError where the row cannot be read or written.
        """
        mark, body, ending = _parts(row)
        document = loads_uniquely(body)
        differs = [set_fields(document, fields) for fields in changes]
        return mark + dumps_exactly(document) + ending if any(differs) else None

    def values(self, row: bytes, field: str) -> list[str]:
        """Return the single values at a dotted path of the row as they print, also of a member given twice.

        Raises UnreadableRowError where the row cannot be read.
        """
        _, body, _ = _parts(row)
        found = map(printed, values_at(loads_members(body), path_of(field), set()))
        return [text for text in found if text is not None]

    def without(self, row: bytes, gone: Callable[[str], bool]) -> bytes | None:
        """Return the row without the list elements whose subject is `gone`, or None where nothing changes.

        Raises UnreadableRowError where the row cannot be read or written.
        """
        mark, body, ending = _parts(row)
        document = loads_uniquely(body)
        changed = False
        for path in self._paths:
            last = max(position for position, step in enumerate(path) if step == EACH)
            for elements in values_at(document, path[:last], set()):
                if not isinstance(elements, list):
                    continue
                kept = [element for element in elements if not _is(element, path[last + 1 :], gone)]
                if len(kept) < len(elements):
                    elements[:] = kept
                    changed = True
        return mark + dumps_exactly(document) + ending if changed else None

    def _subjects_at_once(self, piece: bytes, rows: list[bytes]) -> list[str] | None:
        """Return the subjects of rows that all name exactly one in the plainest way, or None."""
        path, name = self._paths[0], self._names[0]
        if len(self._paths) > 1 or EACH in path:
            return None
        if piece.count(name.text) != len(rows) or _has_escaped_name(piece):
            return None
        loads = orjson.loads
        values: list[Any]
        try:
            if len(path) == 1:
                (last,) = path
                values = [loads(row)[last] for row in rows]
            elif len(path) == 2:
                parent, last = path
                values = [loads(row)[parent][last] for row in rows]
            else:
                values = [loads(row) for row in rows]
                for step in path:
                    values = list(map(itemgetter(step), values))
        except (ValueError, KeyError, TypeError):
            return None
        kinds = set(map(type, values))
        if kinds in ({int}, {int, str}):
            values, kinds = list(map(str, values)), {str}
        if kinds != {str} or max(map(len, values)) > MAX_IDENTIFIER:
            return None
        return values if not self._addresses or self._are_addresses(values) else None

    def _are_addresses(self, values: list[str]) -> bool:
        known = self._known_addresses
        if known.issuperset(values):
            return True
        new = set(values) - known
        if not all(map(may_be_address, new)):
            return False
        if len(known) >= MOST:
            known.clear()
        known.update(value for value in new if len(value) <= SHORT)
        return True

    def _subject_of_members(self, row: bytes) -> Subject:
        try:
            document = loads_members(row.removeprefix(_BOM))
        except UnreadableRowError as error:
            return Unreadable(str(error))
        if not isinstance(document, list) or type(document) is list:
            return Unreadable("not a JSON object")
        faults: set[str] = set()
        values = [value for path in self._paths for value in values_at(document, path, faults)]
        return self._subject_among(document, values, faults)

    def _subject_among(self, document: Any, values: list[Any], faults: set[str]) -> Subject:  # noqa: ANN401
        # Each field has to be there, if only as null. An empty object holds nobody.
        if document and not faults and not (values and len(self._paths) == 1 and EACH not in self._paths[0]):
            faults.update(NO_FIELD for path in self._paths if _lacks(document, path))
        return subject_of(values, faults, addresses=self._addresses)


JSON_LINES: Final = RowsInStream(
    lambda subjects, dataset: JsonLines(*subjects, addresses=dataset.names_by_address), elements=True
)


class _Name:
    """The last name of subject fields, and the paths that end with it."""

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        self.paths: Final = paths
        self.text: Final = f'"{name}"'.encode()
        self._member: Final = re.compile(re.escape(self.text) + rb"\s*:")
        self._in_lists: Final = any(path[-1] == EACH for path in paths)

    def may_hide(self, row: bytes, found: int) -> bool:
        """Return whether the row may have more members of this name than the values that were `found`."""
        if self._in_lists:
            return True  # the values are not the name's own members
        return (row.count(self.text) != found and len(self._member.findall(row)) != found) or (
            _has_escaped_name(row)
        )


def _has_escaped_name(text: bytes) -> bool:
    # The first is a search for one byte, which costs next to nothing.
    return b"\\" in text and _ESCAPE in text and _ESCAPED_NAME.search(text) is not None


def _lacks(document: Any, path: Path) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether a field on the way is not there at all: in lists of any element, else where nothing
    stands at the path."""
    is_there = EACH not in path and any(True for _ in values_at(document, path, set()))
    return not is_there and is_missing(document, path)


def _parts(row: bytes) -> tuple[bytes, bytes, bytes]:
    """Split a row into byte order mark, document and line ending."""
    content = row.rstrip(b"\r\n")
    body = content.removeprefix(_BOM)
    return content[: len(content) - len(body)], body, row[len(content) :]


def _is(element: Any, path: Path, gone: Callable[[str], bool]) -> bool:  # noqa: ANN401 - any JSON value
    found = subject_of(list(values_at(element, path, set())), set())
    named = found.named if isinstance(found, Unreadable) else (found,) if isinstance(found, str) else found
    return any(gone(identifier) for identifier in named or ())
