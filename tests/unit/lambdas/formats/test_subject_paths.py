"""Subjects in lists, and members of one name: every one of them counts."""

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.formats.blocks import Subject, Unreadable, named
from privacy.formats.edits import RowEdits
from privacy.formats.jsonl import JsonLines
from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
NOT_SINGLE = "subject field is not a single value"
NO_PARENT = "parent of the subject field is not an object"
NOT_A_LIST = "list of the subject field is not a list"


def mail(*people: object, **more: object) -> bytes:
    return json.dumps({"recipients": [{"email": person} for person in people], **more}).encode() + b"\n"


def test_a_row_goes_if_any_element_of_its_list_is_the_subject(world: "World") -> None:
    others = [mail(BOB), mail(), mail(None, BOB), b'{"recipients": null}\n', b"{}\n", mail(BOB, BOB)]
    world.put("mails/a", mail(ANNA) + others[0] + mail(BOB, "ANNA@example.org") + b"".join(others[1:]))
    request = world.erase(ANNA)
    world.run()
    assert world.contents("mails/a") == [b"".join(others)]
    assert world.request(request).state == "completed"
    assert world.partition(BOB) == ["object#mails/a"]


def test_an_index_entry_counts_a_row_once_for_each_of_its_subjects(world: "World") -> None:
    world.put("mails/a", mail(ANNA, BOB, "Anna@example.org") + mail(BOB))
    rows = {item["pk"]["S"]: item["rows"]["N"] for item in world.items() if "object" in item}
    assert rows == {f"subject#{world.ref(ANNA)}": "1", f"subject#{world.ref(BOB)}": "2"}


def test_only_the_element_goes_where_the_dataset_says_so(world: "World") -> None:
    kept = b'{ "members": ["bob", 7], "title": 1.50 }\n'
    row = b'{"members": ["anna", 12, "12", "bob"],  "title": 1.50}\r\n'
    world.put("threads/a", kept + row + b'{"members":["12"]}')
    world.erase("12", "anna")
    world.run()
    assert world.contents("threads/a") == [kept + b'{"members":["bob"],"title":1.50}\r\n' + b'{"members":[]}']
    assert world.partition("12") == ["erased"]


def test_a_correction_and_the_removal_of_an_element_meet_in_one_row(world: "World") -> None:
    world.put("threads/a", b'{"members":["anna","bob"],"title":"x"}\n')
    world.erase("anna")
    world.correct("bob", [{"dataset": "threads", "set": {"title": "y"}}])
    world.run()
    assert world.contents("threads/a") == [b'{"members":["bob"],"title":"y"}\n']


@pytest.mark.parametrize("path", ["mails/a", "threads/a"])
def test_what_is_not_a_list_is_reported(world: "World", path: str) -> None:
    name = "recipients" if path == "mails/a" else "members"
    world.put(path, mail(ANNA) + b'{"members":["anna@example.org"]}\n')
    bad = json.dumps({name: {"email": ANNA}}).encode()
    version = world.put(
        path, bad + b"\n" + (mail(ANNA) if name == "recipients" else b'{"members":["%s"]}' % ANNA.encode())
    )
    request = world.erase(ANNA)
    world.run()
    assert version
    assert world.read(path).startswith(bad)
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    assert [(e["line"], e["reason"]) for e in done.detail["unparsed"]] == [(1, NOT_A_LIST)]


