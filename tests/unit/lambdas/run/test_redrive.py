"""Failed runs are redriven once their cause is mended, and end as if nothing had happened."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from components.machines.run import RunSteps, run_definition
from privacy.identifiers import uuid7
from privacy.requests.run_lock import RunLock
from privacy.run import request_values
from privacy.run.redrive import RedriveRefusedError, redrive_run

from ..support.state_machine import Execution, TaskFailedError

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:gdpr-eu-west-run"
STEPS = RunSteps(plan="plan_run", visit="visit_objects", verify="verify_run", complete="complete_run")
DAY = 24 * 3600

Broken = Callable[[str, dict[str, Any]], bool]


def row(person: str, name: str = "?") -> bytes:
    return b'{"author":{"email":"%s","name":"%s"}}\n' % (person.encode(), name.encode())


def execute(world: "World", broken: Broken = lambda _function, _event: False) -> str:
    """Carry out a run of acme as its state machine says, with functions that fail; return its id."""

    def invoke(function: str, event: dict[str, Any]) -> object:
        if broken(function, event):
            raise TaskFailedError("dynamodb.Query.AccessDeniedException")
        try:
            return world.call(function, event)
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    lock = RunLock(world.requests.table, MACHINE)
    active = lock.active_run("acme")
    run_id = active.run_id if active else lock.start_run("acme")
    assert run_id is not None
    execution = Execution.start(run_definition(STEPS, 2), run_id, {"customer": "acme", "run_id": run_id})
    while execution.status == "RUNNING":
        execution.advance(invoke)
    return run_id


def redrive(world: "World", run_id: object, customer: object = "acme") -> dict[str, Any]:
    return world.call("redrive_run", {"customer": customer, "run_id": run_id})


def furnish(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.put("feedback/b.jsonl", row(BOB))
    world.put_record("1", ANNA, name="Anna")
    world.put_record("2", BOB, name="Rob")


def ask(world: "World") -> tuple[str, str]:
    return world.erase(ANNA), world.correct(
        BOB,
        [
            {"dataset": "feedback", "set": {"author.name": "Bob"}},
            {"dataset": "profiles", "set": {"name": "Bob"}},
        ],
    )


def assert_done(world: "World", *requests: str) -> None:
    for request in requests:
        assert world.request(request).state == "completed", world.request(request).detail
    assert world.contents("feedback/a.jsonl") == [row(BOB, "Bob")]
    assert world.contents("feedback/b.jsonl") == [row(BOB, "Bob")]
    assert world.partition(ANNA) == ["erased"]
    (record,) = [item for item in world.items() if item["sk"]["S"] == "record#profiles/2"]
    assert record["fields"]["S"] == '{"name":"Bob"}'
    left = {item["pk"]["S"].partition("#")[0] for item in world.items()}
    assert left.isdisjoint({"run", "request"})


def waiting(world: "World", request: str) -> dict[str, Any] | None:
    """What waits in the vault for a correction or a follow-up."""
    places = {(f"request#{request}", "late")}
    places |= {(f"subject#{world.ref(person)}", f"changes#{request}") for person in (ANNA, BOB)}
    found = [item for item in world.items() if (item["pk"]["S"], item["sk"]["S"]) in places]
    return found[0] if found else None


def with_backstop(world: "World", request: str) -> str:
    """Have a correction's values go in 120 days, as the API keeps them."""
    world.dynamodb.update_item(
        TableName=world.customer.table,
        Key={"pk": {"S": f"subject#{world.ref(BOB)}"}, "sk": {"S": f"changes#{request}"}},
        UpdateExpression="SET expires_at = :at",
        ExpressionAttributeValues={":at": {"N": str(int(time.time()) + 120 * DAY)}},
    )
    return request


def after_planning(function: str, _event: dict[str, Any]) -> bool:
    return function == "verify_run"


BROKEN_STEPS: dict[str, Broken] = {
    "visit": lambda function, event: function == "visit_objects" and "error" not in event,
    "verify": after_planning,
    "complete": lambda function, event: function == "complete_run" and "error" not in event,
}


