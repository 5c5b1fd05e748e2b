"""A replay that is started again, or whose calls are made twice, erases nobody who came back meanwhile."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from privacy.run import replay as run_replay
from privacy.run.replay import OtherSecretError
from privacy.vault import subject_secret

from ..support.world import DATASETS, EVIDENCE, REGISTRY
from .test_replay import ANNA, BOB, CARA, Backup, furnish, past_the_second, row

if TYPE_CHECKING:
    from ..support.world import World


def erased(world: "World", *people: str) -> None:
    request = world.erase(*people)
    world.run()
    assert world.deliver() == []
    assert world.request(request).state == "completed"


def page(world: "World", restored_from: str) -> dict[str, Any]:
    return world.call("replay_erasures", {"input": {"customer": "acme", "restored_from": restored_from}})


def run_all(world: "World") -> None:
    while world.requests.pending("acme", 1):
        world.run()
        assert world.deliver() == []


def restored(world: "World") -> str:
    """Everybody erased is back; return the moment."""
    furnish(world)
    backup = Backup(world)
    erased(world, ANNA)
    moment = past_the_second()
    backup.restore_table(world)
    backup.put_objects_back(world)
    return moment


def replayed_subjects(world: "World", restored_from: str) -> list[list[str]]:
    made = world.requests.page("acme", state=None, type="erasure", limit=50, cursor=None).requests
    return [world.requests.refs("acme", each.id) for each in made if each.restored_from == restored_from]


def start_again(world: "World", moment: str) -> None:
    world.replay(moment)


def answer_lost(world: "World", moment: str) -> None:
    page(world, moment)
    run_all(world)


@pytest.mark.parametrize("first", [start_again, answer_lost])
def test_who_came_back_after_a_replay_stays(world: "World", first: "Callable[[World, str], None]") -> None:
    moment = restored(world)
    first(world, moment)
    past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "new life"))
    world.put_record("9", ANNA, name="Anna anew")
    erased(world, CARA)
    world.replay(moment)
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")
    assert world.partition(ANNA) == ["erased", "object#feedback/new.jsonl", "record#profiles/9"]
    assert replayed_subjects(world, moment) == [[world.ref(ANNA)]]


def test_two_executions_at_once_ask_for_everybody_once(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_replay, "SUBJECTS_PER_REQUEST", 1)
    furnish(world)
    for person in (ANNA, BOB, CARA):
        erased(world, person)
    moment = past_the_second()
    make, other = run_replay._ask, []

    def overtaken(*arguments: Any) -> str:  # noqa: ANN401
        if not other:
            other.append(True)
            page(world, moment)
        return make(*arguments)

    monkeypatch.setattr(run_replay, "_ask", overtaken)
    page(world, moment)
    assert sorted(replayed_subjects(world, moment)) == sorted([world.ref(p)] for p in (ANNA, BOB, CARA))


def test_a_run_that_was_planned_again_after_the_start_adds_nobody(world: "World") -> None:
    """The ledger's keys begin with the run's id, so that a later entry may stand among the first ones."""
    furnish(world)
    world.erase(BOB)
    early = "01900000-0000-7000-8000-000000000000"
    erased(world, ANNA)
    moment = past_the_second()
    page(world, moment)
    run_all(world)
    past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "new life"))
    world.erase(CARA)
    world.plan(early)
    world.replay(moment)
    assert not any(world.ref(CARA) in subjects for subjects in replayed_subjects(world, moment))
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")


def test_who_is_erased_twice_in_the_ledger_is_replayed_up_to_the_later_time(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second erasure is on another page: the first page's request does not stand for it."""
    monkeypatch.setattr(run_replay, "PAGE_ENTRIES", 1)
    world.put_record("1", ANNA, name="Anna")
    erased(world, ANNA)
    world.put_record("2", ANNA, name="Anna")
    backup = Backup(world)
    erased(world, ANNA)
    moment = past_the_second()
    backup.restore_table(world)
    page(world, moment)
    run_all(world)
    world.replay(moment)
    assert world.partition(ANNA) == ["erased"]


