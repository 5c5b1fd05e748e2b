"""Visits through positions give the bytes that a full parse gives, or give up."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from privacy.customers.customer import CsvDialect
from privacy.formats import compression
from privacy.formats.blocks import RowReader
from privacy.formats.copies import PositionsWrongError, RowCopy
from privacy.formats.csv_rows import CsvRows
from privacy.formats.edits import RowEdits
from privacy.formats.jsonl import JsonLines
from privacy.formats.positions import (
    PackedWrongError,
    Position,
    RowPositions,
    Splice,
    Target,
    followed,
    moved,
    packed_splices,
    unpacked_positions,
    unpacked_splices,
)
from privacy.index import entries as index_entries
from privacy.index.entries import Entries, Marker
from tests.properties import examples

PEOPLE = ["ann", "Ann", "bob", "zoë", "7", "0"]
READING = b"as ever."
BOM = b"\xef\xbb\xbf"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "zstd": zstandard.compress,
}


def reference(identifier: str) -> str | None:
    return identifier.casefold().strip() or None


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def indexed(reader: RowReader, content: bytes, size: int) -> RowPositions:
    positions = RowPositions(reference, 10_000_000)
    for block in reader.blocks(cut(content, size)):
        positions.take(block.rows, block.subjects, block.offset, ended=block.ended)
    positions.see_head(reader.head)
    return positions


def entries_of(positions: RowPositions, version: str) -> Entries:
    packed = {ref: positions.packed(ref) for ref in positions.rows}
    return Entries(
        dict.fromkeys(packed, version),
        {ref: READING + text for ref, text in packed.items() if text is not None},
    )


emails = st.sampled_from(PEOPLE)
texts = st.text(st.sampled_from("ab \",\n'é{}"), max_size=6)
ends = st.sampled_from(["\n", "\r\n"])


@st.composite
def jsonl_rows(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["", "  "])) + draw(ends)
    to = draw(st.lists(emails, max_size=3))
    row = {"to": to, "text": draw(texts)}
    return json.dumps(row, ensure_ascii=draw(st.booleans())) + draw(ends)


@st.composite
def csv_rows(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["", "  "])) + draw(ends)
    text = '"' + draw(texts).replace('"', '""') + '"'
    return f"{draw(st.integers(0, 99))},{draw(emails)},{text}" + draw(ends)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """(the kind of the file, its content)"""
    kind = draw(st.sampled_from(["jsonl", "csv", "csv without header"]))
    rows = draw(st.lists(jsonl_rows() if kind == "jsonl" else csv_rows(), max_size=12))
    head = draw(st.sampled_from(["", "\n"])) + 'n,id,"te\nxt"\r\n' if kind == "csv" else ""
    text = head + "".join(rows)
    if draw(st.booleans()) and rows:
        text = text.removesuffix("\n").removesuffix("\r")
    return kind, (BOM if draw(st.booleans()) and text else b"") + text.encode()


def reader_of(kind: str) -> RowReader:
    if kind == "jsonl":
        return JsonLines("to[]")
    columns = None if kind == "csv" else ("n", "id", "te\nxt")
    return CsvRows(("id",), CsvDialect(columns=columns))


@st.composite
def visits(draw: st.DrawFn) -> tuple[frozenset[str], dict[str, list[dict[str, str]]], bool]:
    """(whom to erase, what to correct, whether only elements of a list go)"""
    refs = st.sampled_from(sorted({reference(person) or "" for person in PEOPLE}))
    fields = st.fixed_dictionaries({"te\nxt": texts, "text": texts})
    return (
        draw(st.frozensets(refs, max_size=2)),
        draw(st.dictionaries(refs, st.lists(fields, min_size=1, max_size=2), max_size=2)),
        draw(st.booleans()),
    )


@examples(100)
@given(
    file=files(),
    codec=st.sampled_from(sorted(PACKED)),
    series=st.lists(visits(), min_size=1, max_size=4),
    size=st.integers(1, 60),
)
def test_visits_through_positions_write_what_full_parses_write(
    file: tuple[str, bytes],
    codec: str,
    series: Sequence[tuple[frozenset[str], Mapping[str, Sequence[Mapping[str, Any]]], bool]],
    size: int,
) -> None:
    kind, content = file
    found = indexed(reader_of(kind), content, size)
    assume(found.unreadable == 0)  # a byte order mark on a line of its own
    entries = entries_of(found, "v0")
    marker = Marker("v0", base="v0", head=found.head, reading=READING)
    for number, (erase, changes, elements) in enumerate(series):
        only_elements = elements and kind == "jsonl"
        refs = {ref for ref in erase | changes.keys() if ref in entries.versions}
        full = RowEdits(erase, changes, reference, only_elements, positions=RowPositions(reference, 10**7))
        reader = reader_of(kind)
        expected = b"".join(full.applied(reader, cut(content, size)))

        targets = entries.targets(marker, refs, READING)
        assert targets is not None
        quick = RowEdits(erase, changes, reference, only_elements)
        _, plain = compression.unpacked(cut(PACKED[codec](content), size))
        copy = RowCopy(reader_of(kind), marker.head, targets, quick)
        assert b"".join(copy.applied(plain)) == expected
        assert quick.done == full.done
        assert quick.splices == full.splices

        again = indexed(reader_of(kind), expected, size)
        assert full.positions is not None
        full.positions.see_head(reader.head)
        assert {r: full.positions.packed(r) for r in full.positions.rows} == {
            r: again.packed(r) for r in again.rows
        }
        marker = replace(marker.rewritten(quick.splices, READING), version_id=f"v{number + 1}")
        for ref in erase:
            # As a visit leaves it: whom it erased has no entry.
            entries.versions.pop(ref, None)
        content = expected


def test_the_same_content_has_the_same_positions_however_it_is_read() -> None:
    content = BOM + b'{"to": ["ann"]}\n\r\n{"to": ["bob", "Ann"]}\r\n{"to": ["ann"]}'
    for size in (1, 7, 1000):
        found = indexed(JsonLines("to[]"), content, size)
        assert dict(found.rows) == {"ann": 3, "bob": 1}
        packed = found.packed("ann")
        assert packed is not None
        rows = [content[p.offset : p.end] for p in unpacked_positions(packed)]
        assert rows == [BOM + b'{"to": ["ann"]}\n', b'{"to": ["bob", "Ann"]}\r\n', b'{"to": ["ann"]}']


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b'{"to": [[]]}\n'])
def test_a_file_with_something_unreadable_has_no_positions(line: bytes) -> None:
    content = b'{"to": ["ann"]}\n' + line + b'{"to": ["ann"]}\n'
    found = indexed(JsonLines("to[]"), content, 1000)
    assert (found.complete, found.unreadable, dict(found.rows)) == (False, 1, {"ann": 2})
    assert found.packed("ann") is None


def test_positions_that_take_too_much_memory_are_dropped_and_rows_still_counted() -> None:
    rows = [b'{"to": ["ann"]}\n', b'{"to": ["bob"]}\n'] * 500
    content = b"".join(rows)
    found = RowPositions(reference, 5_000)
    for block in JsonLines("to[]").blocks(cut(content, 300)):
        found.take(block.rows, block.subjects, block.offset, ended=block.ended)
    assert not found.complete
    assert dict(found.rows) == {"ann": 500, "bob": 500}


def test_an_entry_that_would_be_too_large_has_no_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.formats.positions.MAX_PACKED_BYTES", 100)
    content = b'{"to": ["ann"]}\n' * 51 + b'{"to": ["bob"]}\n'
    found = indexed(JsonLines("to[]"), content, 1000)
    assert found.packed("ann") is None
    assert found.packed("bob") is not None


@pytest.mark.parametrize(
    ("content", "offset", "length"),
    [
        (b'{"to": ["bob"]}\n{"to": ["ann"]}\n', 0, 16),  # somebody else's
        (b'{"to": ["ann"]}\n{"to": ["bob"]}\n', 0, 32),  # two rows
        (b'{"to": ["ann"]}\n{"to": ["bob"]}\n', 0, 15),  # without its line feed
        (b'{"to": ["ann"]}\n{"to": ["bob"]}\n', 0, 17),  # into the next
        (b'  {"to": ["ann"]}\n', 2, 16),  # not from the start of its line
        (b'{"to": ["ann"]}\n', 16, 16),  # behind the end
        (b'{"to": ["ann"]}\n', 0, 40),  # over the end
        (b"not json at all\n", 0, 16),
        (b"", 0, 16),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_position_that_is_not_about_the_row_is_noticed(
    content: bytes, offset: int, length: int, size: int
) -> None:
    edits = RowEdits(frozenset({"ann"}), {}, reference)
    targets = [Target(Position(offset, length), ("ann",))]
    with pytest.raises(PositionsWrongError):
        list(RowCopy(JsonLines("to[]"), 0, targets, edits).applied(cut(content, size)))


def test_a_line_inside_a_row_of_several_lines_is_not_taken_for_the_row() -> None:
    content = b'1,bob,"x\n2,ann,y\n"\n'
    edits = RowEdits(frozenset({"ann"}), {}, reference)
    targets = [Target(Position(0, len(content)), ("ann",))]
    with pytest.raises(PositionsWrongError):
        list(RowCopy(reader_of("csv without header"), 0, targets, edits).applied([content]))


def entries(**versions: str) -> Entries:
    packed = READING + b"\x00\x10"
    return Entries(dict(versions), dict.fromkeys(versions, packed))


MARKER = Marker("v2", base="v1", splices=packed_splices([Splice(100, 20, 0)]), reading=READING)


@pytest.mark.parametrize(
    ("kept", "marker", "reading"),
    [
        (entries(ann="v1"), MARKER, READING),  # bob has none
        (entries(ann="v1", bob="v0"), MARKER, READING),  # an older version's
        (entries(ann="v1", bob="v3"), MARKER, READING),  # another version's
        (entries(ann="v1", bob="v1"), MARKER, b"now else"),
        (entries(ann="v1", bob="v1"), replace(MARKER, reading=b"now else"), READING),
        (entries(ann="v1", bob="v1"), Marker("v2"), READING),
        (Entries({"ann": "v1", "bob": "v1"}, {"ann": READING + b"\x00\x10"}), MARKER, READING),
        (Entries({"ann": "v1", "bob": "v1"}, None), MARKER, READING),
        (Entries({"ann": "v1", "bob": "v1"}, {"ann": READING, "bob": READING + b"\x80"}), MARKER, READING),
        (entries(ann="v1", bob="v1"), replace(MARKER, splices=packed_splices([Splice(5, 20, 0)])), READING),
    ],
)
def test_entries_that_do_not_tell_for_certain_are_no_use(
    kept: Entries, marker: Marker, reading: bytes
) -> None:
    assert entries(ann="v1", bob="v1").targets(MARKER, ["ann", "bob"], READING) is not None
    assert kept.targets(marker, ["ann", "bob"], reading) is None


def test_a_correction_that_makes_a_row_somebody_elses_ends_the_use_of_positions() -> None:
    content = b'{"to": ["ann"]}\n{"to": ["bob"]}\n'
    edits = RowEdits(frozenset(), {"ann": [{"to": ["bob"]}]}, reference)
    assert b"".join(edits.applied(JsonLines("to[]"), [content])).count(b"bob") == 2
    assert edits.splices is None
    assert Marker("v1", base="v1", reading=READING).rewritten(edits.splices, READING).base is None


def test_splices_beyond_the_limit_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    marker = Marker("v1", base="v1", reading=READING)
    splices = [Splice(n * 1000, 300, 0) for n in range(100)]
    assert marker.rewritten(splices, READING).base == "v1"
    monkeypatch.setattr(index_entries, "MAX_SPLICES_BYTES", 100)
    assert marker.rewritten(splices, READING).base is None


lengths = st.lists(st.integers(1, 400), max_size=30)


@examples(100)
@given(lengths=lengths, series=st.lists(st.lists(st.integers(0, 400)), max_size=4), data=st.data())
def test_splices_in_sequence_are_one(
    lengths: list[int], series: list[list[int]], data: st.DataObject
) -> None:
    """Rows by number and length; some change, some go, again and again."""
    offsets = [sum(lengths[:n]) for n in range(len(lengths))]
    base = [Position(offset, length) for offset, length in zip(offsets, lengths, strict=True)]
    now = list(lengths)
    together: list[Splice] = []
    for change in series:
        splices, offset = [], 0
        for number, length in enumerate(now):
            new = change[number] if number < len(change) else length
            if length and new != length and data.draw(st.booleans()):
                splices.append(Splice(offset, length, new))
                now[number] = new
            offset += length
        together = followed(together, unpacked_splices(packed_splices(splices)))
    expected = [Position(sum(now[:n]), length) for n, length in enumerate(now) if length]
    assert list(moved(base, together)) == expected


def test_splices_that_do_not_fit_each_other_are_noticed() -> None:
    with pytest.raises(PackedWrongError):
        followed([Splice(10, 5, 7)], [Splice(10, 5, 0)])
    with pytest.raises(PackedWrongError):
        followed([Splice(10, 5, 0)], [Splice(8, 5, 0)])
    with pytest.raises(PackedWrongError):
        list(moved([Position(0, 10)], [Splice(5, 10, 0)]))
    with pytest.raises(PackedWrongError):
        list(moved([Position(5, 10)], [Splice(0, 10, 0)]))
    for text in (b"\x80", b"\x01", b"\x00\x00", b"\x00\x01"):
        with pytest.raises(PackedWrongError):
            unpacked_splices(text)
