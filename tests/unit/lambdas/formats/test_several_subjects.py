"""Rows with several fields that name a person, such as sender and recipient: any of them counts."""

import hashlib
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.customers.customer import CsvDialect, Dataset
from privacy.formats.blocks import NO_FIELD, Subject, Unreadable, named
from privacy.formats.csv_rows import CsvRows
from privacy.formats.jsonl import JsonLines
from tests.properties import examples

from ..support.parquet_files import loaded, stored
from ..support.reindexing import kinds, reindex

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"
PERSON = pa.struct({"email": pa.string()})


def message(sender: object, *to: object, name: str = "?", text: str = "t") -> bytes:
    row = {"from": {"email": sender, "name": name}, "to": [{"email": each} for each in to], "text": text}
    return json.dumps(row).encode() + b"\n"


def calls(*rows: tuple[str | None, list[str], str]) -> bytes:
    kinds = {"caller": pa.string(), "callees": pa.list_(PERSON), "note": pa.string()}
    table = [
        {"caller": caller, "callees": [{"email": each} for each in callees], "note": note}
        for caller, callees, note in rows
    ]
    return stored(pa.Table.from_pylist(table, pa.schema(kinds)), row_group_size=2)


def entries(world: "World", person: str) -> dict[str, str]:
    """How many rows the index says that a person has, by object."""
    pk = f"subject#{world.ref(person)}"
    return {i["object"]["S"]: i["rows"]["N"] for i in world.items() if i["pk"]["S"] == pk and "object" in i}


def put_all(world: "World", *, indexed: bool = True) -> None:
    """Anna pays, is paid, writes, is written to, calls and is called; Carl has nothing to do with her."""
    world.put("messages/a", b"".join(MESSAGES), indexed=indexed)
    world.put("transfers/a", b"".join(TRANSFERS), indexed=indexed)
    world.put("calls/a", calls(*CALLS), indexed=indexed)


MESSAGES = [message(ANNA, BOB), message(CARL, BOB), message(BOB, CARL, ANNA.upper()), message(None, BOB)]
TRANSFERS = [
    b"no,payer,payee,note\r\n",
    b"1,anna@example.org,bob@example.org,x\r\n",
    b'2,bob@example.org,"carl@example.org","a, b"\r\n',
    b'3,carl@example.org,"anna@example.org",x\r\n',
    b"4,anna@example.org,anna@example.org,x\r\n",
    b"5,,bob@example.org,x",
]
CALLS: list[tuple[str | None, list[str], str]] = [
    (ANNA, [BOB], "1"),
    (CARL, [BOB, ANNA], "2"),
    (BOB, [CARL], "3"),
    (None, [], "4"),
    (ANNA, [ANNA, ANNA], "5"),
]


def test_a_row_goes_whichever_of_its_fields_names_the_person(world: "World") -> None:
    put_all(world)
    assert entries(world, ANNA) == {"messages/a": "2", "transfers/a": "3", "calls/a": "3"}
    assert entries(world, CARL) == {"messages/a": "2", "transfers/a": "2", "calls/a": "2"}
    request = world.erase(ANNA)
    world.run()
    assert world.deliver() == []
    assert world.request(request).state == "completed"
    assert world.contents("messages/a") == [MESSAGES[1] + MESSAGES[3]]
    assert world.contents("transfers/a") == [TRANSFERS[0] + TRANSFERS[2] + TRANSFERS[5]]
    assert loaded(world.read("calls/a")).column("note").to_pylist() == ["3", "4"]
    assert world.partition(ANNA) == ["erased"]
    # The second erasure goes by the index that the first one left.
    world.erase(CARL)
    world.run()
    assert world.contents("messages/a") == [MESSAGES[3]]
    assert world.contents("transfers/a") == [TRANSFERS[0] + TRANSFERS[5]]
    assert loaded(world.read("calls/a")).column("note").to_pylist() == ["4"]


def test_what_arrives_late_goes_whichever_field_names_the_person(world: "World") -> None:
    put_all(world, indexed=False)
    world.erase(ANNA)
    world.run()
    while world.events:
        assert world.deliver() == []
        if world.requests.pending("acme", 1):
            world.run()
    assert world.contents("transfers/a") == [TRANSFERS[0] + TRANSFERS[2] + TRANSFERS[5]]
    assert loaded(world.read("calls/a")).column("note").to_pylist() == ["3", "4"]


def test_a_reindex_finds_everybody_in_every_field(world: "World") -> None:
    put_all(world, indexed=False)
    world.events.clear()
    done = reindex(world)
    assert kinds(world, done) == {"missing-entry": 9, "unmarked-version": 3}
    assert entries(world, ANNA) == {"messages/a": "2", "transfers/a": "3", "calls/a": "3"}
    assert kinds(world, reindex(world)) == {}


