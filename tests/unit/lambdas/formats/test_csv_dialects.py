"""Csv files as programs write them: without quotes, with escapes and comments, in UTF-16, put together."""

import codecs
import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.customers.customer import CsvDialect
from privacy.formats import compression, csv_rows
from privacy.formats.blocks import Subject, Unreadable, UnreadableRowError
from privacy.formats.compression import DamagedContentError, Utf16, Utf16Packer
from privacy.formats.csv_rows import CsvRows
from privacy.formats.edits import RowEdits
from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
BOM = b"\xef\xbb\xbf"
TWO = "perhaps two rows in one"
UNCUT = Unreadable("fields are not told apart by the dataset's delimiter", ("x",))
DUMP = CsvDialect("\t", None, "utf-8", ("email", "text"), escape="\\")
QUOTED = CsvDialect(columns=("email", "text"), escape="\\")
PLAIN = CsvDialect(columns=("email", "text"))
NOTED = CsvDialect(comment="#")


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def read(content: bytes, dialect: CsvDialect, size: int = 1000) -> list[tuple[bytes, Subject]]:
    blocks = list(CsvRows(("email",), dialect).blocks(cut(content, size)))
    assert b"".join(block.content for block in blocks) == content
    return [row for block in blocks for row in zip(block.rows, block.subjects, strict=True)]


