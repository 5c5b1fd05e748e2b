"""Rows of another shape than the dataset declares: they pass for nobody, and for nobody else."""

import json
from typing import TYPE_CHECKING, Any

import pytest

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
