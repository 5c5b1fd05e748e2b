"""Blocks of JSON rows are read in a quick way: whatever the rows are, it tells what the slow one does."""

import json
from itertools import zip_longest

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.formats.blocks import NO_FIELD, Subject, Unreadable, UnreadableRowError, is_blank
from privacy.formats.edits import Concerned
from privacy.formats.json_values import loads_members
from privacy.formats.jsonl import JsonLines
from privacy.formats.paths import is_missing, path_of, subject_of, values_at
from tests.properties import examples

ANNA, BOB = "anna@example.org", "bob@example.org"

VALUES = [
    *(b'"anna@example.org"', b'"bob@example.org"', b'""', b'"NaN"', b'"\\u0061nna"', b'"\\ud800"', b'"a\\n"'),
    *(b'"' + b"x" * 513 + b'"', b'" ' + b"x" * 512 + b'"', b'"' + "\U0001f642".encode() * 512 + b'"'),
    *(b"12", b"12.0", b"1e3", b"-0", b"1.50", b"9007199254740993.0", b"99999999999999999999", b"1" * 5000),
    *(
        b"9223372036854775807",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"1" * 450,
        b"1.0000000000000000000001",
    ),
    *(b"true", b"false", b"null", b"[]", b"{}", b'["anna"]', b"NaN", b"-Infinity", b"012", b"nul", b"+1"),
    *(b'"\xff"', b'"\xed\xa0\x80"', b'"\xc3"', b'"\t"', b'"\\x"', b'"open', b"", b"[[" * 700 + b"]]" * 700),
]
NAMES = [
    *(
        b'"email"',
        b'"em\\u0061il"',
        b'"Email"',
        b'"name"',
        b'"author"',
        b'"reader"',
        b'"a.b"',
        b'""',
        b"email",
    ),
]
PATHS = [
    ("author.email",),
    ("email",),
    ("a.author.email",),
    ("author.email", "reader.email"),
    ("email", "name"),
]


def usual(subjects: tuple[str, ...], *values: bytes) -> bytes:
    """A row with a value at each of the paths, the first again where there are more."""
    members = [b'"t":"\xc3\xbc"']
    for subject, value in zip_longest(subjects, values[: len(subjects)], fillvalue=values[0]):
        *parents, last = subject.split(".")
        member = b'"%b":%b' % (last.encode(), value)
        for parent in reversed(parents):
            member = b'"%b":{%b}' % (parent.encode(), member)
        members.append(member)
    return b"{%b}" % b",".join(members)


