"""Visits through the index, whatever the order in which events came."""

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from privacy.formats.edits import RowEdits
from privacy.identifiers import uuid7
from privacy.index import entries as index_entries
from privacy.vault import sessions, tombstones
from privacy.visits import rewriting

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"
KEY = "feedback/a.jsonl"


def row(person: str, text: str = "") -> bytes:
    return b'{"author": {"email": "%s", "name": "?"}, "text": "%s"}\n' % (person.encode(), text.encode())


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each visit that parsed a file in full."""
    found: list[int] = []
    original = RowEdits.applied

    def applied(self: RowEdits, *args: Any) -> Any:  # noqa: ANN401
        found.append(len(found))
        return original(self, *args)

    monkeypatch.setattr(RowEdits, "applied", applied)
    return found


def gone_by_positions(world: "World", parses: list[int], *people: str) -> bool:
    """Erase; return whether that took no full parse."""
    before = len(parses)
    request = world.erase(*people)
    world.run()
    assert world.deliver() == []
    assert world.request(request).state == "completed"
    return len(parses) == before


def events(world: "World") -> list[dict[str, Any]]:
    waiting = list(world.events)
    world.events.clear()
    return waiting


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_one_erasure_after_another_takes_no_parse(world: "World", parses: list[int], pack: Any) -> None:  # noqa: ANN401
    rows = [row(ANNA, "1"), row(BOB), row(CARL), row(ANNA, "2"), row(CARL, "é"), row(BOB, "last")[:-1]]
    world.put(KEY, pack(b"".join(rows)))
    assert gone_by_positions(world, parses, ANNA)
    world.correct(CARL, [{"dataset": "feedback", "set": {"author.name": "Carl, a longer name"}}])
    world.run()
    assert gone_by_positions(world, parses, BOB)
    (left,) = world.contents(KEY)
    if pack is gzip.compress:
        left = gzip.decompress(left)
    elif pack is zstandard.compress:
        left = zstandard.ZstdDecompressor().decompressobj().decompress(left)
    expected = [rows[n].replace(b'"?"', b'"Carl, a longer name"') for n in (2, 4)]
    assert [json.loads(line) for line in left.splitlines()] == [json.loads(line) for line in expected]
    assert gone_by_positions(world, parses, CARL)
    assert parses == []


def test_a_csv_file_is_visited_without_a_parse(world: "World", parses: list[int]) -> None:
    head = b'id,email,"te\r\nxt"\r\n'
    world.put(
        "answers/a.csv", head + b'1,anna@example.org,"a\n2,bob@example.org,b"\r\n3,bob@example.org,c\r\n'
    )
    assert gone_by_positions(world, parses, ANNA)
    assert world.contents("answers/a.csv") == [head + b"3,bob@example.org,c\r\n"]


def test_one_read_of_the_object_and_one_write(world: "World") -> None:
    world.put(KEY, row(ANNA) + row(BOB))
    world.erase(ANNA)
    planned = world.plan(uuid7())
    calls: list[str] = []

    def counted(model: Any, **_: object) -> None:  # noqa: ANN401
        calls.append(model.name)

    world.s3.meta.events.register("before-call.s3", counted)
    world.visit(planned)
    world.s3.meta.events.unregister("before-call.s3", counted)
    assert sorted(calls) == ["DeleteObjects", "GetObject", "ListObjectVersions", "PutObject"]


def test_an_older_versions_event_that_comes_last_hides_no_row(world: "World", parses: list[int]) -> None:
    world.put(KEY, row(ANNA) + row(BOB), indexed=False)
    world.put(KEY, row(ANNA) + row(BOB) + row(BOB) + row(ANNA) + row(CARL), indexed=False)
    first, second = events(world)
    for event in (first, second, first):
        assert world.deliver(event) == []
    assert not gone_by_positions(world, parses, ANNA)
    assert world.contents(KEY) == [row(BOB) + row(BOB) + row(CARL)]


@pytest.mark.parametrize("step", ["write_entries", "mark_indexed"])
@pytest.mark.parametrize("overtaking", [0, 1])
def test_events_of_two_versions_at_once_hide_no_row(
    world: "World", monkeypatch: pytest.MonkeyPatch, step: str, overtaking: int
) -> None:
    world.put(KEY, row(ANNA) + row(BOB), indexed=False)
    # Where her row was in the first version it is in the second, which has another one.
    world.put(KEY, row(ANNA) + row(BOB) + row(ANNA) + row(CARL), indexed=False)
    waiting = events(world)
    overtaken = waiting.pop(1 - overtaking)
    original = getattr(index_entries, step)

    def other_first(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        while waiting:
            assert world.deliver(waiting.pop()) == []
        return original(*args, **more)

    monkeypatch.setattr(index_entries, step, other_first)
    assert world.deliver(overtaken) == []
    world.erase(ANNA)
    world.run()
    assert world.contents(KEY) == [row(BOB) + row(CARL)]


def test_a_duplicate_event_in_the_middle_of_a_visit_hides_no_row(
    world: "World", parses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker goes back to the version that the visit replaced, Anna's entry comes back."""
    content = row(ANNA) + row(BOB) + row(CARL)
    world.put(KEY, content, indexed=False)
    (event,) = events(world)
    assert world.deliver(event) == []
    original = index_entries.mark_indexed

    def then_again(*args: Any) -> None:  # noqa: ANN401
        original(*args)
        monkeypatch.setattr(index_entries, "mark_indexed", original)
        assert world.deliver(event) == []

    world.erase(ANNA)
    planned = world.plan(uuid7())
    monkeypatch.setattr(index_entries, "mark_indexed", then_again)
    world.visit(planned)
    assert world.contents(KEY) == [row(BOB) + row(CARL)]
    world.complete(planned["run_id"])
    assert not gone_by_positions(world, parses, BOB)
    assert world.contents(KEY) == [row(CARL)]