@pytest.mark.parametrize(
    ("row", "subject"),
    [
        (b'{"author":{"email":"a"},"author":{"email":"b"}}', ("a", "b")),
        (b'{"author":{"email":"a","email":"b"}}', ("a", "b")),
        (b'{"author":{"email":"a"},"author":null}', "a"),
        (b'{"author":{"email":"a"},"author":{}}', "a"),
        (b'{"author":{"email":"a"},"\\u0061uthor":{"email":"b"}}', ("a", "b")),
        (b'{"author":{"email":"a","\\u0065mail":"b"}}', ("a", "b")),
        (b'{"author":{"\\u0065\\u006dail":"a"}}', "a"),
        (b'{"author":{"email" : "a", "kind":"email"},"channel":"email"}', "a"),
        (b'{"author":{"email":"a"},"text":"\\"author\\":{\\"email\\":\\"b\\"}"}', "a"),
        (b'{"author":{"email":"a"},"author":{"email":{"b":1}}}', Unreadable(NOT_SINGLE, ("a",))),
        (b'{"author":{"email":"a"},"author":"b"}', Unreadable(NO_PARENT, ("a",))),
        (b'{"author":{"email":-0}}', "0"),
        (b'{"author":{"email":-0.0}}', "0"),
        (b'{"author":{"email":18446744073709551616}}', "18446744073709551616"),
        (b'{"author":{"email":false}}', "false"),
        (b'{"author":{"email":""}}', ""),
        (b'{"author":{"email":1e2}}', "100"),
        (b'{"author":{"email":"a"}} {}', Unreadable("not JSON")),
        (b"[[" * 3000, Unreadable("nested too deeply")),
        (b'[["author", {"email": "a"}]]', Unreadable("not a JSON object")),
    ],
)  # fmt: skip
def test_whose_a_row_is(row: bytes, subject: Subject) -> None:
    reader = JsonLines("author.email")
    plain = b'{"author":{"email":"x"}}'
    for content in (row, plain + b"\n" + row, row + b"\n" + plain + b"\n"):
        found = {
            r: s
            for block in reader.blocks([content])
            for r, s in zip(block.rows, block.subjects, strict=True)
        }
        assert found[row] == subject
        assert found.get(plain, "x") == "x"


def test_a_row_with_a_field_twice_is_erased_but_never_written_anew(world: "World") -> None:
    twice = b'{"author":{"email":"anna@example.org"},"text":"a","text":"b"}\n'
    world.put("feedback/a", twice)
    corrected = world.correct(ANNA, [{"dataset": "feedback", "set": {"text": "c"}}])
    world.run()
    assert world.contents("feedback/a") == [twice]
    assert world.request(corrected).state == "partial"
    world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a") == [b""]


PEOPLE = ["0", "7", "ann", "zoë", "email", "a\\b", '"email":"7"']
scalars = st.one_of(st.sampled_from(PEOPLE), st.integers(0, 9), st.none(), st.just(1.5), st.booleans())
members = st.lists(st.tuples(st.sampled_from(["email", "mail"]), scalars), max_size=3)
documents = st.lists(
    st.tuples(st.sampled_from(["author", "x", "email"]), st.one_of(members, scalars)), max_size=3
)


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """A JSON row whose objects may have members of one name, with names and values spelled in any way."""

    def text(value: str) -> str:
        if draw(st.integers(0, 3)):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        return '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"'

    def written(value: object) -> str:
        if isinstance(value, list):
            return (
                "{"
                + ",".join(f"{text(k)}{draw(st.sampled_from(['', ' ']))}:{written(v)}" for k, v in value)
                + "}"
            )
        return text(value) if isinstance(value, str) else json.dumps(value)

    return written(draw(documents)).encode()


def every_subject(row: bytes) -> set[str]:
    """Every value of the subject field, whatever hides it: the slow and obvious way."""
    document = json.loads(row, object_pairs_hook=lambda pairs: pairs)
    values = [
        v
        for k, inner in document
        if k == "author" and isinstance(inner, list)
        for n, v in inner
        if n == "email"
    ]
    return {v if isinstance(v, str) else json.dumps(v) for v in values if v is not None}


@examples(120)
@given(
    rows=st.lists(spelled(), min_size=1, max_size=6), erased=st.sampled_from(PEOPLE), size=st.integers(1, 200)
)
def test_nobody_hides_behind_spelling_or_a_second_member(rows: list[bytes], erased: str, size: int) -> None:
    content = b"\n".join(rows)
    reader = JsonLines("author.email")
    blocks = list(reader.blocks(content[n : n + size] for n in range(0, len(content), size)))
    found = [set(named(subject)) for block in blocks for subject in block.subjects]
    assert found == [every_subject(row) for row in rows]

    edits = RowEdits(frozenset({erased}), {}, lambda name: name or None)
    left = b"".join(edits.applied(JsonLines("author.email"), [content]))
    kept = [row for row in rows if erased not in every_subject(row)]
    assert left.removesuffix(b"\n") == b"\n".join(kept)