def objects_of(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    colons = st.sampled_from([b":", b" : ", b":\r"])
    members = st.lists(st.tuples(st.sampled_from(NAMES), colons, values), max_size=4)
    return members.map(lambda found: b"{%b}" % b",".join(map(b"".join, found)))


documents = st.recursive(st.sampled_from(VALUES), objects_of, max_leaves=6)
endings = st.sampled_from([b"", b"", b"", b"\r", b" ", b"x", b"{}", b"\x1a", b","])
rows = st.one_of(
    st.tuples(
        st.builds(usual, st.sampled_from(PATHS), st.sampled_from(VALUES), st.sampled_from(VALUES)), endings
    ).map(b"".join),
    st.tuples(objects_of(documents), endings).map(b"".join),
    st.sampled_from([b"", b" ", b"[]", b"null", b"\xef\xbb\xbf{}", b'{"author":', b'{"email":"bob"}}']),
    st.binary(max_size=8).filter(lambda row: b"\n" not in row),
)


def read_slowly(row: bytes, subjects: tuple[str, ...]) -> Subject:
    """Whose a row is by all of its members, of whatever names."""
    if is_blank(row):
        return None
    try:
        document = loads_members(row.removeprefix(b"\xef\xbb\xbf"))
    except UnreadableRowError as error:
        return Unreadable(str(error))
    if type(document) is list or not isinstance(document, list):
        return Unreadable("not a JSON object")
    faults: set[str] = set()
    paths = [path_of(subject) for subject in subjects]
    values = [list(values_at(document, path, faults)) for path in paths]
    if document and not faults:
        faults.update(
            NO_FIELD
            for path, found in zip(paths, values, strict=True)
            if not found and is_missing(document, path)
        )
    return subject_of([value for found in values for value in found], faults)


def read(content: bytes, *subjects: str) -> list[Subject]:
    """Whose the rows of a file are, read in one piece."""
    return [subject for block in JsonLines(*subjects).blocks([content]) for subject in block.subjects]


@given(st.sampled_from(PATHS), st.lists(rows, min_size=1, max_size=4), st.integers(0, 3), st.booleans())
@example(("author.email",), [b'{"author":{"email":"a","email":"b"}}', b'{"author":null}'], 0, True)
@example(("author.email",), [b'{"author":{"email":"a"},"author":null}', b'{"author":{"email":"b"}}'], 0, True)
@example(("author.email",), [b'{"author":{"email":"a"},"t":"\xe9"}'], 2, True)
@example(("author.email", "reader.email"), [b'{"author":{"email":"a"},"reader":{"email":"a"}}'], 1, False)
@examples(1500)
def test_a_block_of_rows_tells_what_each_row_tells_when_all_of_its_members_are_read(
    subjects: tuple[str, ...], odd: list[bytes], plain: int, ended: bool
) -> None:
    found = [usual(subjects, b'"c"', b'"d"')] * plain + odd
    if not ended and not found[-1]:
        found[-1] = b" "  # a line feed at the end begins no row
    content = b"\n".join(found) + b"\n" * ended
    assert read(content, *subjects) == [read_slowly(row, subjects) for row in found]


@pytest.mark.parametrize("subjects", PATHS)
@pytest.mark.parametrize("first", VALUES, ids=range(len(VALUES)))
def test_every_value_that_a_subject_field_may_have_is_read_in_a_block_as_it_is_alone(
    subjects: tuple[str, ...], first: bytes
) -> None:
    for second in VALUES:
        row = usual(subjects, first, second)
        twice = [b'"em\\u0061il":"x","email":', b'"email":"x","em\\u0061il":', b'"email":"x","email":']
        rows = [row, *(row.replace(b'"email":', members) for members in twice)]
        assert [read(row, *subjects) for row in rows] == [[read_slowly(row, subjects)] for row in rows]


@pytest.mark.parametrize("null", [b'{"author":null}', b'{"a":null,"author":null,"reader":{"email":"b"}}'])
@pytest.mark.parametrize(
    "subjects", [("author.email",), ("author.email", "reader.email"), ("a.author.email",)]
)
def test_a_parent_that_is_null_is_nobody_in_a_block_as_it_is_alone(
    subjects: tuple[str, ...], null: bytes
) -> None:
    rows = [usual(subjects, b'"c"', b'"d"'), null, usual(subjects, b"null", b"7")]
    assert read(b"\n".join(rows), *subjects) == [read_slowly(row, subjects) for row in rows]


@pytest.mark.parametrize("subject", ["author.email", "email", "a.b.email"])
def test_a_person_who_is_named_first_by_a_member_given_twice_is_found_among_many(subject: str) -> None:
    def row(email: str) -> bytes:
        *parents, _ = subject.split(".")
        text = f'{{"email":{email},"t":"\u00fc"}}'
        for parent in reversed(parents):
            text = f'{{"{parent}":{text}}}'
        return text.encode() + b"\n"

    others = row(json.dumps(BOB)) * 200
    twice = row(f'"{ANNA}","email":"{BOB}"')
    found = read(others + twice + others, subject)
    assert found == [BOB] * 200 + [(ANNA, BOB)] + [BOB] * 200


def test_a_byte_that_is_no_utf_8_is_noticed_in_a_field_that_nobody_asks_for() -> None:
    rows = [b'{"author":{"email":"%d"},"text":"\xc3\xbc"}' % number for number in range(300)]
    rows[200] = b'{"author":{"email":"anna"},"text":"M\xfcller"}'
    found = read(b"\n".join(rows), "author.email")
    assert found[200] == Unreadable("not UTF-8")
    assert found[:200] + found[201:] == [str(number) for number in range(300) if number != 200]


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from("abcd"),
            st.lists(st.sampled_from("abcd"), min_size=2, max_size=3).map(tuple),
            st.builds(Unreadable, st.just("why"), st.lists(st.sampled_from("abcd")).map(tuple)),
        ),
        max_size=6,
    ).map(lambda subjects: subjects * 2),
    st.sets(st.sampled_from("abcd")),
)
@examples(300)
def test_rows_are_concerned_by_any_of_the_people_that_they_name(
    subjects: list[Subject], wanted: set[str]
) -> None:
    concerned = Concerned(lambda identifier: f"ref-{identifier}", {f"ref-{each}" for each in wanted})
    for _ in range(2):  # what is remembered of the first time has to be right
        assert concerned.places(subjects) == [
            place
            for place, subject in enumerate(subjects)
            if isinstance(subject, Unreadable) or wanted.intersection(subject or ())
        ]


@given(
    st.lists(
        st.tuples(
            st.builds(
                usual,
                st.just(("author.email", "reader.email", "copy.to.email")),
                *[st.sampled_from(VALUES)] * 3,
            ),
            st.sampled_from(
                [
                    (b"", b""),
                    (b'"reader":{', b'"reader":null,"r":{'),
                    (b'"copy":{', b'"copies":{'),
                    (b'"author":{', b'"author":{"email":"first",'),
                    (b'"reader":{', b'"reader":{"email":"first"},"reader":{'),
                    (b'"t":', b'"email":"x","t":'),
                    (b'"t":', b'"t":"email","u":'),
                    (b'"t":', b'"list":[{"email":"x"}],"t":'),
                ]
            ),
        ).map(lambda made: made[0].replace(*made[1]) if made[1][0] else made[0]),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
@examples(500)
def test_members_of_the_same_name_in_other_places_of_a_row_change_nothing(
    odd: list[bytes], plain_first: bool
) -> None:
    plain = usual(("author.email", "reader.email", "copy.to.email"), b'"c"', b'"d"', b'"e"')
    rows = [plain, *odd] if plain_first else odd
    for subjects in [("author.email",), ("reader.email", "author.email"), ("copy.to.email",)]:
        assert read(b"\n".join(rows), *subjects) == [read_slowly(row, subjects) for row in rows]