def test_a_version_put_while_entries_go_keeps_its_own(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the visit listed the versions, is indexed at once, and the visit then drops entries."""
    world.put(KEY, row(ANNA) + row(BOB))
    world.erase(ANNA)
    planned = world.plan(uuid7())
    original = index_entries.drop_entries

    def new_first(*args: Any) -> None:  # noqa: ANN401
        world.put(KEY, row(ANNA, "new") + row(BOB))
        original(*args)

    monkeypatch.setattr(index_entries, "drop_entries", new_first)
    world.visit(planned)
    monkeypatch.setattr(index_entries, "drop_entries", original)
    assert world.partition(ANNA) == ["erased", f"object#{KEY}"]


def test_a_changed_object_is_indexed_in_its_visit(world: "World", parses: list[int]) -> None:
    world.put(KEY, row(ANNA) + row(BOB))
    world.put(KEY, row(CARL) + row(ANNA) + row(BOB), indexed=False)
    held = events(world)
    world.erase(ANNA)
    world.run()
    held += events(world)
    assert (world.partition(CARL), len(parses)) == ([f"object#{KEY}"], 1)
    assert gone_by_positions(world, parses, CARL)
    assert world.deliver(*held) == []
    assert gone_by_positions(world, parses, BOB)
    assert world.contents(KEY) == [b""]


def test_a_file_with_an_unreadable_line_is_parsed_and_the_line_reported(
    world: "World", parses: list[int]
) -> None:
    world.put(KEY, row(ANNA) + b"not json\n" + row(BOB))
    request = world.erase(ANNA)
    world.run()
    assert world.contents(KEY) == [b"not json\n" + row(BOB)]
    assert (world.request(request).state, len(parses)) == ("partial", 1)


def entry(world: "World", person: str) -> dict[str, Any]:
    (found,) = (i for i in world.items() if i["pk"]["S"] == f"subject#{world.ref(person)}")
    return found


def test_positions_that_are_wrong_change_nothing_but_the_time_it_takes(
    world: "World", parses: list[int]
) -> None:
    content = row(BOB) + row(ANNA) + row(BOB) + row(ANNA)
    world.put(KEY, content)
    annas, bobs = entry(world, ANNA), entry(world, BOB)
    world.dynamodb.put_item(TableName=world.customer.table, Item=annas | {"at": bobs["at"]})
    assert not gone_by_positions(world, parses, ANNA)
    assert world.contents(KEY) == [row(BOB) + row(BOB)]


def test_another_subject_field_ends_the_use_of_positions(
    world: "World", parses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(KEY, row(ANNA) + row(BOB))
    monkeypatch.setattr("privacy.vault.readings._READING", 1000)
    assert not gone_by_positions(world, parses, ANNA)
    assert not gone_by_positions(world, parses, BOB)


def test_a_large_set_of_positions_is_not_held_in_memory(
    world: "World", parses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_entries, "_MOST_POSITIONS", 9)
    world.put(KEY, row(ANNA) + row(BOB))
    assert not gone_by_positions(world, parses, ANNA)


def test_a_file_of_too_many_rows_is_left_to_the_index_function(
    world: "World", parses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "POSITIONS_BYTES", 10)
    world.put(KEY, row(ANNA))
    world.put(KEY, row(ANNA) + row(BOB) + row(CARL), indexed=False)
    world.events.clear()
    assert not gone_by_positions(world, parses, ANNA)
    assert gone_by_positions(world, parses, BOB)


def test_an_erasure_planned_while_a_visit_indexes_is_left_to_the_event(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(KEY, row(ANNA))
    world.put(KEY, row(ANNA) + row(BOB), indexed=False)
    world.events.clear()
    world.erase(ANNA)
    planned = world.plan(uuid7())
    original = index_entries.write_entries

    def planned_meanwhile(*args: Any, **more: Any) -> None:  # noqa: ANN401
        original(*args, **more)
        opened = sessions.open_vault(world.customer, "plan")
        tombstones.note_erasure(opened, "2999-01-01T00:00:00.000000Z")

    monkeypatch.setattr(index_entries, "write_entries", planned_meanwhile)
    world.visit(planned)
    (version,) = (version for _, version, _ in world.versions(KEY))
    markers = [i["version_id"]["S"] for i in world.items() if i["sk"]["S"] == "indexed"]
    assert version not in markers


def test_entries_tell_when_the_object_was_uploaded(world: "World") -> None:
    world.put(KEY, row(ANNA))
    assert entry(world, ANNA)["uploaded_at"]["S"] <= entry(world, ANNA)["indexed_at"]["S"]


def test_the_write_carries_the_digest_that_the_outcome_tells(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    original = world.s3.put_object
    monkeypatch.setattr(world.s3, "put_object", lambda **more: (sent.append(more), original(**more))[1])
    world.put(KEY, row(BOB) + row(ANNA) + row(BOB))
    world.erase(ANNA)
    planned = world.plan(uuid7())
    world.visit(planned)
    (outcome,) = (i["outcome"]["S"] for i in world.items() if "outcome" in i)
    digest = base64.b64decode(sent[-1]["ChecksumSHA256"]).hex()
    assert f'"sha256_after":"{digest}"' in outcome
