"""Rows of another shape than the dataset declares: they pass for nobody, and for nobody else."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from privacy.formats.paths import NO_ADDRESS

from ..support.parquet_files import buyer, stored, table
from ..support.reindexing import reindex, row

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL, DORA = "anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org"


def bare(personal: str = "other", **dialect: object) -> dict[str, Any]:
    """A dataset of csv files without a header, whose people are not said to be addresses."""
    written = {"delimiter": ",", "quote": '"', "encoding": "utf-8", "columns": ["email", "text", "no"]}
    return {"name": "bare", "format": "csv", "prefix": "bare/", "subject": "email",
            "personal": {"email": personal}, "csv": written | dialect}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"anna@example.org:x:1\n",
        b"anna@example.org x 1\n",
        b"anna@example.org    x         1\n",
        b"bob@example.org,x,1\nanna@example.org:x:1\ncarl@example.org,x, and y,1\n",
        b"bob@example.org,x,1,2\nanna@example.org:x\ncarl@example.org,x,1,2\n",
        b'bob@example.org,"x",1\nanna@example.org:x:1\ncarl@example.org,"x, and y",1\n',
        b"text,email,no\nx,anna@example.org,1\n",
        b"Text,EMAIL,No\nx,anna@example.org,1\n",
        b"<row email='anna@example.org'/>\n",
        b'{"email": "anna@example.org"}\n',
    ],
)
def test_rows_of_another_shape_in_files_without_a_header(world: "World", content: bytes) -> None:
    world.declare(bare())
    world.put("bare/a", content)
    assert [world.erased(who).state for who in (ANNA, DORA)] == ["partial", "partial"]


@pytest.mark.parametrize(
    "content",
    [
        b"email,text,no\nanna@example.org,x,1\n",
        b"anna@example.org,x\nanna@example.org,x,1,,\n",
        b"anna@example.org,x, and y,1\n",
        b'anna@example.org,"x, and ""y"", and z",1\nbob@example.org,5" pipe,2\n',
    ],
)
def test_ragged_rows_are_read_where_their_subject_is_sure(world: "World", content: bytes) -> None:
    world.declare(bare())
    world.put("bare/a", content)
    assert world.erased(ANNA).state == "completed"
    assert b"anna" not in b"".join(world.contents("bare/a"))


def test_a_name_that_a_column_has_too_may_be_somebodys(world: "World") -> None:
    world.declare(bare("id", encoding="iso-8859-1", columns=["country", "no"]) | {"subject": "country"})
    world.put("bare/a", b"no,\xe9\nde,1\n")
    world.put("bare/b", b"no,1\nNo,2\nde,3\n")
    assert world.notes() == []
    assert world.erased("no").state == "completed"
    assert (world.contents("bare/a"), world.contents("bare/b")) == ([b"de,1\n"], [b"de,3\n"])


def test_a_header_of_another_order_amid_a_file(world: "World") -> None:
    files = [
        b"no,email,name,text\n1,bob@example.org,B,x\n",
        b"email,no,name,text\nanna@example.org,1,A,x\n",
        b"no,email,name,text\n2,anna@example.org,A,x\n",
    ]
    world.put("answers/a", files[0] + files[1])
    assert world.erased(ANNA).state == "partial"
    world.put("answers/a", files[0] + files[2])
    assert world.erased(ANNA).state == "completed"
    assert b"anna" not in world.read("answers/a")


def test_a_second_file_of_the_other_byte_order(world: "World") -> None:
    text = "Email\tText\tAt\n{}\tx\t2026-01-01\n"
    first, second = text.format(BOB).encode("utf-16-le"), text.format(ANNA).encode("utf-16-be")
    world.put("sheets/a", b"\xff\xfe" + first + b"\xfe\xff" + second)
    assert world.erased(ANNA).state == "partial"


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"1,x, and y,anna@example.org\n", None),
        (b'1,"x, and y",anna@example.org\n2,x, and y,bob@example.org\n', None),
        (b'1,"x\n",anna@example.org\n2,"x",more,bob@example.org\n', None),
        (b"1,to bob@example.org,bob@example.org,anna@example.org\n", None),
        (b"1,x,bob@example.org,y\n", None),
        (b"1,x, and y,anna@example.org\n2,bob@example.org\n", None),
        (b"1,x,anna@example.org,,\n2,y,bob@example.org\n", b"2,y,bob@example.org\n"),
        (b'1,"x, y, and ""z""",anna@example.org\n2,5" y,bob@example.org\n', b'2,5" y,bob@example.org\n'),
    ],
)
def test_behind_one_field_too_many_nobody_knows_whose_the_row_is(
    world: "World", content: bytes, left: bytes | None
) -> None:
    world.declare(bare("id", columns=["no", "text", "email"]))
    world.put("bare/a", content)
    states = [world.erased(who).state for who in (ANNA, DORA)]
    assert states == (["partial", "partial"] if left is None else ["completed", "completed"])
    if left is not None:
        assert world.contents("bare/a") == [left]


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("mails/a", {"recipients": [{"email": BOB}, {"e_mail": ANNA}]}),
        ("messages/a", {"from": {"email": CARL}, "to": [{"email": BOB}, {"mail": ANNA}]}),
    ],
)
def test_an_element_without_the_field_beside_others(world: "World", key: str, content: object) -> None:
    world.put(key, json.dumps(content).encode() + b"\n")
    assert [world.erased(who).state for who in (ANNA, DORA)] == ["partial", "partial"]