def test_a_correction_of_the_row_reaches_it_through_every_field(world: "World") -> None:
    put_all(world)
    changes = [
        {"dataset": name, "set": {field: "new"}}
        for name, field in (("messages", "text"), ("transfers", "note"), ("calls", "note"))
    ]
    request = world.correct(ANNA, changes)
    world.run()
    assert world.request(request).state == "completed"
    texts = [json.loads(row)["text"] for row in world.read("messages/a").splitlines()]
    assert texts == ["new", "t", "new", "t"]
    assert [row.rsplit(b",", 1)[1] for row in world.read("transfers/a").split(b"\r\n")] == [
        *(b"note", b"new", b' b"', b"new", b"new", b"x")
    ]
    assert loaded(world.read("calls/a")).column("note").to_pylist() == ["new", "new", "3", "4", "new"]


def test_a_correction_of_the_senders_name_leaves_the_rows_in_which_the_person_is_a_recipient(
    world: "World",
) -> None:
    world.put("messages/a", b"".join(MESSAGES))
    request = world.correct(ANNA, [{"dataset": "messages", "set": {"from.name": "Anna"}}])
    world.run()
    assert world.request(request).state == "completed"
    names = [json.loads(row)["from"]["name"] for row in world.read("messages/a").splitlines()]
    assert names == ["Anna", "?", "?", "?"]


def test_the_same_in_parquet(world: "World") -> None:
    kind = pa.struct({"email": pa.string(), "name": pa.string()})
    people = [{"email": ANNA, "name": "?"}, {"email": BOB, "name": "?"}]
    columns = {"from": pa.array(people, kind), "to": pa.array(people[::-1], kind)}
    world.put("legs/a", stored(pa.table(columns)))
    request = world.correct(ANNA, [{"dataset": "legs", "set": {"from.name": "Anna"}}])
    world.run()
    assert world.request(request).state == "completed"
    after = loaded(world.read("legs/a"))
    assert [each["name"] for each in after.column("from").to_pylist()] == ["Anna", "?"]
    assert [each["name"] for each in after.column("to").to_pylist()] == ["?", "?"]


TEAM = {
    "leads": ["anna", "bob"],
    "members": [{"id": "bob", "email": BOB}, {"id": "anna", "email": ANNA}, {"id": "x", "email": "anna"}],
}
THINNED = {"leads": ["bob"], "members": [{"id": "bob", "email": BOB}]}
MEMBER = pa.struct({"id": pa.string(), "email": pa.string()})
TEAM_SCHEMA = pa.schema({"leads": pa.list_(pa.string()), "members": pa.list_(MEMBER)})


def test_elements_go_from_every_list_that_names_the_person(world: "World") -> None:
    world.put("teams/a", json.dumps(TEAM).encode() + b"\n")
    world.put("crews/a", stored(pa.Table.from_pylist([TEAM, THINNED], TEAM_SCHEMA)))
    request = world.erase("anna")
    world.run()
    assert world.request(request).state == "completed"
    assert json.loads(world.read("teams/a")) == THINNED
    assert loaded(world.read("crews/a")).to_pylist() == [THINNED, THINNED]


@pytest.mark.parametrize(
    ("row", "subject"),
    [
        (b'{"a":"x","b":{"id":"y"}}', ("x", "y")),
        (b'{"a":"x","b":{"id":"x"}}', "x"),
        (b'{"a":"x"}', Unreadable(NO_FIELD, ("x",))),
        (b'{"b":{"id":"y"}}', Unreadable(NO_FIELD, ("y",))),
        (b'{"a":"x","b":null}', "x"),
        (b'{"a":"x","b":{"id":null}}', "x"),
        (b'{"a":"x","b":{"name":"y"}}', Unreadable(NO_FIELD, ("x",))),
        (b'{"c":"x"}', Unreadable(NO_FIELD)),
        (b'{"b":{"id":7},"a":null}', "7"),
        (b"{}", None),
        (b'{"a":"x","b":"y"}', Unreadable("parent of the subject field is not an object", ("x",))),
        (b'{"a":"x","b":{"id":"y"},"a":"z"}', ("x", "z", "y")),
        (b'{"a":"x","b":{"id":"y","\\u0069d":"z"}}', ("x", "y", "z")),
        (b'{"a":"x","b":{"id":18446744073709551616}}', ("x", "18446744073709551616")),
    ],
)
def test_whose_a_json_row_is(row: bytes, subject: Subject) -> None:
    for content in (row, row + b"\n" + row + b"\n"):
        for block in JsonLines("a", "b.id").blocks([content]):
            assert set(block.subjects) == {subject}


