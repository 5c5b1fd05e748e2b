"""Rows that were written before an erasure and uploaded after it: found by their own time, and erased."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.formats import row_times
from privacy.identifiers import uuid7
from privacy.vault import objects as vault_objects
from privacy.visits import batch as visit_batch
from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
OLD, NEW = "2020-05-01T10:00:00Z", "2999-01-01T00:00:00Z"


def row(email: str, at: object = None, **more: object) -> bytes:
    return json.dumps({"by": {"email": email}, "at": at, **more}).encode() + b"\n"


def settle(world: "World") -> None:
    """Let everything that is waiting be done."""
    for _ in range(5):
        assert world.deliver() == []
        if not world.requests.pending("acme", 1):
            return
        world.run()
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01t10:00:00.5z", "2026-05-01T10:00:00.500000+00:00"),
        (" 2026-05-01 12:00:00+02:00 ", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01T10:00", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01", "2026-05-01T00:00:00+00:00"),
        ("20260501", "2026-05-01T00:00:00+00:00"),
        ("1777629600", "2026-05-01T10:00:00+00:00"),
        ("1777629600.25", "2026-05-01T10:00:00.250000+00:00"),
        ("1777629600000", "2026-05-01T10:00:00+00:00"),
        ("99999999999", "5138-11-16T09:46:39+00:00"),
        ("100000000000", "1973-03-03T09:46:40+00:00"),
    ],
)
def test_a_time_is_read(text: str, moment: str) -> None:
    found = row_times.moment_of(text)
    assert found is not None
    assert found.isoformat() == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "01.05.2026", "12345", "17776296000001", "-1777629600", "true",
             "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\uff11777629600"]
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert row_times.moment_of(text) is None


def test_older_rows_that_are_uploaded_after_an_erasure_go_and_newer_ones_stay(world: "World") -> None:
    first = world.erase(ANNA)
    world.run()
    content = row(BOB, OLD) + row(ANNA, OLD) + row(ANNA, NEW) + row(BOB, NEW) + row(ANNA, OLD, n=2)
    world.put("notes/a.jsonl", content)
    (follow_up,) = world.requests.pending("acme", 10)
    assert follow_up.follows == first
    settle(world)

    assert world.contents("notes/a.jsonl") == [row(BOB, OLD) + row(ANNA, NEW) + row(BOB, NEW)]
    assert world.request(follow_up.id).state == "completed"
    # She is still in it: the next erasure has to find her.
    assert world.partition(ANNA) == ["erased", "object#notes/a.jsonl"]
    second = world.erase(ANNA)
    settle(world)
    assert world.contents("notes/a.jsonl") == [row(BOB, OLD) + row(BOB, NEW)]
    assert world.request(second).state == "completed"
    assert world.partition(ANNA) == ["erased"]


def test_what_was_uploaded_before_the_erasure_goes_whatever_its_own_time(world: "World") -> None:
    world.put("notes/a.jsonl", row(ANNA, NEW) + row(BOB, NEW))
    world.put("notes/late.jsonl", row(ANNA, NEW) + row(BOB, NEW) + row(ANNA), indexed=False)
    late = list(world.events)
    world.events.clear()
    world.erase(ANNA)
    world.run()
    assert world.deliver(*late) == []
    settle(world)
    for key in ("notes/a.jsonl", "notes/late.jsonl"):
        assert world.contents(key) == [row(BOB, NEW)]
    assert world.partition(ANNA) == ["erased"]


@pytest.mark.parametrize("at", [None, "", "soon", [], {"s": OLD}, False])
def test_without_a_time_that_can_be_read_the_upload_decides(world: "World", at: object) -> None:
    world.erase(ANNA)
    world.run()
    world.put("notes/a.jsonl", row(ANNA, at))
    assert world.requests.pending("acme", 10) == []
    # A row that goes takes none of the undated with it.
    world.put("notes/b.jsonl", row(ANNA, at) + row(ANNA, OLD))
    settle(world)
    assert world.contents("notes/a.jsonl") == [row(ANNA, at)]
    assert world.contents("notes/b.jsonl") == [row(ANNA, at)]


def test_of_two_times_in_a_row_the_earlier_counts(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    twice = b'{"by": {"email": "anna@example.org"}, "at": "%s", "at": "%s"}\n' % (OLD.encode(), NEW.encode())
    world.put("notes/a.jsonl", row(BOB) + twice)
    settle(world)
    assert world.contents("notes/a.jsonl") == [row(BOB)]


def test_only_the_persons_own_erasure_counts(world: "World") -> None:
    world.erase(BOB)
    world.run()
    world.put("notes/a.jsonl", row(ANNA, OLD) + row(BOB, NEW))
    assert world.requests.pending("acme", 10) == []
    assert world.contents("notes/a.jsonl") == [row(ANNA, OLD) + row(BOB, NEW)]


def test_a_column_of_a_csv_file_has_the_time_too(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    head, others = b"\xef\xbb\xbfat,email,text\r\n", b'"2020-01-01",bob@example.org,"x\r\ny"\r\n'
    newer = b"2999-01-01,anna@example.org,\r\n,anna@example.org,\r\n"
    older = b'"2020-01-01",anna@example.org,"x\r\ny"\r\n1577836800,ANNA@example.org,\r\n'
    world.put("visits/a.csv", head + others + older + newer)
    settle(world)
    assert world.contents("visits/a.csv") == [head + others + newer]


def test_the_same_event_again_makes_no_second_request(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    world.put("notes/a.jsonl", row(ANNA, OLD), indexed=False)
    events = list(world.events)
    assert world.deliver(*events, *events) == []
    assert len(world.requests.pending("acme", 10)) == 1


def test_a_visit_for_somebody_else_erases_older_rows_of_an_upload_that_nobody_looked_into(
    world: "World",
) -> None:
    """The visit's rewrite takes the upload's place, and its event finds the version gone."""
    world.put("notes/a.jsonl", row(BOB, NEW))
    world.erase(ANNA)
    world.run()
    time.sleep(1)  # a visit knows the time of an upload by the second
    world.put("notes/a.jsonl", row(ANNA, OLD) + row(ANNA, NEW) + row(BOB, NEW), indexed=False)
    late = list(world.events)
    world.events.clear()
    world.erase(BOB)
    world.run()
    assert world.contents("notes/a.jsonl") == [row(ANNA, NEW)]
    assert world.deliver(*late) == []
    settle(world)
    assert world.contents("notes/a.jsonl") == [row(ANNA, NEW)]
    assert world.partition(ANNA) == ["erased", "object#notes/a.jsonl"]


def test_an_erasure_of_the_whole_person_outweighs_a_late_arrival_in_the_same_run(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    world.put("notes/a.jsonl", row(ANNA, OLD) + row(ANNA, NEW) + row(BOB, OLD))
    assert len(world.requests.pending("acme", 10)) == 1
    world.erase(ANNA)
    world.run()
    assert world.contents("notes/a.jsonl") == [row(BOB, OLD)]
    assert world.partition(ANNA) == ["erased"]


def test_a_late_arrival_that_is_visited_twice_ends_the_same(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.erase(ANNA)
    world.run()
    world.put("notes/a.jsonl", row(ANNA, OLD) + row(ANNA, NEW))
    planned = world.plan(uuid7())
    original, refused = vault_objects.purge, [1]

    def purge(*arguments: object) -> None:
        if refused:
            refused.pop()
            raise vault_objects.PurgeIncompleteError("SlowDown")
        original(*arguments)

    monkeypatch.setattr(vault_objects, "purge", purge)
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    assert world.contents("notes/a.jsonl") == [row(ANNA, NEW)]
    assert world.partition(ANNA) == ["erased", "object#notes/a.jsonl"]


times = st.sampled_from(["old", "new", "none"])
uploads = st.lists(st.tuples(st.sampled_from([ANNA, BOB]), times), max_size=5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(["a", "b"]), uploads, st.booleans()),
        st.tuples(st.just("erase"), st.sampled_from([ANNA, BOB])),
        st.tuples(st.just("settle")),
    ),
    max_size=7,
)


@examples(10)
@given(story=steps)
# The entry of who was in an older version outlives the overwrite, also where it was erased before.
@example(story=[("erase", ANNA), ("put", "b", [(ANNA, "new")], False), ("put", "b", [], False)])
@example(
    story=[
        ("settle",),
        ("erase", BOB),
        ("settle",),
        ("put", "b", [(ANNA, "old"), (ANNA, "old"), (BOB, "none")], False),
        ("erase", ANNA),
        ("put", "b", [], False),
    ]
)
# And it outlives the version, where a visit for somebody else removed that.
@example(
    story=[
        ("erase", ANNA),
        ("put", "b", [(ANNA, "new"), (BOB, "old")], True),
        ("put", "b", [(BOB, "old")], True),
        ("erase", BOB),
    ]
)
def test_in_any_order_of_uploads_and_erasures_older_rows_go_and_newer_uploads_stay(
    world: "World", story: list[Any]
) -> None:
    """`old` is a moment ago, `new` is far ahead: whoever was erased has no row that is old.

    Whoever is in a version, the newest or an older one, has an entry; nobody else has one but who was in a
    version of the key since the last erasure of theirs (docs/adr/0009): overwriting removes no entries, and
    a visit removes those of the people that it erases.
    """
    _empty(world)
    erased: set[str] = set()
    since: dict[str, set[str]] = {ANNA: set(), BOB: set()}
    current: dict[str, list[tuple[str, str, bytes]]] = {}
    numbers: Iterator[int] = iter(range(1000))
    for step in [*story, ("settle",)]:
        if step[0] == "put":
            _, name, people, indexed = step
            ago = (datetime.now(UTC) - timedelta(days=1)).isoformat()
            values = {"old": ago, "new": NEW, "none": None}
            rows = [(who, at, row(who, values[at], n=next(numbers))) for who, at in people]
            world.put(f"notes/{name}", b"".join(line for *_, line in rows), indexed=indexed)
            current[name] = [r for r in rows if not (r[0] in erased and r[1] == "old")]
            for who, *_ in current[name]:
                since[who].add(f"object#notes/{name}")
        elif step[0] == "erase":
            settle(world)  # otherwise what is uploaded meanwhile may go, too
            time.sleep(0.001)
            world.erase(step[1])
            erased.add(step[1])
            since[step[1]].clear()
            current = {name: [r for r in rows if r[0] != step[1]] for name, rows in current.items()}
            settle(world)
            time.sleep(0.001)
        else:
            settle(world)
    for name, rows in current.items():
        assert world.read(f"notes/{name}") == b"".join(line for *_, line in rows)
    for who in erased:
        for content in (c for name in current for c in world.contents(f"notes/{name}")):
            for line in content.splitlines():
                document = json.loads(line)
                assert document["by"]["email"] != who or document["at"] in {NEW, None}
        held = {
            f"object#notes/{name}"
            for name in current
            if any(who.encode() in content for content in world.contents(f"notes/{name}"))
        }
        assert {"erased", *held} <= set(world.partition(who)) <= {"erased", *since[who]}


def _empty(world: "World") -> None:
    for key, version, _ in world.versions():
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)
    for item in world.items():
        if item["pk"]["S"] != "vault" or item["sk"]["S"] == "last-erasure":
            world.dynamodb.delete_item(
                TableName=world.customer.table, Key={"pk": item["pk"], "sk": item["sk"]}
            )
    world.events.clear()
