"""A backup is restored, and nobody who had been erased comes back."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError
from privacy.customers.registry import Registry
from privacy.evidence import store as evidence_store
from privacy.requests.caller import Caller
from privacy.run import replay as run_replay
from privacy.run.replay import ReplayInputError
from privacy.vault import sessions, tombstones
from privacy.visits.items import Visits
from privacy.visits.limits import ErasureLimit, pack, unpack

from ..support.world import EVIDENCE, TABLE

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARA = "anna@example.org", "bob@example.org", "cara@example.org"
RESTORED = f"{TABLE}.r1"


def row(email: str, text: str = "") -> bytes:
    return json.dumps({"author": {"email": email}, "text": text}).encode() + b"\n"


class Backup:
    """The table and the bytes of all versions at one moment."""

    def __init__(self, world: "World") -> None:
        self.items = world.items()
        self.bodies = {
            key: (world.read(key), world.s3.head_object(Bucket=world.customer.bucket, Key=key)["Metadata"])
            for key in {key for key, _, marker in world.versions() if not marker}
        }

    def restore_table(self, world: "World") -> None:
        """Make the table that point-in-time recovery makes, under a new name, and have the vault use it."""
        described = world.dynamodb.describe_table(TableName=TABLE)["Table"]
        indexes = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in described["GlobalSecondaryIndexes"]
        ]
        world.dynamodb.create_table(
            TableName=RESTORED,
            KeySchema=described["KeySchema"],
            AttributeDefinitions=described["AttributeDefinitions"],
            GlobalSecondaryIndexes=indexes,
            BillingMode="PAY_PER_REQUEST",
        )
        for item in self.items:
            world.dynamodb.put_item(TableName=RESTORED, Item=item)
        world.dynamodb.update_item(
            TableName="gdpr-eu-west-registry",
            Key={"pk": {"S": "customer#acme"}},
            UpdateExpression="SET #table = :table",
            ExpressionAttributeNames={"#table": "table"},
            ExpressionAttributeValues={":table": {"S": RESTORED}},
        )
        world.use_table(RESTORED)

    def put_objects_back(self, world: "World", *keys: str) -> None:
        """Put copies of the objects' old content back."""
        for key in keys or sorted(self.bodies):
            body, metadata = self.bodies[key]
            world.put(key, body, Metadata=metadata)


def past_the_second() -> str:
    """Wait until S3's whole seconds tell before from after; return the moment."""
    now = datetime.now(UTC)
    nearest = now.replace(microsecond=0) + timedelta(seconds=1)
    time.sleep((nearest - now).total_seconds())
    return nearest.strftime("%Y-%m-%dT%H:%M:%SZ")


def furnish(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA, "first") + row(BOB))
    world.put("feedback/a.jsonl", row(BOB, "  b  ") + row(ANNA, "second") + row(CARA))
    world.put("feedback/b.jsonl", row(BOB))
    world.put_letter("letters/anna", ANNA)
    world.put_letter("letters/bob", BOB)
    world.put_record("1", ANNA, name="Anna")
    world.put_record("2", BOB, name="Bob")


def everything_of_the_vault(world: "World") -> bytes:
    items = json.dumps(world.items(), default=str).encode()
    return items + b"".join(body for key, _, m in world.versions() if not m for body in world.contents(key))


