"""A bucket event that comes after an erasure, about a version that came before it: what goes with it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import moto.s3.models
import pytest

from privacy.formats import compression
from privacy.identifiers import uuid7
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones

from ..support.parquet_files import buyer, stored, table
from ..support.reindexing import kinds, reindex

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"
FUTURE = "2999-01-01T00:00:00Z"


def feedback(*people: str) -> bytes:
    return b"".join(json.dumps({"author": {"email": who}}).encode() + b"\n" for who in people)


def threads(*people: str) -> bytes:
    return json.dumps({"members": list(people)}).encode() + b"\n"


def notes(*people: str) -> bytes:
    return b"".join(json.dumps({"by": {"email": who}, "at": FUTURE}).encode() + b"\n" for who in people)


def answers(*people: str) -> bytes:
    return b"email,text\n" + b"".join(b"%s,\n" % who.encode() for who in people)


def orders(*people: str) -> bytes:
    return stored(table(*({"buyer": buyer(who)} for who in people)))


MADE: dict[str, Callable[..., bytes]] = {
    "feedback/a": feedback,
    "threads/a": threads,
    "notes/a": notes,
    "answers/a": answers,
    "orders/a": orders,
}
EVERY_FORMAT = pytest.mark.parametrize("key", [*MADE, "letters/a"])


@dataclass
class Hours:
    """Lets S3's clock go on: it tells whole seconds, and nobody wants to wait for the next one."""

    passed: timedelta = timedelta()

    def passes(self) -> None:
        self.passed += timedelta(hours=1)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Hours:
    hours = Hours()
    monkeypatch.setattr(moto.s3.models, "utcnow", lambda: hours.now().replace(tzinfo=None))
    return hours


def put(world: "World", key: str, *people: str) -> dict[str, Any]:
    """Upload a file about these people (a letter: about the first); return its event, not yet delivered."""
    if key.startswith("letters/"):
        world.put_letter(key, people[0], indexed=False)
    else:
        world.put(key, MADE[key](*people), indexed=False)
    return world.events.pop()


def settle(world: "World") -> None:
    """Let everything that is waiting be done."""
    for _ in range(5):
        assert world.deliver() == []
        if not world.requests.pending("acme", 1):
            return
        world.run()
    raise AssertionError("there is no end to it")


@EVERY_FORMAT
def test_the_late_event_of_an_older_version_takes_nothing_out_of_a_newer_one(
    world: "World", hour: Hours, key: str
) -> None:
    late = put(world, key, ANNA, BOB)
    world.erase(ANNA)
    world.run()
    hour.passes()
    assert world.deliver(put(world, key, ANNA, CARL)) == []
    new, _ = world.contents(key)
    assert world.deliver(late) == []
    (follow_up,) = world.requests.pending("acme", 10)
    settle(world)

    assert world.contents(key) == [new]
    assert world.request(follow_up.id).state == "completed"
    # She is in it again: her next erasure has to find her.
    assert world.partition(ANNA) == ["erased", f"object#{key}"]
    world.erase(ANNA)
    settle(world)
    assert new not in world.contents(key)
    assert world.partition(ANNA) == ["erased"]


@EVERY_FORMAT
def test_the_late_event_of_an_older_version_takes_that_version(world: "World", hour: Hours, key: str) -> None:
    late = put(world, key, ANNA, BOB)
    world.erase(ANNA)
    world.run()
    hour.passes()
    assert world.deliver(put(world, key, CARL)) == []
    new, _ = world.contents(key)
    assert world.deliver(late) == []
    settle(world)
    assert world.contents(key) == [new]
    assert world.partition(ANNA) == ["erased"]


@EVERY_FORMAT
def test_a_version_that_came_before_the_erasure_goes_with_the_late_event_of_an_older_one(
    world: "World", hour: Hours, key: str
) -> None:
    late = put(world, key, ANNA, BOB)
    newer = put(world, key, ANNA, CARL)
    hour.passes()
    world.erase(ANNA)
    world.run()
    assert world.deliver(late) == []
    world.run()
    assert world.deliver(newer) == []
    settle(world)
    left = {"letters/a": [], "orders/a": [orders(CARL)]}
    expected = left[key] if key in left else [MADE[key](CARL)]
    found = world.contents(key)
    assert len(found) == len(expected)
    assert not any(ANNA.encode() in body for body in found)
    assert world.partition(ANNA) == ["erased"]


@pytest.mark.parametrize("key", MADE)
def test_a_rewrite_between_a_late_event_and_its_erasure_is_no_new_data(
    world: "World", hour: Hours, key: str
) -> None:
    """Somebody else's visit, planned before the event came, gives old rows a new time."""
    assert world.deliver(put(world, key, BOB)) == []
    late = put(world, key, ANNA, BOB, CARL)
    world.erase(ANNA)
    world.run()
    world.erase(BOB)
    planned = world.plan(uuid7())
    assert world.deliver(late) == []
    hour.passes()
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    settle(world)
    (left,) = world.contents(key)
    assert CARL.encode() in left
    assert ANNA.encode() not in left
    assert BOB.encode() not in left
    assert world.partition(ANNA) == ["erased"]


