"""Where a subject's rows stand in a file: offsets and lengths in its plain content, packed small.

A row's length counts the line feed that ends it, so that a row cut out leaves a file of whole rows.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Final, NamedTuple

from privacy.customers.references import ReferenceOf
from privacy.formats.blocks import MAX_LINE_BYTES, Subject, Unreadable, named
from privacy.formats.remembered import remember

MAX_PACKED_BYTES: Final = 32 * 1024
"""Most that one subject's positions in one object take: about 5,000 rows. A table item has at most 400 KB,
and a plan reads all of a subject's items."""

INDEX_BYTES: Final = 256 * 1024 * 1024
"""Memory in which the index function collects positions: of about 30 million rows."""

_LENGTH_BITS: Final = MAX_LINE_BYTES.bit_length()
_LENGTH_MASK: Final = (1 << _LENGTH_BITS) - 1
_MOST_CONTENT: Final = (1 << (64 - _LENGTH_BITS)) - 2 * MAX_LINE_BYTES  # bytes: about 137 GB
_BYTES_A_ROW: Final = 9  # of an array, which grows ahead of what it holds
_BYTES_A_SUBJECT: Final = 500  # reference, array, and their places in dictionaries
_MOST_HEAD: Final = 64 * 1024  # bytes of a csv file's header


class Position(NamedTuple):
    """A row at `offset` in the plain content, `length` bytes with its line feed."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Where the next row begins."""
        return self.offset + self.length


class Splice(NamedTuple):
    """A row that became another one, or nothing (`new` is 0); lengths with the line feed."""

    offset: int
    old: int
    new: int


class PackedWrongError(ValueError):
    """Packed positions that do not end where they should."""


@dataclass(slots=True)
class RowPositions:
    """Collects the rows of every subject of a file, block by block, in the order of the file.

    Positions take at most about `limit` bytes of memory. A file that needs more has none (`complete` is
    false), its rows are only counted; nor has one with something unreadable in it, which every visit has to
    report. `head` is how much of the file a reader has to see before any row out of its middle.
    """

    reference: ReferenceOf
    limit: int
    complete: bool = True
    unreadable: int = 0
    head: int = 0
    _rows: int = 0
    _places: dict[str, "array[int]"] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _known: dict[Subject, tuple["array[int]", ...]] = field(default_factory=dict)

    @property
    def rows(self) -> Counter[str]:
        """How many rows each subject has."""
        return Counter({ref: len(places) for ref, places in self._places.items()}) + self._counts

    def take(self, rows: Sequence[bytes], subjects: Sequence[Subject], offset: int, *, ended: bool) -> None:
        """Add rows that follow each other from `offset` on; where not `ended`, the last has no line feed."""
        self._rows += len(rows)
        used = self._rows * _BYTES_A_ROW + len(self._places) * _BYTES_A_SUBJECT
        if self.complete and (used > self.limit or offset >= _MOST_CONTENT):
            self._drop()
        if not self.complete:
            self._count(subjects)
            return
        known = self._known
        last = len(rows) - 1
        for number, (row, subject) in enumerate(zip(rows, subjects, strict=True)):
            length = len(row) + (ended or number != last)
            if subject is not None:
                for places in known.get(subject) or self._places_of(subject):
                    places.append(offset << _LENGTH_BITS | length)
            offset += length
        if self.unreadable:
            self._drop()

    def note_unreadable(self, count: int) -> None:
        """Note that `count` parts of the file could not be read: from now on rows are only counted."""
        self.unreadable += count
        if self.complete:
            self._drop()

    def see_head(self, size: int) -> None:
        """Note that a reader needs the file's first `size` bytes; of a large head no positions are kept."""
        self.head = size
        if size > _MOST_HEAD and self.complete:
            self._drop()

    def _drop(self) -> None:
        """Forget where the rows are, and only count them from now on."""
        self._counts = self.rows
        self._places.clear()
        self._known.clear()
        self.complete = False

    def packed(self, ref: str) -> bytes | None:
        """Return where the subject's rows are, or None where that is not known or takes too much."""
        if not self.complete or 2 * len(self._places[ref]) > MAX_PACKED_BYTES:
            return None
        places = [(place >> _LENGTH_BITS, place & _LENGTH_MASK) for place in self._places[ref]]
        text = _packed(chain.from_iterable(_gaps(places)))
        return text if len(text) <= MAX_PACKED_BYTES else None

    def _count(self, subjects: Sequence[Subject]) -> None:
        for subject, count in Counter(subjects).items():
            if isinstance(subject, Unreadable):
                self.unreadable += count
            self._counts.update(dict.fromkeys(self._refs(subject), count))

    def _places_of(self, subject: Subject) -> tuple["array[int]", ...]:
        if isinstance(subject, Unreadable):
            self.unreadable += 1
        found = tuple(self._places.setdefault(ref, array("Q")) for ref in self._refs(subject))
        if isinstance(subject, str):
            remember(self._known, subject, found)
        return found

    def _refs(self, subject: Subject) -> list[str]:
        # Two spellings of one person are one reference, and one row of it.
        return list(dict.fromkeys(ref for ref in map(self.reference, named(subject)) if ref is not None))