NO_ADDRESSES = [
    "Anna <anna@example.org>",
    "<anna@example.org>",
    "mailto:anna@example.org",
    "'anna@example.org'",
    "anna@example.org;bob@example.org",
    "anna@example.org|x|1",
    "anna at example.org",
    "4711",
]


def parquet(*people: str | None) -> bytes:
    return stored(table(*({"no": n, "buyer": buyer(who), "note": "x"} for n, who in enumerate(people))))


def in_each_format(*people: str) -> list[tuple[str, bytes]]:
    return [
        ("feedback/a", row(*people)),
        ("answers/a", b"no,email,name,text\n" + b"".join(f'1,"{who}",A,x\n'.encode() for who in people)),
        ("orders/a", parquet(*people)),
    ]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_in_a_field_of_addresses_is_said(world: "World", text: str) -> None:
    for key, content in in_each_format(BOB, text, CARL):
        world.put(key, content)
    assert {note["reason"]["S"] for note in world.notes()} == {"unreadable-rows"}
    assert {(note["detail"]["S"], note["rows"]["N"]) for note in world.notes()} == {(NO_ADDRESS, "1")}
    for who in (ANNA, DORA):
        done = world.erased(who)
        assert (done.state, (done.detail or {})["unattributed_count"]) == ("partial", 3)
    # A visit reports the row to whoever else is in the file.
    done = world.erased(BOB)
    assert {line["reason"] for line in (done.detail or {})["unparsed"]} == {NO_ADDRESS}
    # Who asks for just that text gets what is asked for, and the files are mended by it.
    request = world.correct(
        text, [{"dataset": name, "set": {field: "Right"}} for name, field in
               (("feedback", "text"), ("answers", "name"), ("orders", "note"))])  # fmt: skip
    world.settle()
    assert world.request(request).state == "partial"
    assert all(b"Right" in world.read(key) for key, _ in in_each_format())
    assert world.erased(text).state == "completed"
    assert not any(b"Right" in world.read(key) for key, _ in in_each_format())
    assert (world.notes(), world.erased(DORA).state) == ([], "completed")


def test_an_element_that_is_no_address_goes_with_who_asks_for_it(world: "World") -> None:
    content = {"members": [{"email": "Anna <anna@example.org>"}, {"email": BOB}], "title": "x"}
    dataset = {"name": "teams", "format": "jsonl", "prefix": "teams/", "subject": "members[].email",
               "personal": {"members[].email": "email"}, "remove": "element"}  # fmt: skip
    world.declare(dataset)
    world.put("teams/a", json.dumps(content).encode() + b"\n")
    assert world.erased(BOB).state == "partial"
    assert [world.erased(who).state for who in ("Anna <anna@example.org>", DORA)] == ["completed"] * 2
    assert json.loads(world.read("teams/a"))["members"] == []


def test_odd_addresses_are_addresses_and_blank_ones_are_nobodys(world: "World") -> None:
    odd = ["o'brien+tag@example.org", "ÄNNA@bücher.example", "a!#$%&*/=?^_`{}~-b@x", " anna@example.org "]
    for key, content in in_each_format(*odd, "", " "):
        world.put(key, content)
    world.put("feedback/null", b'{"author": {"email": null}}\n')
    world.put("orders/null", parquet(None, BOB))
    assert world.notes() == []
    assert [world.erased(who).state for who in (*odd, DORA)] == ["completed"] * 5
    assert world.contents("feedback/a") == [row("", " ")]


@pytest.mark.parametrize(
    "content",
    [
        b"anna@example.org;3,5\nbob@example.org;4,5\n",
        b"anna@example.org\tHello, you\n",
        b"anna@example.org|a,b\n",
        b"'anna@example.org','x',1\n",
        b'{"email": "anna@example.org", "text": "x"}\n',
    ],
)
@pytest.mark.parametrize("quote", ['"', None])
def test_a_whole_row_that_passes_for_a_field(world: "World", content: bytes, quote: str | None) -> None:
    world.declare(bare("email", quote=quote, columns=["email", "amount"]))
    world.put("bare/a", content)
    assert [world.erased(who).state for who in (ANNA, DORA)] == ["partial", "partial"]


def test_quotes_that_mean_nothing_to_the_dialect(world: "World") -> None:
    world.declare(bare("email", quote=None, delimiter="\t"))
    world.put("bare/a", b'"anna@example.org"\t"x"\t1\n')
    assert [world.erased(who).state for who in (ANNA, DORA)] == ["partial", "partial"]


def test_files_that_were_put_together_with_their_headers(world: "World") -> None:
    file = b"no,email,name,text\n1,%b,A,x\n"
    world.put("answers/a", file % ANNA.encode() + file % BOB.encode())
    assert world.notes() == []
    assert world.erased(ANNA).state == "completed"
    assert world.read("answers/a").count(b"no,email,name,text\n") == 2


def test_a_field_that_comes_to_be_one_of_addresses_is_looked_into_again(world: "World") -> None:
    world.declare(bare("text"))
    world.put("bare/a", b"Anna <anna@example.org>,x,1\n")
    assert world.erased(ANNA).state == "completed"
    world.declare(bare("email"))
    assert world.erased(ANNA).state == "partial"
    reindex(world)
    assert (len(world.notes()), world.erased(ANNA).state) == (1, "partial")