@pytest.mark.parametrize("key", MADE)
def test_an_attempt_that_died_after_its_write_does_not_take_its_own_time_for_an_upload(
    world: "World", hour: Hours, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    late = put(world, key, ANNA, CARL)
    world.erase(ANNA)
    world.run()
    assert world.deliver(late) == []
    (follow_up,) = world.requests.pending("acme", 10)
    planned = world.plan(uuid7())
    hour.passes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(vault_objects, "versions", killed)
        with pytest.raises(KeyboardInterrupt):
            world.visit(planned)
    world.visit(planned)
    (visit,) = [item for item in world.items() if item["sk"]["S"].startswith("visit#")]
    outcome = json.loads(visit["outcome"]["S"])
    assert (outcome["rows_dropped"], outcome["rows_changed"]) == ((0, 1) if key == "threads/a" else (1, 0))
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    assert world.request(follow_up.id).state == "completed"
    assert ANNA.encode() not in world.read(key)
    assert world.partition(ANNA) == ["erased"]


def test_an_erasure_of_the_whole_person_in_the_same_run_takes_the_newer_version_too(
    world: "World", hour: Hours
) -> None:
    late = put(world, "feedback/a", ANNA)
    world.erase(ANNA)
    world.run()
    hour.passes()
    assert world.deliver(put(world, "feedback/a", ANNA, BOB)) == []
    assert world.deliver(late) == []
    world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a") == [feedback(BOB)]
    assert world.partition(ANNA) == ["erased"]
    settle(world)


def test_of_an_older_version_and_rows_by_their_own_time_the_rows_go_and_newer_ones_stay(
    world: "World", hour: Hours
) -> None:
    late = put(world, "notes/a", ANNA)
    world.erase(ANNA)
    world.run()
    hour.passes()
    older = notes(ANNA).replace(FUTURE.encode(), b"2020-01-01")
    world.put("notes/a", older + notes(ANNA), indexed=False)
    newer = world.events.pop()
    assert world.deliver(newer) == []
    assert world.deliver(late) == []
    assert len(world.requests.pending("acme", 10)) == 2
    settle(world)
    assert world.contents("notes/a") == [notes(ANNA)]
    assert world.partition(ANNA) == ["erased", "object#notes/a"]


def test_a_correction_reaches_rows_that_a_late_event_leaves(world: "World", hour: Hours) -> None:
    late = put(world, "feedback/a", ANNA)
    world.erase(ANNA)
    world.run()
    hour.passes()
    assert world.deliver(put(world, "feedback/a", ANNA, BOB)) == []
    assert world.deliver(late) == []
    world.correct(ANNA, [{"dataset": "feedback", "set": {"author.name": "Ann"}}])
    world.run()
    (body,) = world.contents("feedback/a")
    first, second = body.splitlines()
    assert json.loads(first) == {"author": {"email": ANNA, "name": "Ann"}}
    assert second == feedback(BOB).rstrip()


def test_an_erasure_planned_while_a_visit_that_was_given_up_still_runs_loses_nothing(
    world: "World", hour: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stopped the run's execution: its last function goes on for a while beside the next run."""
    assert world.deliver(put(world, "feedback/a", BOB)) == []
    late = put(world, "feedback/a", ANNA, BOB, CARL)
    world.erase(BOB)
    planned = world.plan(uuid7())
    world.erase(ANNA)
    original, waiting = compression.packer, [world.plan]

    def overtaken(codec: Any) -> Any:  # noqa: ANN401
        while waiting:
            waiting.pop()(uuid7())
            hour.passes()
        return original(codec)

    monkeypatch.setattr(compression, "packer", overtaken)
    world.visit(planned)
    assert world.deliver(late) == []
    settle(world)
    assert world.contents("feedback/a") == [feedback(CARL)]


def test_a_reindex_leaves_a_version_to_whoever_rewrites_it_before_its_late_arrivals_are_gone(
    world: "World", hour: Hours
) -> None:
    """The entry was lost, and so the erasure passed the object by; then somebody else's visit comes first."""
    assert world.deliver(put(world, "feedback/a", ANNA, BOB, CARL)) == []
    (pk,) = [
        item["pk"]
        for item in world.items()
        if item["pk"]["S"] == f"subject#{world.ref(ANNA)}" and item["sk"]["S"] == "object#feedback/a"
    ]
    world.dynamodb.delete_item(
        TableName=world.customer.table, Key={"pk": pk, "sk": {"S": "object#feedback/a"}}
    )
    world.erase(ANNA)
    world.run()
    world.erase(BOB)
    planned = world.plan(uuid7())
    reindex(world)
    (follow_up,) = [request for request in world.requests.pending("acme", 10) if request.follows]
    hour.passes()
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    settle(world)
    assert world.contents("feedback/a") == [feedback(CARL)]
    assert world.request(follow_up.id).state == "completed"
    assert world.partition(ANNA) == ["erased"]
    assert kinds(world, reindex(world)) == {}


@pytest.mark.parametrize("key", MADE)
def test_a_version_that_goes_while_its_late_event_is_looked_at_takes_no_entry_of_a_newer_one_along(
    world: "World", hour: Hours, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    late = put(world, key, ANNA, BOB)
    old = late["s3"]["object"]["versionId"]
    world.erase(ANNA)
    world.run()
    hour.passes()
    assert world.deliver(put(world, key, ANNA, CARL)) == []
    original = tombstones.tombstones

    def overtaken(*arguments: Any) -> Any:  # noqa: ANN401
        """The customer deletes the version, or the bucket's lifecycle does."""
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=old)
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tombstones, "tombstones", overtaken)
        assert world.deliver(late) == []
    assert world.deliver(world.notify("ObjectRemoved:Delete", key, old)) == []
    assert world.requests.pending("acme", 10) == []
    assert world.partition(ANNA) == ["erased", f"object#{key}"]
    world.erase(ANNA)
    world.run()
    assert not any(ANNA.encode() in body for body in world.contents(key))
