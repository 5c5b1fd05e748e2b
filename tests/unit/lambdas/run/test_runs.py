import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from privacy.identifiers import uuid7
from privacy.index import entries as index_entries
from privacy.requests.run_lock import RunLock
from privacy.run import plan as run_plan
from privacy.vault import deletions
from privacy.vault import objects as vault_objects
from privacy.vault import rewrite as vault_rewrite
from privacy.vault.sessions import Vault
from privacy.visits import batch as visit_batch
from privacy.visits import objects as object_visits
from privacy.visits.items import Visits

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
ANNAS_ROW = b'{"author": {"email": "anna@example.org"}}\n'
BOBS_ROW = b'{"author": {"email": "bob@example.org"}}\n'
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:gdpr-eu-west-run"


def when(monkeypatch: pytest.MonkeyPatch, place: object, name: str, act: Callable[[], object]) -> None:
    """Do something once, just before the first call of `name`."""
    original, waiting = getattr(place, name), [act]

    def acting(*args: object, **kwargs: object) -> object:
        while waiting:
            waiting.pop()()
        return original(*args, **kwargs)

    monkeypatch.setattr(place, name, acting)


def fail(code: str = "InternalError") -> None:
    raise ClientError({"Error": {"Code": code}}, "Something")


def test_an_upload_during_a_visit_is_visited_as_well(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    when(monkeypatch, vault_rewrite.Rewrite, "commit", lambda: world.put(
        "feedback/a.jsonl", BOBS_ROW + ANNAS_ROW + BOBS_ROW, indexed=False
    ))  # fmt: skip
    world.run()
    assert world.contents("feedback/a.jsonl") == [BOBS_ROW + BOBS_ROW]
    assert world.request(request).state == "completed"


def test_an_upload_between_write_and_purge_is_visited_as_well(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    world.erase(ANNA)
    when(monkeypatch, object_visits, "_purge_others", lambda: world.put(
        "feedback/a.jsonl", ANNAS_ROW + BOBS_ROW + BOBS_ROW, indexed=False
    ))  # fmt: skip
    world.run()
    assert world.contents("feedback/a.jsonl") == [BOBS_ROW + BOBS_ROW]


def test_an_upload_that_is_indexed_before_the_visit_drops_its_entries_keeps_its_own(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    world.erase(ANNA)
    purge = vault_objects.purge

    def purging(*args: object, **kwargs: object) -> None:
        purge(*args, **kwargs)
        if len(world.versions("feedback/a.jsonl")) == 1:
            world.put("feedback/a.jsonl", BOBS_ROW + ANNAS_ROW)

    monkeypatch.setattr(vault_objects, "purge", purging)
    world.run()
    monkeypatch.setattr(vault_objects, "purge", purge)
    assert world.read("feedback/a.jsonl") == BOBS_ROW + ANNAS_ROW
    # Uploaded after the erasure: it stays, and the next erasure finds it.
    world.erase(ANNA)
    world.run()
    assert ANNAS_ROW not in b"".join(world.contents("feedback/a.jsonl"))


def test_an_object_deleted_during_its_visit_is_done(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    bucket = world.customer.bucket
    when(monkeypatch, vault_rewrite.Rewrite, "commit", lambda: world.s3.delete_object(
        Bucket=bucket, Key="feedback/a.jsonl"
    ))  # fmt: skip
    world.run()
    assert world.versions() == []
    assert world.request(request).state == "completed"


def test_an_object_that_never_stops_changing_fails_its_requests_only(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.put("feedback/b.jsonl", BOBS_ROW)
    stuck, fine = world.erase(ANNA), world.erase(BOB)

    def refuse(rewrite: vault_rewrite.Rewrite) -> str:
        if rewrite.source.key == "feedback/a.jsonl":
            raise vault_objects.ObjectChangedError
        return commit(rewrite)

    commit = vault_rewrite.Rewrite.commit
    monkeypatch.setattr(vault_rewrite.Rewrite, "commit", refuse)
    planned = world.plan(uuid7())
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    step = {"customer": "acme", "run_id": planned["run_id"]}
    assert world.call("verify_run", step)["problems"] == 2
    world.complete(planned["run_id"])

    assert world.contents("feedback/b.jsonl") == [b""]
    assert world.request(fine).state == "completed"
    failed = world.request(stuck)
    assert failed.state == "failed"
    assert failed.detail is not None
    assert [problem["reason"] for problem in failed.detail["problems"]] == ["visit-not-done", "items-left"]
    assert set(failed.detail["problems"][0]) == {"dataset", "object", "reason", "error"}


def test_what_aws_refuses_in_one_visit_fails_its_requests_only_and_is_named(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.put("feedback/b.jsonl", BOBS_ROW)
    world.put_record("1", BOB, name="Bob")
    refused, fine = world.erase(ANNA), world.erase(BOB)
    original = vault_objects.read

    def read(opened: Vault, key: str, **more: str) -> vault_objects.StoredObject | None:
        if key == "feedback/a.jsonl":
            fail("AccessDenied")
        return original(opened, key, **more)

    monkeypatch.setattr(vault_objects, "read", read)
    planned = world.plan(uuid7())
    for _ in range(4):
        with pytest.raises(visit_batch.VisitsFailedError):
            world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])

    assert world.request(fine).state == "completed"
    assert world.partition(BOB) == ["erased"]
    failed = world.request(refused)
    assert failed.state == "failed"
    assert failed.detail is not None
    (problem, _) = failed.detail["problems"]
    assert (problem["reason"], problem["error"]) == ("visit-not-done", "AccessDenied")


def test_a_visit_that_cannot_even_note_why_it_failed_leaves_the_others_alone(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.put("feedback/b.jsonl", ANNAS_ROW)
    world.erase(ANNA)
    planned = world.plan(uuid7())
    when(monkeypatch, vault_objects, "read", fail)
    monkeypatch.setattr(Visits, "note_failure", lambda *_: fail())
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    assert world.contents("feedback/b.jsonl") == [b""]


def test_an_older_version_does_not_come_back_when_a_purge_is_cut_short(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "MOST_AT_ONCE", 1)
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl")
    world.erase(ANNA)
    planned = world.plan(uuid7())
    original, left = world.s3.delete_objects, [1, 1]

    def purge_two(**parameters: object) -> object:
        if not left:
            fail("SlowDown")
        left.pop()
        return original(**parameters)

    monkeypatch.setattr(world.s3, "delete_objects", purge_two)
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    assert [marker for _, _, marker in world.versions("feedback/a.jsonl")] == [True]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (vault_objects, "read"),
        (vault_rewrite.Rewrite, "commit"),
        (vault_objects, "versions"),
        (vault_objects, "purge"),
        (index_entries, "read_entries"),
        (index_entries, "drop_entries"),
        (Visits, "mark_done"),
    ],
)
def test_a_visit_killed_anywhere_is_taken_up_again(
    world: "World", monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    for key in ("feedback/a.jsonl", "feedback/b.jsonl", "feedback/c.jsonl"):
        world.put(key, ANNAS_ROW)
        world.put(key, ANNAS_ROW + BOBS_ROW)
    world.put_record("1", ANNA, name="Anna")
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    with monkeypatch.context() as patch:
        when(patch, place, name, fail)
        with pytest.raises(visit_batch.VisitsFailedError):
            world.visit(planned)
        world.visit(planned)
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])

    for key in ("feedback/a.jsonl", "feedback/b.jsonl", "feedback/c.jsonl"):
        assert world.contents(key) == [BOBS_ROW]
    assert world.partition(ANNA) == ["erased"]
    assert world.request(request).state == "completed"


def test_every_step_can_be_done_again(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    world.put_record("1", BOB, name="Rob")
    erasure = world.erase(ANNA)
    correction = world.correct(BOB, [{"dataset": "profiles", "set": {"name": "Bob"}}])
    run_id = uuid7()
    step = {"customer": "acme", "run_id": run_id}
    assert world.plan(run_id) == world.plan(run_id)
    planned = world.plan(run_id)
    for _ in range(2):
        world.visit(planned)
    for _ in range(2):
        assert world.call("verify_run", step)["problems"] == 0
    ended = None
    for _ in range(2):
        world.complete(run_id)
        states = [world.request(request) for request in (erasure, correction)]
        assert ended in {None, tuple(str(state) for state in states)}
        ended = tuple(str(state) for state in states)
    assert [state.state for state in states] == ["completed", "completed"]
    assert world.contents("feedback/a.jsonl") == [BOBS_ROW]


def test_short_time_stops_before_a_visit_and_tells_where_to_go_on(world: "World") -> None:
    for number in range(3):
        world.put(f"feedback/{number}.jsonl", ANNAS_ROW)
    world.erase(ANNA)
    planned = world.plan(uuid7())
    event = {"customer": "acme", "run_id": planned["run_id"], **planned["batches"][0]}
    stopped = world.call("visit_objects", event, milliseconds=59_000)
    assert stopped == {**event, "first": 0, "done": False}
    assert world.contents("feedback/0.jsonl") == [ANNAS_ROW]
    assert world.call("visit_objects", stopped | {"first": 2})["done"] is True
    assert [world.contents(f"feedback/{n}.jsonl") for n in range(3)] == [[ANNAS_ROW], [ANNAS_ROW], [b""]]


def test_a_request_that_arrives_during_the_run_starts_the_next(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    lock = RunLock(world.requests.table, MACHINE)
    first = world.erase(ANNA)
    run_id = lock.start_run("acme")
    assert run_id is not None
    planned = world.plan(run_id)
    second = world.erase(BOB)
    assert lock.start_run("acme") is None
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": run_id})
    started = world.executions()
    next_run = world.complete(run_id)["next_run"]

    assert (world.request(first).state, world.request(second).state) == ("completed", "pending")
    assert world.executions() == started + 1
    active = lock.active_run("acme")
    assert active is not None
    assert active.run_id == next_run


def test_a_run_that_leaves_nothing_pending_starts_no_other_and_frees_the_lock(world: "World") -> None:
    lock = RunLock(world.requests.table, MACHINE)
    world.erase(ANNA)
    run_id = lock.start_run("acme")
    assert run_id is not None
    world.plan(run_id)
    world.call("verify_run", {"customer": "acme", "run_id": run_id})
    assert world.complete(run_id)["next_run"] is None
    assert lock.active_run("acme") is None


def test_a_run_that_broke_off_fails_its_requests_and_goes_on_with_the_others(world: "World") -> None:
    lock = RunLock(world.requests.table, MACHINE)
    world.put("feedback/a.jsonl", ANNAS_ROW)
    taken = world.erase(ANNA)
    run_id = lock.start_run("acme")
    assert run_id is not None
    world.plan(run_id)
    waiting = world.erase(BOB)
    answer = world.complete(run_id, error="States.Timeout")

    failed = world.request(taken)
    assert failed.state == "failed"
    assert failed.detail == {
        "problems": [{"reason": "run-failed", "error": "States.Timeout"}],
        "problem_count": 1,
    }
    assert answer["next_run"] is not None
    assert world.request(waiting).state == "pending"
    assert [i for i in world.items() if i["pk"]["S"].startswith("run#")] == []


def test_a_run_that_took_nothing_leaves_the_next_try_to_the_sweep(world: "World") -> None:
    lock = RunLock(world.requests.table, MACHINE)
    request = world.erase(ANNA)
    run_id = lock.start_run("acme")
    assert run_id is not None
    assert world.complete(run_id, error="Lambda.Unknown")["next_run"] is None
    assert lock.active_run("acme") is None
    assert world.request(request).state == "pending"


def test_an_error_that_is_more_than_a_name_is_not_repeated(world: "World") -> None:
    request = world.erase(ANNA)
    run_id = uuid7()
    world.plan(run_id)
    world.complete(run_id, error="anna@example.org broke it")
    detail = world.request(request).detail
    assert detail is not None
    assert detail["problems"] == [{"reason": "run-failed", "error": "unknown"}]


def test_a_run_takes_over_what_a_dead_run_had_taken(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    world.plan(uuid7())
    world.run()
    assert world.request(request).state == "completed"
    assert world.contents("feedback/a.jsonl") == [b""]


def test_verification_tells_when_older_versions_came_back(world: "World") -> None:
    old = world.put("feedback/a.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vault_objects, "purge", lambda *_: None)
        world.visit(planned)
    step = {"customer": "acme", "run_id": planned["run_id"]}
    assert world.call("verify_run", step)["problems"] == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.requests.__class__, "pending", lambda *_: [])
        notes = world.call("verify_run", step)
    assert notes["problems"] == 1

    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl", VersionId=old)
    assert world.call("verify_run", step)["problems"] == 0
    world.complete(planned["run_id"])
    assert world.request(request).state == "completed"


def test_a_run_does_not_blame_uploads_made_after_the_visit(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.put("feedback/b.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    world.visit(planned)
    for _ in range(2):
        world.put("feedback/a.jsonl", BOBS_ROW)
    world.put_record("1", ANNA, name="Anna is back")
    assert world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})["problems"] == 0
    world.complete(planned["run_id"])
    assert world.request(request).state == "completed"


def test_a_dataset_that_was_taken_out_of_the_configuration_fails_the_request(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    world.dynamodb.update_item(
        TableName="gdpr-eu-west-registry",
        Key={"pk": {"S": "customer#acme"}},
        UpdateExpression="SET datasets = :none",
        ExpressionAttributeValues={":none": {"S": "[]"}},
    )
    world.functions.restart()
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    assert world.request(request).state == "failed"
    assert world.contents("feedback/a.jsonl") == [ANNAS_ROW]


def test_a_run_takes_no_more_subjects_than_one_visit_can_carry_and_the_next_takes_the_rest(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_plan, "MAX_SUBJECTS", 3)
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    large = world.erase(ANNA, "1@example.org", "2@example.org", "3@example.org")
    small = world.erase(BOB)
    world.run()
    assert (world.request(large).state, world.request(small).state) == ("completed", "pending")
    world.run()
    assert world.request(small).state == "completed"
    assert world.contents("feedback/a.jsonl") == [b""]


@pytest.mark.parametrize(
    ("count", "first", "last", "batches"),
    [(1, 0, 0, 1), (100, 0, 99, 1), (101, 100, 100, 2), (500_000, 499_900, 499_999, 5000)],
)
def test_batches_cover_every_visit_once(count: int, first: int, last: int, batches: int) -> None:
    cut = run_plan.batches(count)
    assert len(cut) == batches
    assert cut[-1] == {"first": first, "last": last}
    assert sum(batch["last"] - batch["first"] + 1 for batch in cut) == count


def test_a_million_visits_still_fit_into_the_state_machines_input() -> None:
    cut = run_plan.batches(1_000_000)
    assert len(cut) <= 5000
    assert len(json.dumps({"customer": "c" * 21, "run_id": uuid7(), "batches": cut})) < 256 * 1024


def test_no_visits_make_no_batch() -> None:
    assert run_plan.batches(0) == []