def test_who_is_named_in_a_row_without_the_other_field_goes_or_is_corrected(world: "World") -> None:
    """Nobody can tell such a row from one whose field was renamed: it is told, and done all the same."""
    lacking = json.dumps({"from": {"email": ANNA, "name": "?"}}).encode() + b"\n"
    world.put("messages/a", lacking + message(BOB, CARL))
    request = world.correct(ANNA, [{"dataset": "messages", "set": {"from.name": "Anna Right"}}])
    world.run()
    digest = hashlib.sha256(b"messages/a").hexdigest()[:12]
    assert b'"name":"Anna Right"' in world.read("messages/a")
    assert world.request(request).state == "partial"
    assert world.request(request).detail == {
        "unparsed": [{"dataset": "messages", "line": 1, "reason": NO_FIELD, "object": digest}],
        "unparsed_count": 1,
        "unattributed": [{"dataset": "messages", "files": 1}],
        "unattributed_count": 1,
    }  # fmt: skip
    world.erase(ANNA)
    world.run()
    assert world.contents("messages/a") == [message(BOB, CARL)]
    assert world.deliver() == []
    last = world.erase(BOB)
    world.run()
    assert world.request(last).state == "completed"


@pytest.mark.parametrize(
    ("content", "subjects"),
    [
        (b"a,n,b\nx,1,y\nx,1,x\n,1,y\n,,\n", [None, ("x", "y"), "x", "y", None]),
        (b'b,a\n"y",x\ny,"x"\n', [None, ("y", "x"), ("y", "x")]),
        (b"a,n\nx,1\n", [Unreadable("header without the subject's column"), "x"]),
        (b"a,n,b\nx,1\n", [None, Unreadable(NO_FIELD, ("x",))]),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_whose_a_csv_row_is(content: bytes, subjects: list[Subject], size: int) -> None:
    cut = [content[start : start + size] for start in range(0, len(content), size)]
    blocks = CsvRows(("a", "b"), CsvDialect()).blocks(cut)
    assert [subject for block in blocks for subject in block.subjects] == subjects


def test_a_parquet_file_without_one_of_the_columns_is_reported(world: "World") -> None:
    world.put("calls/a", stored(pa.table({"caller": [ANNA, BOB], "note": ["1", "2"]})))
    request = world.erase(ANNA)
    world.run()
    assert loaded(world.read("calls/a")).column("note").to_pylist() == ["2"]
    assert world.request(request).state == "partial"


@pytest.mark.parametrize(
    ("format", "subjects", "field", "owner"),
    [
        ("jsonl", ["from.email", "to[].email"], "from.name", "from.email"),
        ("jsonl", ["from.email", "to[].email"], "from.place.city", "from.email"),
        ("jsonl", ["from.email", "to.email"], "text", None),
        ("parquet", ["m.from.email", "m.to.email"], "m.from.name", "m.from.email"),
        ("jsonl", ["m.from.email", "m.to.email"], "m.text", None),
        ("jsonl", ["from.email", "from.phone"], "from.name", None),
        ("jsonl", ["sender", "recipient"], "sender_name", None),
        ("csv", ["from.email", "to.email"], "from.name", None),
        ("jsonl", ["from.email"], "from.name", None),
        ("records", [], "name", None),
    ],
)
def test_a_field_is_about_the_person_beside_it(
    format: str,  # noqa: A002 - what the config calls it
    subjects: list[str],
    field: str,
    owner: str | None,
) -> None:
    assert Dataset("d", format, "d/", tuple(subjects), {}).owner_of(field) == owner


PLAIN = [ANNA, BOB, "", " ", "12", "12.0", " 7 ", "x" * 513, "\x01", f'"{ANNA}"', '"a,b"', '"a""b"']
ODD = ['"a\nb"', 'a"b', '"open']
FULL_ROWS = st.lists(st.sampled_from(PLAIN), min_size=4, max_size=5).map(",".join)
ANY_ROWS = st.lists(st.sampled_from(PLAIN + ODD), min_size=1, max_size=5).map(",".join)


@given(
    st.one_of(*(st.lists(rows, min_size=1, max_size=4) for rows in (FULL_ROWS, ANY_ROWS))),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([("payer", "payee"), ("payee", "note", "payer")]),
)
@examples(1000)
def test_a_csv_row_names_whoever_stands_in_any_of_its_subject_columns(
    rows: list[str], end: str, subjects: tuple[str, ...]
) -> None:
    # In two pieces: the one with the header is read row by row.
    pieces = [f"no,payer,payee,note{end}".encode(), end.join([*rows, f"1,{ANNA},{BOB},x", ""]).encode()]

    def read(*names: str) -> list[Subject]:
        blocks = CsvRows(names, CsvDialect()).blocks(pieces)
        return [subject for block in blocks for subject in block.subjects]

    alone = [read(name) for name in dict.fromkeys(sorted(subjects, key="no,payer,payee,note".find))]
    for found, *each in zip(read(*subjects), *alone, strict=True):
        people = dict.fromkeys(person for subject in each for person in named(subject))
        if any(isinstance(subject, Unreadable) for subject in each):
            assert isinstance(found, Unreadable)
        else:
            assert list(named(found)) == list(people)