def test_after_a_restoration_nobody_comes_back(world: "World") -> None:
    furnish(world)
    backup = Backup(world)
    request = world.erase(ANNA)
    world.run()
    erased_at = next(i for i in world.items() if i["sk"]["S"] == "erased")["erased_at"]["S"]
    world.deliver()
    neighbours = {key: world.read(key) for key in ("feedback/a.jsonl", "feedback/b.jsonl", "letters/bob")}

    restored_from = past_the_second()
    backup.restore_table(world)
    backup.put_objects_back(world)
    assert world.partition(ANNA) != ["erased"]
    assert ANNA.encode() in everything_of_the_vault(world)
    outcome = world.replay(restored_from)

    assert (outcome["subjects"], outcome["requests"]) == (1, 1)
    assert ANNA.encode() not in everything_of_the_vault(world)
    assert world.partition(ANNA) == ["erased"]
    (tombstone,) = [item for item in world.items() if item["sk"]["S"] == "erased"]
    assert (tombstone["erased_at"]["S"], tombstone["request"]["S"]) == (erased_at, request)
    (last,) = [item for item in world.items() if item["sk"]["S"] == "last-erasure"]
    assert last["erased_at"]["S"] == erased_at
    assert world.versions("letters/anna") == []
    assert {key: world.read(key) for key in neighbours} == neighbours
    assert {item["record_id"]["S"] for item in world.items() if "record_id" in item} == {"2"}
    states = {
        r.state for r in world.requests.page("acme", state=None, type=None, limit=9, cursor=None).requests
    }
    assert states == {"completed"}


def test_objects_alone_may_have_been_put_back(world: "World") -> None:
    furnish(world)
    backup = Backup(world)
    world.erase(ANNA)
    world.run()
    world.deliver()
    restored_from = past_the_second()
    backup.put_objects_back(world, "feedback/a.jsonl", "letters/anna")
    world.replay(restored_from)
    assert ANNA.encode() not in everything_of_the_vault(world)
    assert world.contents("feedback/a.jsonl") == [row(BOB, "  b  ") + row(CARA)]


def test_who_came_back_by_herself_keeps_what_is_new(world: "World") -> None:
    furnish(world)
    backup = Backup(world)
    world.erase(ANNA)
    world.run()
    world.deliver()
    past_the_second()
    world.put_record("9", ANNA, name="Anna anew")
    world.put("feedback/new.jsonl", row(ANNA, "anew") + row(BOB))
    world.put("feedback/new.jsonl", row(ANNA, "anew, twice") + row(BOB))
    world.put_letter("letters/new", ANNA)
    new = {key: world.versions(key) for key in ("feedback/new.jsonl", "letters/new")}
    restored_from = past_the_second()
    backup.put_objects_back(world, "feedback/a.jsonl")

    world.replay(restored_from)

    assert {key: world.versions(key) for key in new} == new
    assert world.partition(ANNA) == [
        "erased", "object#feedback/new.jsonl", "object#letters/new", "record#profiles/9"
    ]  # fmt: skip
    assert world.contents("feedback/a.jsonl") == [row(BOB, "  b  ") + row(CARA)]