def unpacked_positions(text: bytes) -> Iterator[Position]:
    """Yield the positions that were packed, in the order of the file. Raises PackedWrongError."""
    end = 0
    numbers = _unpacked(text)
    for gap in numbers:
        length = next(numbers, 0)
        if not length:
            raise PackedWrongError
        yield Position(end + gap, length)
        end += gap + length


def packed_splices(splices: Iterable[Splice]) -> bytes:
    """Return splices, in the order of the file, packed small."""

    def numbers() -> Iterator[int]:
        end = 0
        for splice in splices:
            # Most rows are dropped: one bit says so, instead of a whole byte.
            yield splice.offset - end
            yield splice.old << 1 | (splice.new > 0)
            if splice.new:
                yield splice.new
            end = splice.offset + splice.old

    return _packed(numbers())


def unpacked_splices(text: bytes) -> list[Splice]:
    """Return the splices that were packed. Raises PackedWrongError."""
    found: list[Splice] = []
    end = 0
    numbers = _unpacked(text)
    for gap in numbers:
        old = next(numbers, 0)
        new = next(numbers, 0) if old & 1 else 0
        if not old >> 1 or (old & 1 and not new):
            raise PackedWrongError
        found.append(Splice(end + gap, old >> 1, new))
        end += gap + (old >> 1)
    return found


def moved(positions: Iterable[Position], splices: Sequence[Splice]) -> Iterator[Position]:
    """Yield where rows are after the splices; those that were dropped are left out.

    Both are in the order of the file. Raises PackedWrongError where a splice is not about whole rows.
    """
    waiting = iter(splices)
    splice = next(waiting, None)
    shift = 0
    for position in positions:
        while splice is not None and splice.offset < position.offset:
            if splice.offset + splice.old > position.offset:
                raise PackedWrongError
            shift += splice.new - splice.old
            splice = next(waiting, None)
        if splice is None or splice.offset >= position.end:
            yield Position(position.offset + shift, position.length)
        elif (splice.offset, splice.old) != (position.offset, position.length):
            raise PackedWrongError
        elif splice.new:
            yield Position(position.offset + shift, splice.new)


def followed(earlier: Sequence[Splice], later: Sequence[Splice]) -> list[Splice]:
    """Return both as one: from the content that `earlier` are about to what `later` led to.

    `later` are about the content that `earlier` led to. Raises PackedWrongError where they do not fit.
    """
    found: list[Splice] = []
    waiting = iter(earlier)
    splice = next(waiting, None)
    shift = 0
    for change in later:
        # A row that went takes no room: the one in its place is the next that is left.
        while splice is not None and (
            splice.offset + shift < change.offset
            or (splice.offset + shift == change.offset and not splice.new)
        ):
            found.append(splice)
            shift += splice.new - splice.old
            splice = next(waiting, None)
        if splice is not None and splice.offset + shift == change.offset:
            if splice.new != change.old:
                raise PackedWrongError
            found.append(Splice(splice.offset, splice.old, change.new))
            shift += splice.new - splice.old
            splice = next(waiting, None)
        else:
            found.append(Splice(change.offset - shift, change.old, change.new))
    if splice is not None:
        found.append(splice)
    found += waiting
    if any(one.offset + one.old > other.offset for one, other in pairwise(found)):
        raise PackedWrongError
    return found


def _gaps(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    end = 0
    for offset, length in places:
        yield offset - end, length
        end = offset + length


def _packed(numbers: Iterable[int]) -> bytes:
    """Return numbers in base 128, the lowest digits first; the top bit says that more follow."""
    text = bytearray()
    append = text.append
    for number in numbers:
        left = number
        while left > 127:
            append(left & 127 | 128)
            left >>= 7
        append(left)
    return bytes(text)


def _unpacked(text: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in text:
        number |= (byte & 127) << shift
        if byte > 127:
            shift += 7
        else:
            yield number
            number = shift = 0
    if shift:
        raise PackedWrongError


class Target(NamedTuple):
    """A row in which subjects that a visit is about have to be named."""

    place: Position
    refs: tuple[str, ...]
