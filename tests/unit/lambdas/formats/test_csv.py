"""Csv files: rows go and fields change, everything else stays as its bytes were."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.customers.customer import CsvDialect
from privacy.formats import csv_rows
from privacy.formats.blocks import Subject, Unreadable
from privacy.formats.csv_rows import CsvRows
from privacy.formats.edits import RowEdits
from privacy.formats.paths import TOO_LONG
from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
HEAD = b"no,email,name,text\r\n"
TOO_SHORT = "has no field for the subject"


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def read(content: bytes, dialect: CsvDialect, size: int = 1000) -> list[tuple[bytes, Subject]]:
    blocks = list(CsvRows(("email",), dialect).blocks(cut(content, size)))
    assert b"".join(block.content for block in blocks) == content
    return [row for block in blocks for row in zip(block.rows, block.subjects, strict=True)]


def test_rows_of_the_subject_go_and_the_neighbours_are_byte_identical(world: "World") -> None:
    others = [
        b'1,bob@example.org,"Bob ""B"" Doe","two\r\nlines, and a comma"\r\n',
        b"3,,nobody,\r\n",
        b"\r\n",
    ]
    content = (
        HEAD
        + others[0]
        + b'2,anna@example.org,Anna,"\r\n"\r\n'
        + others[1]
        + others[2]
        + b'4,"ANNA@example.org "'
    )
    world.put("answers/a.csv", content + b",,")
    request = world.erase(ANNA)
    world.run()
    assert world.contents("answers/a.csv") == [HEAD + b"".join(others)]
    assert world.request(request).state == "completed"


def test_a_dataset_may_declare_columns_delimiter_quote_and_encoding(world: "World") -> None:
    content = "1;Zoë;'a;b'\n2;Zoe;€\n3;'Zoë';'it''s'".encode("cp1252")
    world.put("sales/a.csv", content)
    world.erase("Zoë")
    world.run()
    assert world.contents("sales/a.csv") == ["2;Zoe;€\n".encode("cp1252")]


def test_a_correction_changes_the_bytes_of_its_field_alone(world: "World") -> None:
    content = (
        HEAD + b'1,bob@example.org,Bob,"a"\r\n"2","anna@example.org","Ana",  plain \r\n3,anna@example.org,Ana'
    )
    world.put("answers/a.csv", content)
    request = world.correct(ANNA, [{"dataset": "answers", "set": {"name": 'An"na, Ä', "text": None}}])
    world.run()
    expected = content.replace(b'"Ana"', '"An""na, Ä"'.encode()).replace(b",  plain ", b",")
    expected = expected.removesuffix(b"Ana") + '"An""na, Ä"'.encode()
    assert world.contents("answers/a.csv") == [expected]
    assert world.request(request).state == "completed"


def test_a_value_that_the_encoding_lacks_is_reported(world: "World") -> None:
    world.put("sales/a.csv", b"1;anna;x\n")
    request = world.correct("anna", [{"dataset": "sales", "set": {"note": "名前"}}])
    world.run()
    done = world.request(request)
    assert (done.state, world.read("sales/a.csv")) == ("partial", b"1;anna;x\n")
    assert done.detail is not None
    assert done.detail["unparsed"][0]["reason"] == "the new value does not exist in the dataset's encoding"


def test_rows_that_cannot_be_read_stay_and_are_reported_with_their_line(world: "World") -> None:
    bad = [
        b'1,"x@y" z,a,b\r\n',
        b'3, "anna@example.org",a,b\r\n',
        b"4\r\n",
        b"5,\xff,a,b\r\n",
        b'6,a,"open\r\n',
    ]
    rows = [HEAD, bad[0], b'2,anna@example.org,"two\r\nlines",b\r\n', *bad[1:], b"7,bob@example.org,a,b\r\n"]
    world.put("answers/a.csv", b"".join(rows))
    request = world.erase(ANNA)
    world.run()
    assert world.contents("answers/a.csv") == [b"".join([*rows[:2], *rows[3:]])]
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    assert [(entry["line"], entry["reason"]) for entry in done.detail["unparsed"]] == [
        (2, "quotes or carriage returns out of place"),
        (5, "quotes or carriage returns out of place"),
        (6, "has no field for the subject"),
        (7, "not in the dataset's encoding"),
        (8, "quotes or carriage returns out of place"),
    ]


@pytest.mark.parametrize(
    ("content", "subjects"),
    [
        (b"no,mail\n1,a\n", [Unreadable("header without the subject's column"), None]),
        (b"email\n0\n\n00\n", [None, "0", None, "00"]),
        (b'\xef\xbb\xbf"email",n\nx,1\n', [None, "x"]),
        (b"\xef\xbb\xbfemail,n\nx,1", [None, "x"]),
        (b"email,n,email\nx,1,y\nx,1,x\nx,1,\n", [None, ("x", "y"), "x", "x"]),
        (b"email,n,email\nx,1\n", [None, Unreadable(TOO_SHORT, ("x",))]),
        (b"n,email\r\n1,x\r\n2,y\n3,z\r\n4,w\r", [None, "x", "y", "z", "w"]),
        (b'n,email\n"5"" pipe",x\n5" pipe,y\n', [None, "x", "y"]),
        ('n,email\n1,"Zoë 名前 🙂"\n2,{}\n'.format("l" * 512).encode(), [None, "Zoë 名前 🙂", "l" * 512]),
        (f"n,email\n2,{'l' * 5000}\n".encode(), [None, Unreadable(TOO_LONG, ("l" * 5000,))]),
        (b"a\rb,email\n1,x\n", [Unreadable("header without the subject's column"), None]),
        (b"n,email\n1\r2,x\n3,y\n", [None, csv_rows._NOT_A_ROW, "y"]),
        (b'"n\nn","email"\n"1\n1",x\n', [None, "x"]),
        (b"", []),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_whose_a_row_is(content: bytes, subjects: list[Subject], size: int) -> None:
    assert [subject for _, subject in read(content, CsvDialect(), size)] == subjects


def test_a_quote_that_nobody_closes_costs_its_line_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 300)
    rows = [b"n,email", b'1,"open', *(b"%d,x" % n for n in range(200))]
    found = read(b"\n".join(rows), CsvDialect(), 50)
    assert found == [(rows[0], None), (rows[1], csv_rows._NOT_A_ROW), *((row, "x") for row in rows[2:])]


def quoting(row: Sequence[str], everything: bool) -> int:
    # A field that begins with a space and has a quote is told from a sloppy one only by being quoted, and
    # the module itself forgets to quote the line end that it does not use.
    special = any(field != field.lstrip() or set(field) & {"\r", "\n"} for field in row)
    return csv.QUOTE_ALL if everything or special else csv.QUOTE_MINIMAL


people = st.sampled_from(["0", "ann", "Ann ", "zoë", "a,b", 'q"q', "two\nlines", "x\r\ny", " lead", "", "é€"])
texts = st.one_of(people, st.text(st.characters(codec="cp1252", exclude_characters="\0"), max_size=6))
tables = st.lists(st.tuples(texts, people, texts), max_size=12)


@examples(100)
@given(
    table=tables,
    erased=st.sets(people, max_size=3),
    marks=st.sampled_from([(",", '"'), (";", "'"), ("\t", '"'), ("|", "%"), ("^", "\\"), (" ", '"')]),
    encoding=st.sampled_from(["utf-8", "windows-1252"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    final=st.booleans(),
    header=st.booleans(),
    all_quoted=st.booleans(),
    bom=st.booleans(),
    size=st.sampled_from([1, 3, 10, 100, 10_000]),
)
@example([("a", "ann", "b")], {"ann"}, (",", '"'), "utf-8", "\n", False, False, False, True, 10)
def test_what_the_csv_module_writes_is_erased_row_by_row(
    table: Sequence[tuple[str, str, str]],
    erased: set[str],
    marks: tuple[str, str],
    encoding: str,
    ending: str,
    final: bool,
    header: bool,
    all_quoted: bool,
    bom: bool,
    size: int,
) -> None:
    def written(row: Sequence[str]) -> bytes:
        out = io.StringIO(newline="")
        how = quoting(row, all_quoted)
        csv.writer(out, delimiter=marks[0], quotechar=marks[1], lineterminator=ending, quoting=how).writerow(
            row
        )
        return out.getvalue().encode(encoding)

    columns = ("no", "email", "text")
    lines = [(None, written(columns))] if header else []
    lines += [(row[1], written(row)) for row in table]
    if bom and encoding == "utf-8" and lines:
        lines[0] = (lines[0][0], b"\xef\xbb\xbf" + lines[0][1])
    if not final and lines:
        lines[-1] = (lines[-1][0], lines[-1][1].removesuffix(ending.encode()))
    content = b"".join(line for _, line in lines)
    dialect = CsvDialect(marks[0], marks[1], encoding, None if header else columns)
    gone = {name.strip().casefold() for name in erased} - {""}
    edits = RowEdits(frozenset(gone), {}, lambda name: name.strip().casefold() or None)
    left = b"".join(edits.applied(CsvRows(("email",), dialect), cut(content, size)))
    kept = [line for name, line in lines if name is None or name.strip().casefold() not in gone]
    assert left == b"".join(kept)
    assert edits.done.unparsed_count == 0
    assert edits.done.rows_dropped == len(lines) - len(kept)


@examples(70)
@given(
    content=st.text(st.sampled_from('ab,"\n\r ')).map(lambda text: b"email,x\n" + text.encode()),
    size=st.integers(1, 30),
)
def test_all_bytes_come_back_and_rows_never_depend_on_the_cut(content: bytes, size: int) -> None:
    assert read(content, CsvDialect(), size) == read(content, CsvDialect(), 10_000)


@examples(50)
@given(row=st.tuples(texts, people, texts), new=texts, quoted=st.booleans())
def test_a_corrected_row_reads_as_the_old_one_with_the_new_value(
    row: tuple[str, str, str], new: str, quoted: bool
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="", quoting=quoting(row, quoted)).writerow(row)
    reader = CsvRows(("email",), CsvDialect(columns=("no", "email", "text")))
    before = out.getvalue().encode()
    after = reader.corrected(before, [{"text": new}]) or before
    assert next(csv.reader(io.StringIO(after.decode(), newline=""))) == [row[0], row[1], new]
    assert (after == before) == (row[2] == new)


def test_normal_csv_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Both ways give the same subjects; the quick one must be what files without quotes take.
    def refuse(*_: object, **__: object) -> Callable[[], None]:
        raise AssertionError

    rows = b"".join(b"%d,p%d@example.org,x\r\n" % (n, n) for n in range(50))
    assert [s for _, s in read(HEAD + rows, CsvDialect(), 100)][1:] == [
        f"p{n}@example.org" for n in range(50)
    ]
    reader = CsvRows(("email",), CsvDialect(columns=("no", "email", "name")))
    monkeypatch.setattr(reader, "_row_by_row", refuse)
    assert sum(len(block.rows) for block in reader.blocks([rows])) == 50