def test_a_record_is_judged_by_its_own_time(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    old = [item for item in world.items() if "record#profiles/1" in (item["pk"]["S"], item["sk"]["S"])]
    world.erase(ANNA)
    world.run()
    world.put_record("2", ANNA, name="Anna anew")
    for item in old:
        world.dynamodb.put_item(TableName=TABLE, Item=item)
    world.replay(past_the_second())
    assert world.partition(ANNA) == ["erased", "record#profiles/2"]


def test_who_was_erased_twice_is_erased_up_to_the_second_time(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    world.erase(ANNA)
    world.run()
    world.put_record("2", ANNA, name="Anna")
    backup = Backup(world)
    second = world.erase(ANNA)
    world.run()
    restored_from = past_the_second()
    backup.restore_table(world)
    world.replay(restored_from)
    assert world.partition(ANNA) == ["erased"]
    (tombstone,) = [item for item in world.items() if item["sk"]["S"] == "erased"]
    assert tombstone["request"]["S"] == second


def test_a_second_start_asks_for_nothing_twice_and_again_for_what_failed(world: "World") -> None:
    furnish(world)
    backup = Backup(world)
    world.erase(ANNA)
    world.run()
    world.deliver()
    restored_from = past_the_second()
    backup.put_objects_back(world, "feedback/a.jsonl")

    def asked() -> dict[str, str]:
        page = world.requests.page("acme", state=None, type="erasure", limit=50, cursor=None)
        return {r.id: r.state for r in page.requests if r.restored_from == restored_from}

    start = {"input": {"customer": "acme", "restored_from": restored_from}}
    assert world.call("replay_erasures", start)["done"]
    assert world.call("replay_erasures", start)["done"]
    assert list(asked().values()) == ["pending"]
    world.call("plan_run", {"customer": "acme", "run_id": "r-1"})
    world.complete("r-1", error="Stopped")
    assert list(asked().values()) == ["failed"]
    world.replay(restored_from)
    assert sorted(asked().values()) == ["completed", "failed"]
    world.replay(restored_from)
    assert sorted(asked().values()) == ["completed", "failed"]
    assert ANNA.encode() not in everything_of_the_vault(world)


@pytest.mark.parametrize("limit", [("PAGE_ENTRIES", 3), ("PAGE_SUBJECTS", 3)])
def test_a_long_ledger_is_replayed_page_by_page_in_requests_of_bounded_size(
    world: "World", monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    monkeypatch.setattr(run_replay, *limit)
    monkeypatch.setattr(run_replay, "SUBJECTS_PER_REQUEST", 2)
    people = [f"person-{n}@example.org" for n in range(8)]
    for number, person in enumerate(people):
        world.put_record(str(number), person, name="?")
    backup = Backup(world)
    for person in people:
        world.erase(person)
        world.run()
    restored_from = past_the_second()
    backup.restore_table(world)
    outcome = world.replay(restored_from)
    assert (outcome["page"], outcome["entries"], outcome["subjects"]) == (3, 8, 8)
    assert all(world.partition(person) == ["erased"] for person in people)
    made = world.requests.page("acme", state=None, type=None, limit=50, cursor=None).requests
    replayed = [request for request in made if request.restored_from]
    assert sorted(request.subjects for request in replayed) == [1, 1, 2, 2, 2]
    assert {request.state for request in replayed} == {"completed"}


def test_the_ledger_is_written_before_anything_else_of_an_erasure(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    world.erase(ANNA)

    def refused(*_: object) -> str:
        raise evidence_store.EvidenceNotWrittenError

    monkeypatch.setattr(evidence_store, "put", refused)
    with pytest.raises(StepFailedError):
        world.plan("0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d")
    assert "erased" not in world.partition(ANNA)
    assert not [item for item in world.items() if item["sk"]["S"] == "last-erasure"]


def test_the_ledger_says_who_was_erased_when_and_nothing_personal(world: "World") -> None:
    furnish(world)
    world.caller = caller = Caller("3n4b5urk1ft4fl3mg5e62d9ado", "call-1", "person-1")
    request = world.erase(ANNA, BOB)
    run = world.run()
    ((key, entry),) = world.evidence("ledger").items()
    assert re.fullmatch(rf"ledger/acme/{run}/\d{{20}}\.json", key)
    (tombstone, _) = [item for item in world.items() if item["sk"]["S"] == "erased"]
    assert entry["erased_at"] == tombstone["erased_at"]["S"]
    subjects = sorted([world.ref(ANNA), world.ref(BOB)])
    assert entry["erasures"] == [{"request": request, "subjects": subjects, **asdict(caller)}]
    assert set(entry) == {"customer", "run", "erased_at", "secret", "erasures"}


def test_nothing_in_the_evidence_is_personal(world: "World") -> None:
    furnish(world)
    backup = Backup(world)
    world.erase(ANNA)
    world.run()
    world.deliver()
    late = world.notify("ObjectCreated:Put", "feedback/late.jsonl", world.put(
        "feedback/late.jsonl", row(ANNA), indexed=False
    ), at="2026-01-02T00:00:00.000Z")  # fmt: skip
    world.deliver(late)
    world.run()
    restored_from = past_the_second()
    backup.put_objects_back(world)
    world.replay(restored_from)
    known = re.compile(
        r"[0-9a-f]{64}"  # a reference, or a digest
        r"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # an id
        r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"  # a moment
        r"|ledger/acme/[0-9a-f-]{36}/\d{20}\.json|acme"
    )
    found = 0
    for kind in ("ledger", "replay"):
        for key, document in world.evidence(kind).items():
            assert re.fullmatch(r"[a-z]+/acme/[0-9a-f/-]+\.json", key)
            for text in texts(document):
                assert known.fullmatch(text), text
                found += 1
    assert found > 10


def texts(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def test_a_run_that_is_planned_again_leaves_the_time_of_its_tombstones_last(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    world.erase(ANNA)
    run = "0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d"
    for _ in range(2):
        world.plan(run)
    entries = world.evidence("ledger")
    (tombstone,) = [item for item in world.items() if item["sk"]["S"] == "erased"]
    assert len(entries) == 2
    assert entries[max(entries)]["erased_at"] == tombstone["erased_at"]["S"]


def test_what_is_put_over_an_entry_of_the_ledger_changes_nothing(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    backup = Backup(world)
    world.erase(ANNA)
    world.run()
    (key,) = world.evidence("ledger")
    world.s3.put_object(Bucket=EVIDENCE, Key=key, Body=b'{"erasures": []}')
    world.s3.delete_object(Bucket=EVIDENCE, Key=key)
    restored_from = past_the_second()
    backup.restore_table(world)
    world.replay(restored_from)
    assert world.partition(ANNA) == ["erased"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"customer": "acme"}, "restored_from"),
        ({"customer": "acme", "restored_from": "yesterday"}, "restored_from"),
        ({"customer": "acme", "restored_from": "2026-05-01T10:00:00.5Z"}, "whole seconds"),
        ({"customer": "acme", "restored_from": "2999-01-01T00:00:00Z"}, "lies ahead"),
        ({"customer": "nobody", "restored_from": "2026-05-01T10:00:00Z"}, "customer"),
        ({"restored_from": "2026-05-01T10:00:00Z"}, "customer"),
        ({"customer": "acme", "restored_from": "2026-05-01T10:00:00Z", "since": 1}, "nothing else"),
    ],
)
def test_a_wrong_start_says_what_is_wrong(world: "World", given: dict[str, Any], named: str) -> None:
    with pytest.raises(ReplayInputError, match=named):
        world.call("replay_erasures", {"input": given})


def test_an_attempt_that_died_after_its_write_does_not_take_its_own_time_for_a_restoration(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bob's ordinary erasure rewrites a file in which Anna's rows are new: the copy carries a new time.
    world.put_record("1", ANNA, name="Anna")
    world.erase(ANNA)
    world.run()
    past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "anew") + row(BOB) + row(CARA))
    restored_from = past_the_second()
    world.call("replay_erasures", {"input": {"customer": "acme", "restored_from": restored_from}})
    world.erase(BOB)
    planned = world.plan("0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d")
    monkeypatch.setattr(Visits, "mark_done", _dies_once(Visits.mark_done))
    with pytest.raises(KeyboardInterrupt):
        world.visit(planned)
    world.visit(planned)
    assert world.read("feedback/new.jsonl") == row(ANNA, "anew") + row(CARA)
    assert "object#feedback/new.jsonl" in world.partition(ANNA)


def _dies_once(real: Callable[..., None]) -> Callable[..., None]:
    died = []

    def mark_done(*arguments: Any) -> None:  # noqa: ANN401
        if not died and arguments[-1].get("new_version"):
            died.append(True)
            raise KeyboardInterrupt
        real(*arguments)

    return mark_done


def test_limits_come_out_of_an_item_as_they_went_in() -> None:
    limits = {
        f"{n:064x}": ErasureLimit(f"2026-05-0{n + 1}T10:00:00.00000{n}Z", "2026-06-01T00:00:00.000000Z")
        for n in range(9)
    }
    assert unpack(pack(limits)) == limits
    assert len(pack(limits)) == 48 * 9


def test_the_registry_follows_the_restored_table(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    Backup(world).restore_table(world)
    customer = Registry(environment.read(environment.REGISTRY_TABLE)).customer("acme")
    assert customer is not None
    assert customer.table == RESTORED
    assert tombstones.last_erasure(sessions.open_vault(customer, "plan")) == ""
    aws_clients.forget()
