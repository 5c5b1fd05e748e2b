"""Rows of a JSON Lines object: whose they are, and what they look like after a correction.

Bytes go in and come out; a row that is not changed is never written anew. What cannot be read is told in
fixed words, never with the content.

Every row is parsed, but only its subject fields are made into values (`_Typed`): the rest of a row is read
for being JSON and passed over. Rows that such a decoder does not take, or cannot be trusted with, are read
again one by one and in full: a field that is not there, a value of another kind, a byte that is not UTF-8.

Two members of one name are the trap: a parser keeps the last, and the first may name somebody too. So the
subject field's name is counted in the text: where it stands as often as the parser found it, and no escape
could spell it otherwise, no other member can have it. Wherever that does not come out even, the row is read
again with all of its members.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
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
from privacy.formats.paths import EACH, Members, Path, is_missing, path_of, printed, subject_of, values_at
from privacy.formats.readers import RowsInStream
from privacy.formats.remembered import MOST, SHORT

_MOST_LESSONS: Final = 8
"""How often a reader looks in a file for other members of a subject field's name."""

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
        self._typed = _Typed.of(self._paths, len(self._paths))
        self._lessons = _MOST_LESSONS

    def blocks(self, content: Iterable[bytes]) -> Iterator[Block]:
        """Yield the file's rows. Raises LineTooLongError."""
        line, offset = 1, 0
        for piece in whole_lines(content):
            rows = piece.split(b"\n")
            ended = not rows[-1]
            if ended:
                rows.pop()
            subjects = self._subjects_at_once(piece, rows)
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

    def _subjects_at_once(self, piece: bytes, rows: list[bytes]) -> Sequence[Subject] | None:
        """Return the subjects of rows that all name them in the plainest way, or None."""
        if self._typed is None or _has_escaped_name(piece):
            return None
        columns = self._typed.columns(rows)
        if columns is None or not (piece.isascii() or _is_utf8(piece)):
            return None
        kinds = [set(map(type, values)) for values in columns]
        for name in self._names:
            found = 0
            for path, values, kind in zip(self._typed.paths, columns, kinds, strict=True):
                if path[-1] == name.name:
                    found += len(rows) - (values.count(_NOWHERE) if _Nowhere in kind else 0)
            if name.may_be_hidden(piece, found):
                return self._subjects_at_once(piece, rows) if self._has_learned(rows[0]) else None
        wanted = len(self._paths)
        if self._addresses and not self._are_addresses(set().union(*columns[:wanted]) - {None, _NOWHERE}):
            return None
        return _subjects_among(columns[:wanted], set().union(*kinds[:wanted]))

    def _has_learned(self, row: bytes) -> bool:
        """Return whether the row has members of a subject field's name in other places, new until now.

        They are decoded as well from now on, so that they are not taken for hidden ones.
        """
        if self._typed is None or not self._lessons:
            return False
        self._lessons -= 1
        try:
            places = list(_places_of(loads_members(row), {name.name for name in self._names}))
        except UnreadableRowError:
            return False
        paths = list(dict.fromkeys([*self._typed.paths, *places]))
        typed = _Typed.of(paths, len(self._paths)) if len(self._typed.paths) < len(paths) else None
        if typed is not None:
            self._typed = typed
        return typed is not None

    def _are_addresses(self, values: AbstractSet[Any]) -> bool:
        known = self._known_addresses
        new = values - known
        if not all(isinstance(value, str) and may_be_address(value) for value in new):
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
        self.name: Final = name
        self.paths: Final = paths
        self.text: Final = f'"{name}"'.encode()
        self._member: Final = re.compile(re.escape(self.text) + rb"\s*:")
        self._in_lists: Final = any(path[-1] == EACH for path in self.paths)

    def may_hide(self, row: bytes, found: int) -> bool:
        """Return whether the row may have more members of this name than the values that were `found`."""
        if self._in_lists:
            return True  # the values are not the name's own members
        return self.may_be_hidden(row, found) or _has_escaped_name(row)

    def may_be_hidden(self, text: bytes, found: int) -> bool:
        """Return whether there may be more such members than were `found`, spelled without an escape.

        In a text of several rows too: none has less of them than were found in it.
        """
        return text.count(self.text) != found and len(self._member.findall(text)) != found


class _Nowhere:
    """Stands for the value at a path whose parent is null."""


_NOWHERE: Final = _Nowhere()

_Text = Annotated[str, msgspec.Meta(max_length=MAX_IDENTIFIER)]
_Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Value = _Text | _Whole | float | None
"""What a subject field may hold. A number with a point or an exponent is a float: its spelling counts, and so
does that of a very large one."""