@pytest.mark.parametrize(
    ("content", "subjects"),
    [
        # Files put together: each began with a byte order mark.
        (BOM + b"bob,x\n" + BOM + b"ann,y\n" + BOM + b'"ann","z\n"\n', ["bob", "ann", "ann"]),
        (b"x,\xef\xbb\xbftext\nann,y\n", ["x", "ann"]),
        # The last line of the first file had no end.
        (b"bob,x" + BOM + b"ann,y\ncarl,z\n", [Unreadable(TWO, ("bob",)), "carl"]),
        (b"bob" + BOM + b"ann,y\n", [Unreadable(TWO, ("bob\ufeffann",))]),
        # The end of text as CP/M and DOS had it.
        (b"ann,x\r\n\x1a", ["ann", None]),
        (b"ann,x\r\n\x1a\r\n", ["ann", None]),
        (b"ann,x\n\x1abob,y\n", ["ann", csv_rows._NOT_TEXT]),
        (b"ann,x\x1a", ["ann"]),
        (b'ann,"x"\x1a', ["ann"]),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_marks_between_files_belong_to_no_field(content: bytes, subjects: list[Subject], size: int) -> None:
    assert [subject for _, subject in read(content, PLAIN, size)] == subjects


def test_a_ctrl_z_does_not_stick_to_the_last_field() -> None:
    dialect = CsvDialect(columns=("text", "email"))
    assert [subject for _, subject in read(b"x,ann\ny,bob\x1a", dialect)] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("dialect", "content", "subjects"),
    [
        # No quotes: a quote is a character as any other.
        (DUMP, b'"ann\t5" pipe\n"ann"\tx\nann\t"\n', ['"ann', '"ann"', "ann"]),
        (replace(DUMP, escape=None), b"a\\\tx\nb\t\\\n", ["a\\", "b"]),
        (DUMP, b"ann\tx\ry\nbob\tx\r\n", [csv_rows._NOT_A_ROW, "bob"]),
        # Escapes in a dump.
        (DUMP, b"a\\\tb\tx\n\\N\tx\n\\\\N\tx\nDOM\\\\ann\tx\n", ["a\tb", None, "\\N", "DOM\\ann"]),
        (DUMP, b"a\\tb\\n\tx\n\\'ann\\'\tx\n", ["a\tb\n", "'ann'"]),
        (DUMP, b"ann\tone\\\ntwo\nbob\tx\\\\\ncarl\tx\n", ["ann", "bob", "carl"]),
        (DUMP, b"ann\\\nx\ty\nbob\tx\n", ["ann\nx", "bob"]),
        # A line that ends with a stray escape takes the next one along: both are told.
        (DUMP, b"ann\tC:\\\nbob\tx\ncarl\tx\n", [Unreadable(TWO, ("ann",)), "carl"]),
        (DUMP, b"ann\tx\\", [csv_rows._NOT_A_ROW]),
        # Escapes beside quotes: of the quote, of themselves, and nothing else.
        (QUOTED, b'"a\\"nn",x\n"a""nn",x\nD\\ann,x\n"D\\ann",x\n', ['a"nn', 'a"nn', "D\\ann", "D\\ann"]),
        (QUOTED, b'"ann\\\\",x\nbob,"x\\"\ny\\",z"\ncarl,x\n', ["ann\\", "bob", "carl"]),
        (QUOTED, b'ann,"one\\\ntwo"\n\\N,x\n"\\N",x\na\\,b,x\n', ["ann", None, "\\N", "a,b"]),
        (QUOTED, b'ann,"open\\"\nbob,x\n', [csv_rows._NOT_A_ROW, "bob"]),
        (QUOTED, b'ann,one\\\n"two"\nbob,"a"\\\nx\ncarl,x\n', ["ann", csv_rows._NOT_A_ROW, UNCUT, "carl"]),
        # Comments.
        (replace(PLAIN, comment="#"), b"#ann,x\n#\n\"#ann\",x\nbob,'#'\n", [None, None, "#ann", "bob"]),
        (replace(PLAIN, comment="#"), b'# a "quote\nbob,x\n', [None, "bob"]),
        (NOTED, b"# by hand\n\n#\nno,email\n1,ann\n#1,ann", [None, None, None, None, "ann", None]),
        (NOTED, BOM + b"# by hand\nemail\nann\n", [None, None, "ann"]),
        # Names of columns.
        (replace(PLAIN, header="caseless", columns=None), b"No, EMail \n1,ann\n", [None, "ann"]),
        (replace(PLAIN, header="caseless", columns=None), b"Email,EMAIL\nann,bob\n", [None, ("ann", "bob")]),
        (replace(PLAIN, columns=None), b"Email\nann\n", [csv_rows._NO_COLUMN, None]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_whose_a_row_is(dialect: CsvDialect, content: bytes, subjects: list[Subject], size: int) -> None:
    assert [subject for _, subject in read(content, dialect, size)] == subjects


@pytest.mark.parametrize(
    ("dialect", "row", "value", "after"),
    [
        (DUMP, b"ann\told", "a\tb\\c", b"ann\ta\\\tb\\\\c"),
        (DUMP, b"ann\told", None, b"ann\t\\N"),
        (DUMP, b"ann\t", None, b"ann\t\\N"),
        (DUMP, b"ann\t\\N", None, None),
        (DUMP, b"ann\t\\N", "", b"ann\t"),
        (DUMP, b"ann\ta\\\tb", "a\tb", None),
        (QUOTED, b"ann,old\r", 'a"b\\', b'ann,"a\\"b\\\\"\r'),
        (QUOTED, b"ann,old", None, b"ann,"),
        (replace(DUMP, escape=None), b'ann\t"old', '"new', b'ann\t"new'),
        (PLAIN, BOM + b"ann,old\x1a", "new", BOM + b"ann,new\x1a"),
        (replace(PLAIN, columns=("text", "email"), comment="#"), b"old,ann", "#new", b'"#new",ann'),
        (replace(PLAIN, comment="#"), b"ann,old", "#new", b"ann,#new"),
    ],
)
def test_a_correction_is_written_in_the_dialect(
    dialect: CsvDialect, row: bytes, value: object, after: bytes | None
) -> None:
    reader = CsvRows(("email",), dialect)
    assert reader.corrected(row, [{"text": value}]) == after
    if after is not None:
        assert reader.values(after, "text") == ([] if b"\\N" in after else ["" if value is None else value])
        assert reader.corrected(after, [{"text": value}]) is None


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        (DUMP, "two\nlines"),
        (replace(DUMP, escape=None), "a\tb"),
        (replace(DUMP, columns=("text", "email"), comment="#"), "#new"),
    ],
)
def test_a_value_that_the_dialect_cannot_write_is_refused(dialect: CsvDialect, value: str) -> None:
    with pytest.raises(UnreadableRowError, match="cannot be written in the dataset's dialect"):
        CsvRows(("email",), dialect).corrected(b"x\tann", [{"text": value}])


PEOPLE = ["0", "ann", "a,b", 'q"q', "two\nlines", "\\", "a\\", "\\N", "#x", "x\r\ny", "DOM\\ann"]
people = st.sampled_from(PEOPLE)
characters = st.characters(codec="utf-8", exclude_characters="\0\ufeff\x1a")
texts = st.one_of(people, st.text(characters, max_size=5))


@examples(100)
@given(
    table=st.lists(st.tuples(texts, people, texts), max_size=10),
    erased=st.sets(people, max_size=3),
    marks=st.sampled_from([(",", None), ("\t", None), (",", '"'), (";", "'")]),
    final=st.booleans(),
    size=st.sampled_from([1, 3, 10, 10_000]),
)
@example([("", "two\nlines", "\\"), ("\\", "a\\", "")], {"a\\"}, ("\t", None), False, 1)
def test_what_the_csv_module_writes_with_escapes_is_erased_row_by_row(
    table: Sequence[tuple[str, str, str]],
    erased: set[str],
    marks: tuple[str, str | None],
    final: bool,
    size: int,
) -> None:
    def written(row: Sequence[str]) -> bytes:
        out = io.StringIO(newline="")
        # A field that begins with a space and has a quote is told from a sloppy one only by being quoted.
        how = csv.QUOTE_NONE if marks[1] is None else csv.QUOTE_ALL
        csv.writer(
            out, delimiter=marks[0], quotechar=marks[1], quoting=how,
            escapechar="\\", doublequote=False, lineterminator="\r\n",
        ).writerow(row)  # fmt: skip
        return out.getvalue().encode()

    lines = [(row[1], written(row)) for row in table]
    if not final and lines:
        lines[-1] = (lines[-1][0], lines[-1][1].removesuffix(b"\r\n"))
    content = b"".join(line for _, line in lines)
    dialect = CsvDialect(marks[0], marks[1], "utf-8", ("no", "email", "text"), escape="\\")
    edits = RowEdits(frozenset(erased), {}, lambda name: name or None)
    left = b"".join(edits.applied(CsvRows(("email",), dialect), cut(content, size)))
    assert left == b"".join(line for name, line in lines if name not in erased)
    assert edits.done.unparsed_count == 0


@examples(70)
@given(
    content=st.text(st.sampled_from('ab,"\\\n\r#\ufeff\x1a ')).map(str.encode),
    size=st.integers(1, 30),
    dialect=st.sampled_from([QUOTED, replace(QUOTED, quote=None), NOTED]),
)
def test_all_bytes_come_back_and_rows_never_depend_on_the_cut(
    content: bytes, size: int, dialect: CsvDialect
) -> None:
    assert read(content, dialect, size) == read(content, dialect, 10_000)


SHEET = 'No\tEMail\tat\ttext\r\n1\t{0}\t2026-01-01\t"two\r\nlines"\r\n2\t"{1}"\t2026-01-01\tĊ ਊ 🙂\r\n'
SHEET += "3\tcarl\t2026-01-01\t\r\n4\t{0}\t2026-01-01\tx"
KEPT = 'No\tEMail\tat\ttext\r\n2\t"{1}"\t2026-01-01\tĊ ਊ 🙂\r\n3\tcarl\t2026-01-01\t\r\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("order", ["le", "be"])
def test_text_in_utf_16_is_erased_from_and_corrected(world: "World", order: str, pack: type[bytes]) -> None:
    mark = codecs.BOM_UTF16_LE if order == "le" else codecs.BOM_UTF16_BE
    world.put("sheets/a", pack(mark + SHEET.format(ANNA, BOB).encode(f"utf-16-{order}")))
    for requests in (
        [world.erase(ANNA)],
        [world.correct(BOB, [{"dataset": "sheets", "set": {"text": "ਊ\n"}}]), world.erase("carl")],
    ):
        world.run()
        assert world.deliver() == []
        assert {world.request(each).state for each in requests} == {"completed"}
    (content,) = world.contents("sheets/a")
    unpacked = b"".join(compression.unpacked([content])[1])
    assert unpacked[:2] == mark
    kept = KEPT.format(ANNA, BOB).replace("Ċ ਊ 🙂", '"ਊ\n"').replace("3\tcarl\t2026-01-01\t\r\n", "")
    assert unpacked[2:].decode(f"utf-16-{order}") == kept


def test_rows_of_utf_16_that_are_older_than_an_erasure_go(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    world.put("sheets/a", SHEET.format(ANNA, BOB).encode("utf-16"))
    world.run()
    assert world.read("sheets/a").decode("utf-16") == KEPT.format(ANNA, BOB)


def test_a_file_without_the_mark_is_reported_and_stays(world: "World") -> None:
    world.put("sheets/a", SHEET.format(ANNA, BOB).encode("utf-16"))
    content = SHEET.format(ANNA, BOB).encode()
    world.put("sheets/a", content)
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state in {"partial", "failed"}
    assert world.read("sheets/a") == content


def test_a_dump_of_a_database_is_erased_from_and_corrected(world: "World") -> None:
    rows = [b"# anna@example.org\n", b"anna@example.org\tx\\\ny\t1\n", b'bob@example.org\t"\t2\n']
    rows.append(b"\\N\tx\t3\n")
    world.put("copies/a", b"".join(rows))
    requests = [world.erase(ANNA, "N"), world.correct(BOB, [{"dataset": "copies", "set": {"text": "a\tb"}}])]
    world.run()
    assert {world.request(each).state for each in requests} == {"completed"}
    assert world.contents("copies/a") == [rows[0] + b"bob@example.org\ta\\\tb\t2\n" + rows[3]]


def test_a_ctrl_z_at_the_end_keeps_no_request_from_being_completed(world: "World") -> None:
    world.put("answers/a", b"no,email,name,text\r\n1,anna@example.org,A,x\r\n2,bob@example.org,B,y\r\n\x1a")
    world.put("feedback/a", b'{"author":{"email":"anna@example.org"}}\r\n\x1a')
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert world.contents("answers/a") == [b"no,email,name,text\r\n2,bob@example.org,B,y\r\n\x1a"]
    assert world.contents("feedback/a") == [b"\x1a"]


def stored_again(text: Utf16, pieces: Sequence[bytes]) -> bytes:
    packs = Utf16Packer(text, compression.packer("plain"))
    return b"".join([*map(bytes, map(packs.compress, pieces)), packs.flush()])


@examples(100)
@given(
    units=st.lists(st.integers(0, 0xFFFF) | st.sampled_from([0xD83D, 0xDE42, 0xFEFF, 10]), max_size=12),
    order=st.sampled_from(["little", "big"]),
    size=st.integers(1, 9),
)
def test_every_sequence_of_utf_16_comes_back(units: Sequence[int], order: str, size: int) -> None:
    mark = codecs.BOM_UTF16_LE if order == "little" else codecs.BOM_UTF16_BE
    content = mark + b"".join(unit.to_bytes(2, order) for unit in units)  # type: ignore[arg-type]  # a literal
    text = Utf16()
    pieces = list(text.plain(cut(content, size)))
    assert stored_again(text, pieces) == content
    assert b"".join(pieces).count(b"\n") == units.count(10)


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_an_empty_text_comes_back(content: bytes) -> None:
    text = Utf16()
    assert b"".join(text.plain([content])) == b""
    assert stored_again(text, []) == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"ab", "not in UTF-16 with a byte order mark"),
        (b"a", "not in UTF-16 with a byte order mark"),
        (codecs.BOM_UTF16_LE + b"a\0b", "ends too early"),
        (b"\xff", "not in UTF-16 with a byte order mark"),
    ],
)
def test_what_is_not_utf_16_is_damaged(content: bytes, reason: str) -> None:
    with pytest.raises(DamagedContentError, match=reason):
        list(Utf16().plain([content]))