A_RUN = "0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d"


@pytest.mark.parametrize("step", BROKEN_STEPS)
def test_a_run_that_failed_is_redriven_and_ends_as_if_nothing_had_happened(world: "World", step: str) -> None:
    furnish(world)
    requests = ask(world)
    before = [world.request(request) for request in requests]
    failed = execute(world, BROKEN_STEPS[step])
    for request in requests:
        detail = world.request(request).detail
        assert detail is not None
        problem = detail["problems"][0]
        assert (problem["error"], problem["operation"]) == ("AccessDeniedException", "dynamodb:Query")
        assert problem.get("step") == (None if step == "visit" else step)

    answer = redrive(world, failed)
    assert answer == {"customer": "acme", "requests": 2, "superseded": 0, "run_id": answer["run_id"]}
    for request, was in zip(requests, before, strict=True):
        now = world.request(request)
        assert (now.state, now.run_id, now.completed_at, now.detail) == ("pending", None, None, None)
        assert (now.received_at, now.due_at) == (was.received_at, was.due_at)
        assert now.public() == was.public()

    assert execute(world) == answer["run_id"] != failed
    assert_done(world, *requests)


def test_a_run_whose_plan_failed_after_it_took_requests_is_redriven(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    requests = ask(world)
    with monkeypatch.context() as patch:
        patch.setattr("privacy.run.plan._leave_tombstones", lambda *_: 1 // 0)
        failed = execute(world)
    for request in requests:
        assert world.request(request).detail == {
            "problems": [{"reason": "run-failed", "step": "plan", "error": "ZeroDivisionError"}],
            "problem_count": 1,
        }
    redrive(world, failed)
    execute(world)
    assert_done(world, *requests)


def test_only_what_failed_is_redriven(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(world)
    world.put("feedback/c.jsonl", row("carl@example.org") + b"not json\n")
    completed, correction = ask(world)
    partial = world.erase("carl@example.org")
    with monkeypatch.context() as patch:
        patch.setattr("privacy.visits.batch.visit_records", lambda *_: 1 // 0)
        run = execute(world)
    before = world.request(partial)
    assert before.state == "partial"
    states = [world.request(request).state for request in (completed, correction)]
    assert "failed" in states
    assert redrive(world, run)["requests"] == states.count("failed")
    assert world.request(partial) == before
    world.put("feedback/c.jsonl", row(BOB))  # mended: otherwise every answer counts it
    execute(world)
    assert_done(world, completed, correction)


def test_redriving_twice_is_redriving_once(world: "World") -> None:
    furnish(world)
    requests = ask(world)
    failed = execute(world, after_planning)
    first = redrive(world, failed)
    assert redrive(world, failed) == {**first, "run_id": None}  # one is running
    execute(world)
    ended = [world.request(request) for request in requests]
    assert redrive(world, failed) == {**first, "run_id": None}
    assert [world.request(request) for request in requests] == ended
    assert_done(world, *requests)


def test_a_redrive_that_was_cut_short_goes_on(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(world)
    requests = ask(world)
    failed = execute(world, after_planning)
    reopen = type(world.requests).reopen

    def once(store: Any, customer: str, request: str, run_id: str) -> bool:  # noqa: ANN401
        if request == requests[1]:
            raise RuntimeError
        return reopen(store, customer, request, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(type(world.requests), "reopen", once)
        with pytest.raises(Exception, match="redrive failed"):
            redrive(world, failed)
    assert [world.request(request).state for request in requests] == ["pending", "failed"]
    assert redrive(world, failed)["requests"] == 2
    execute(world)
    assert_done(world, *requests)


def test_what_fails_again_is_redriven_from_the_run_that_it_failed_in(world: "World") -> None:
    furnish(world)
    requests = ask(world)
    first = execute(world, after_planning)
    redrive(world, first)
    second = execute(world, after_planning)
    assert redrive(world, first)["requests"] == 2
    assert [world.request(request).state for request in requests] == ["failed", "failed"]
    assert redrive(world, second)["requests"] == 2
    execute(world)
    assert_done(world, *requests)


@pytest.mark.parametrize(
    ("customer", "run_id", "text"),
    [
        ("acme", A_RUN, "run_id: no request of the customer ended failed in this run"),
        ("acme", "../../x", "run_id: has to be the id of a run"),
        ("acme", None, "run_id: has to be the id of a run"),
        ("nobody", A_RUN, "customer: has to be the id of a customer of this stack"),
        (None, A_RUN, "customer: has to be the id of a customer of this stack"),
    ],
)
def test_what_cannot_be_redriven_is_refused_with_the_field(
    world: "World", customer: object, run_id: object, text: str
) -> None:
    with pytest.raises(RedriveRefusedError, match=f"^{text}") as refused:
        redrive(world, run_id, customer)
    assert str(run_id) not in str(refused.value)
    assert world.executions() == 0


def test_a_completed_run_is_refused_and_stays_as_it_is(world: "World") -> None:
    furnish(world)
    requests = ask(world)
    run = execute(world)
    ended = [world.request(request) for request in requests]
    with pytest.raises(RedriveRefusedError):
        redrive(world, run)
    assert [world.request(request) for request in requests] == ended
    assert RunLock(world.requests.table, MACHINE).active_run("acme") is None


def test_what_failed_requests_need_waits_14_days_and_then_goes(world: "World") -> None:
    furnish(world)
    erasure, correction = ask(world)
    with_backstop(world, correction)
    execute(world, after_planning)
    kept = [item for item in world.items() if item["pk"]["S"].startswith("request#") or "changes" in item]
    assert sorted((item["pk"]["S"], item["sk"]["S"]) for item in kept) == [
        (f"request#{erasure}", "object#feedback/a.jsonl"),
        (f"request#{correction}", "object#feedback/a.jsonl"),
        (f"request#{correction}", "object#feedback/b.jsonl"),
        (f"subject#{world.ref(BOB)}", f"changes#{correction}"),
    ]
    for item in kept:
        assert int(item["expires_at"]["N"]) - time.time() == pytest.approx(14 * DAY, abs=60)
        assert "object" not in item  # or it would be in the index of objects
    assert request_values.REDRIVE_SECONDS == 14 * DAY


def test_a_redrive_after_14_days_is_refused_and_changes_nothing(world: "World") -> None:
    furnish(world)
    requests = ask(world)
    failed = execute(world, after_planning)
    ended = [world.request(request) for request in requests]
    lock = RunLock(world.requests.table, MACHINE)
    with pytest.raises(RedriveRefusedError, match="run_id: the run failed more than 14 days ago"):
        redrive_run(world.requests, lock, "acme", failed, clock=lambda: datetime.now(UTC) + timedelta(15))
    assert [world.request(request) for request in requests] == ended


def test_a_redrive_visits_again_what_the_index_knows_nothing_of_any_more(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are gone and with them the entries; an older version that came back is not called erased."""
    furnish(world)
    world.put("feedback/c.jsonl", row(ANNA) + b"not json\n")
    world.put("feedback/c.jsonl", row(ANNA) + b"not json\n")
    request = world.erase(ANNA)
    with monkeypatch.context() as patch:
        patch.setattr("privacy.vault.objects.purge", lambda *_: None)
        failed = execute(world)
    assert world.request(request).state == "failed"
    assert world.partition(ANNA) == ["erased"]
    assert len(world.contents("feedback/c.jsonl")) == 3
    redrive(world, failed)
    execute(world)
    assert world.contents("feedback/c.jsonl") == [b"not json\n"]
    ended = world.request(request)
    assert ended.detail is not None
    assert (ended.state, ended.detail["unparsed_count"]) == ("partial", 1)
    assert [item for item in world.items() if item["pk"]["S"].startswith("request#")] == []


def test_values_that_a_run_has_taken_outlast_it(world: "World") -> None:
    furnish(world)
    _, correction = ask(world)
    failed = execute(world, after_planning)
    redrive(world, failed)
    world.plan(uuid7())
    kept = waiting(world, correction)
    assert kept is not None
    assert int(kept["expires_at"]["N"]) - time.time() == pytest.approx(120 * DAY, abs=60)


def test_a_redrive_after_the_values_have_gone_ends_failed_and_says_so(world: "World") -> None:
    furnish(world)
    erasure, correction = ask(world)
    failed = execute(world, after_planning)
    world.dynamodb.delete_item(
        TableName=world.customer.table,
        Key={"pk": {"S": f"subject#{world.ref(BOB)}"}, "sk": {"S": f"changes#{correction}"}},
    )
    redrive(world, failed)
    execute(world)
    assert world.request(erasure).state == "completed"
    late = world.request(correction)
    assert (late.state, late.detail) == (
        "failed",
        {"problems": [{"reason": "details-gone"}], "problem_count": 1},
    )
    # Nothing came back to wait for anybody.
    assert waiting(world, correction) is None


def test_a_late_arrivals_request_is_redriven_with_its_object(world: "World") -> None:
    furnish(world)
    erasure = world.erase(ANNA)
    world.put("feedback/late.jsonl", row(ANNA) + row(BOB), indexed=False)
    execute(world)
    assert world.deliver() == []
    (follow_up,) = [r for r in world.requests.pending("acme", 10) if r.follows == erasure]
    failed = execute(world, after_planning)
    assert world.request(follow_up.id).state == "failed"
    assert waiting(world, follow_up.id) is not None
    redrive(world, failed)
    execute(world)
    assert world.request(follow_up.id).state == "completed"
    assert world.contents("feedback/late.jsonl") == [row(BOB)]
    assert waiting(world, follow_up.id) is None


def test_a_redrive_during_a_run_is_taken_up_by_the_next(world: "World") -> None:
    furnish(world)
    requests = ask(world)
    failed = execute(world, after_planning)
    other = world.erase("carl@example.org")
    lock = RunLock(world.requests.table, MACHINE)
    active = lock.start_run("acme")
    assert active is not None
    planned = world.plan(active)
    assert redrive(world, failed) == {"customer": "acme", "requests": 2, "superseded": 0, "run_id": None}
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": active})
    assert world.complete(active)["next_run"] is not None
    execute(world)
    assert_done(world, *requests, other)


def test_a_step_of_the_failed_run_that_comes_again_leaves_redriven_requests_alone(world: "World") -> None:
    furnish(world)
    requests = ask(world)
    failed = execute(world, after_planning)
    redrive(world, failed)
    world.complete(failed, step="verify", error="States.Timeout")
    assert [world.request(request).state for request in requests] == ["pending", "pending"]
    execute(world)
    assert_done(world, *requests)


def test_an_older_correction_does_not_come_back_over_a_newer_one(world: "World") -> None:
    furnish(world)
    erasure, older = ask(world)
    failed = execute(world, after_planning)
    newer = world.correct(BOB, [{"dataset": "profiles", "set": {"name": "Robert"}}])
    execute(world)
    assert world.request(newer).state == "completed"
    answer = redrive(world, failed)
    assert (answer["requests"], answer["superseded"]) == (1, 1)
    execute(world)
    assert (world.request(erasure).state, world.request(older).state) == ("completed", "failed")
    (record,) = [item for item in world.items() if item["sk"]["S"] == "record#profiles/2"]
    assert record["fields"]["S"] == '{"name":"Robert"}'


def test_corrections_that_failed_together_are_redriven_in_their_order(world: "World") -> None:
    furnish(world)
    names = [world.correct(BOB, [{"dataset": "profiles", "set": {"name": name}}]) for name in ("B", "Bob")]
    other = world.correct(ANNA, [{"dataset": "profiles", "set": {"name": "Ann"}}])
    failed = execute(world, after_planning)
    assert redrive(world, failed)["superseded"] == 0
    execute(world)
    assert {world.request(request).state for request in (*names, other)} == {"completed"}
    (record,) = [item for item in world.items() if item["sk"]["S"] == "record#profiles/2"]
    assert record["fields"]["S"] == '{"name":"Bob"}'