class _Typed:
    """Decodes of rows the values at some paths alone: each row has to have them, or null above them.

    Only the first `wanted` paths have to be there; at the others anything or nothing may stand. The decoder
    reads all of a row as JSON (it refuses what `json` refuses), but does not look whether text that it passes
    over is UTF-8.
    """

    def __init__(self, kind: Any, paths: Sequence[Path], getters: Sequence[str]) -> None:  # noqa: ANN401 - a type
        self.paths: Final = paths
        self._decode: Final = msgspec.json.Decoder(kind).decode
        self._steps: Final = [each.split(".") for each in getters]
        self._getters: Final = [attrgetter(each) for each in getters]

    @classmethod
    def of(cls, paths: Sequence[Path], wanted: int) -> "_Typed | None":
        """Return the decoder of these paths, None where one leads through lists or into another."""
        tree: dict[str, Any] = {}
        for number, path in enumerate(paths):
            *parents, last = path
            place: Any = tree
            for step in parents:
                place = place.setdefault(step, {}) if isinstance(place, dict) else None
            if EACH in path or not isinstance(place, dict) or last in place:
                return None
            place[last] = number < wanted
        return cls(_struct(tree), paths, [_attributes(tree, path) for path in paths])

    def columns(self, rows: Sequence[bytes]) -> list[list[Any]] | None:
        """Return the values at each path, row by row, or None where not every row has them as they should be.

        Where a parent is null, `_NOWHERE` is in their place, and where nothing stands that need not.
        """
        try:
            if len(self._steps) == 1 and len(self._steps[0]) == 2:
                try:
                    # By far the most frequent: without a call a row.
                    return [[document.f0.f0 for document in map(self._decode, rows)]]
                except AttributeError:  # of None
                    pass
            documents = list(map(self._decode, rows))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None
        return [self._column(documents, place) for place in range(len(self._steps))]

    def _column(self, documents: Sequence[Any], place: int) -> list[Any]:
        try:
            return list(map(self._getters[place], documents))
        except AttributeError:
            return [_at(document, self._steps[place]) for document in documents]


def _struct(tree: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a type made at run time
    """Return the type of an object with the members of a tree: objects, values, and some that need not be."""
    fields: list[Any] = []
    for number, below in enumerate(tree.values()):
        name = f"f{number}"
        if isinstance(below, dict):
            kind = _struct(below) | None
            fields.append((name, kind) if _is_wanted(below) else (name, kind, None))
        else:
            fields.append((name, _Value) if below else (name, msgspec.Raw, _NOWHERE))
    # Those that need not be there come last.
    fields.sort(key=len)
    names = {f"f{number}": name for number, name in enumerate(tree)}
    return msgspec.defstruct("Row", fields, rename=names, gc=False)


def _is_wanted(tree: Mapping[str, Any]) -> bool:
    return any(_is_wanted(below) if isinstance(below, dict) else below for below in tree.values())


def _attributes(tree: Mapping[str, Any], path: Path) -> str:
    found = []
    for step in path:
        found.append(f"f{list(tree).index(step)}")
        tree = tree[step]
    return ".".join(found)


def _places_of(document: Any, names: AbstractSet[str], above: Path = ()) -> Iterator[Path]:  # noqa: ANN401 - JSON
    """Yield the paths through objects alone to the members of these names."""
    for name, value in document if isinstance(document, Members) else ():
        if name in names:
            yield (*above, name)
        yield from _places_of(value, names, (*above, name))


def _at(document: Any, steps: Sequence[str]) -> Any:  # noqa: ANN401 - any value
    for step in steps:
        if document is None:
            return _NOWHERE
        document = getattr(document, step)
    return document


def _subjects_among(columns: Sequence[Sequence[Any]], kinds: AbstractSet[type]) -> Sequence[Subject] | None:
    """Return whose the rows are by the values, of these `kinds`, at their paths.

    None where the spelling of a value counts, which is lost.
    """
    if float in kinds:
        return None
    if kinds != {str}:
        columns = [[_text(value) for value in values] for values in columns]
    if len(columns) == 1:
        return columns[0]
    found: list[Subject] = []
    for values in zip(*columns, strict=True):
        named = dict.fromkeys(values)
        named.pop(None, None)
        found.append(tuple(named) if len(named) > 1 else next(iter(named), None))
    return found


def _text(value: Any) -> str | None:  # noqa: ANN401 - text, a whole number, None or _NOWHERE
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