def test_a_replay_that_an_earlier_version_began_ends_where_it_began(world: "World") -> None:
    """That version noted no end of the ledger, and with a request no instants of its erasures."""
    moment = restored(world)
    world.replay(moment)
    _forget_ends(world)
    past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "new life"))
    erased(world, CARA)
    world.replay(moment)
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")
    assert replayed_subjects(world, moment) == [[world.ref(ANNA)]]


def test_a_moment_in_fewer_digits_is_the_same_replay(world: "World") -> None:
    furnish(world)
    erased(world, ANNA)
    page(world, "2026-01-05T09:08:07Z")
    run_all(world)
    page(world, "2026-1-5T9:8:7Z")
    made = world.requests.page("acme", state=None, type="erasure", limit=50, cursor=None).requests
    assert [each.restored_from for each in made if each.restored_from] == ["2026-01-05T09:08:07Z"]


def test_another_restoration_is_another_replay(world: "World") -> None:
    moment = restored(world)
    world.replay(moment)
    past_the_second()
    world.put("feedback/new.jsonl", row(CARA) + row(ANNA, "new life"))
    erased(world, CARA)
    again = past_the_second()
    world.put("feedback/back.jsonl", row(CARA) + row(BOB))
    world.replay(again)
    assert world.read("feedback/back.jsonl") == row(BOB)
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")


def test_a_dataset_that_goes_between_two_pages_keeps_nobody_from_being_asked_for(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_replay, "PAGE_ENTRIES", 1)
    furnish(world)
    for person in (ANNA, BOB):
        erased(world, person)
    moment = past_the_second()
    step = page(world, moment)
    world.declare(*(each for each in DATASETS if each["name"] != "feedback"))
    while not step["done"]:
        step = world.call("replay_erasures", {"input": step})
    assert sorted(replayed_subjects(world, moment)) == sorted([world.ref(p)] for p in (ANNA, BOB))


def test_a_replay_that_cannot_match_an_entry_erases_the_others_and_fails(world: "World") -> None:
    furnish(world)
    backup = Backup(world)
    erased(world, ANNA)
    (key,) = world.evidence("ledger")
    _another_secret_in(world, key)
    erased(world, BOB)
    moment = past_the_second()
    backup.put_objects_back(world, "feedback/b.jsonl")
    with pytest.raises(OtherSecretError, match="1 "):
        world.replay(moment)
    run_all(world)
    assert world.read("feedback/b.jsonl") == b""


def test_a_replay_refuses_without_the_vaults_secret(world: "World") -> None:
    moment = restored(world)
    world.dynamodb.delete_item(TableName=world.customer.table, Key=subject_secret.ITEM_KEY)
    world.dynamodb.delete_item(TableName=REGISTRY, Key={"pk": {"S": "secret#acme"}})
    world.use_table(world.customer.table)
    with pytest.raises(subject_secret.SubjectSecretMissingError):
        page(world, moment)


def _another_secret_in(world: "World", key: str) -> None:
    """Make the entry one of an earlier secret; the bucket keeps what was written, so it gets another key."""
    entry = json.loads(world.s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read())
    older = key.replace(entry["run"], "01900000-0000-7000-8000-000000000000")
    body = json.dumps({**entry, "secret": "of another"}).encode()
    world.s3.put_object(Bucket=EVIDENCE, Key=older, Body=body)


def _forget_ends(world: "World") -> None:
    for item in world.dynamodb.scan(TableName=world.requests.table)["Items"]:
        of = {"TableName": world.requests.table, "Key": {name: item[name] for name in ("pk", "sk")}}
        if item["sk"]["S"].startswith("replay#"):
            world.dynamodb.delete_item(**of)
        elif "erased_at" in item:
            world.dynamodb.update_item(**of, UpdateExpression="REMOVE erased_at")
