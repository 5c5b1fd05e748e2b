"""The run lock and the sweep: one run a customer at a time, and no pending request without one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given

from privacy.aws import clients as aws_clients
from privacy.identifiers import uuid7
from privacy.requests.run_lock import RunLock
from privacy.requests.sweep import SweepIncompleteError, sweep
from tests.properties import examples

from ..support.api import Api, Cloud
from ..support.interleaving import Interleaving, interleavings


def ask(cloud: Cloud, customer: str = "acme") -> str:
    now = datetime.now(UTC)
    created = cloud.requests.create(
        customer, type="erasure", refs=["ab" * 32], request_id=uuid7(now), received_at=now
    )
    return str(created.answer["id"])


def age_lock(cloud: Cloud, customer: str = "acme") -> None:
    aws_clients.dynamodb().update_item(
        TableName=cloud.request_table,
        Key={"pk": {"S": f"customer#{customer}"}, "sk": {"S": "run"}},
        UpdateExpression="SET started_at = :then",
        ExpressionAttributeValues={":then": {"S": "2026-01-01T00:00:00Z"}},
    )


def refuse(status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": "Refused", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item] # what is read of it
        "StartExecution",
    )


def break_start(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_: str) -> None:
        raise error

    monkeypatch.setattr(aws_clients.stepfunctions(), "start_execution", fail)


def test_a_run_starts_with_ids_only_and_holds_the_lock(cloud: Cloud) -> None:
    run_id = cloud.lock.start_run("acme")
    (execution,) = cloud.executions()
    assert execution["name"] == f"acme-{run_id}"
    described = aws_clients.stepfunctions().describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {"customer": "acme", "run_id": run_id}
    active = cloud.lock.active_run("acme")
    assert active is not None
    assert active.run_id == run_id
    assert run_id
    assert cloud.lock.is_running("acme", active)


def test_a_lock_taken_by_a_call_that_was_made_twice_is_taken(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore makes a call again whose answer was lost; the first one had its effect."""
    original = aws_clients.dynamodb().put_item

    def twice(**parameters: object) -> object:
        original(**parameters)  # type: ignore[arg-type]  # passed on as they came
        return original(**parameters)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(aws_clients.dynamodb(), "put_item", twice)
    assert cloud.lock.start_run("acme") is not None


def test_a_second_run_waits_for_the_first_but_not_for_another_customers(cloud: Cloud) -> None:
    first = cloud.lock.start_run("acme")
    assert first
    assert cloud.lock.start_run("acme") is None
    assert cloud.lock.start_run("zenith")
    cloud.lock.release_run("acme", "another-run")
    assert cloud.lock.start_run("acme") is None, "only the holder gives the lock back"
    cloud.lock.release_run("acme", first)
    assert cloud.lock.active_run("acme") is None
    assert cloud.lock.start_run("acme")


def test_a_refused_start_gives_the_lock_back(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    break_start(monkeypatch, refuse(400))
    with pytest.raises(ClientError):
        cloud.lock.start_run("acme")
    assert cloud.lock.active_run("acme") is None
    assert cloud.lock.start_run_or_leave_to_sweep("acme") is None


@pytest.mark.parametrize("error", [refuse(500), ReadTimeoutError(endpoint_url="x")])
def test_a_start_that_may_have_happened_keeps_the_lock(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    break_start(monkeypatch, error)
    assert cloud.lock.start_run_or_leave_to_sweep("acme") is None
    assert cloud.lock.active_run("acme") is not None


@examples(20)
@given(order=interleavings())
def test_no_wake_up_is_lost_and_no_two_runs_overlap(
    cloud: Cloud, fresh: Iterator[str], order: Interleaving
) -> None:
    customer = next(fresh)
    store, lock = cloud.requests, cloud.lock
    first = ask(cloud, customer)
    run_id = lock.start_run(customer)
    assert run_id

    def arrive() -> str | None:
        ask(cloud, customer)
        return lock.start_run(customer)

    def complete() -> str | None:
        store.finish(customer, first, state="completed", at=datetime.now(UTC))
        lock.release_run(customer, run_id)
        return lock.start_run(customer) if store.pending(customer, 1) else None

    started = [each for each in order.run([arrive, complete, arrive]) if each]
    active = lock.active_run(customer)
    assert active is not None, "two requests are pending"
    assert started == [active.run_id]


def test_the_sweep_starts_what_nobody_started(api: Api) -> None:
    ask(api.cloud, "zenith")
    assert api.module("sweep_runs").handler({}, None) == {"started": 1}
    assert api.cloud.lock.active_run("zenith")
    assert api.cloud.lock.active_run("acme") is None


def test_the_sweep_leaves_a_run_alone_that_is_running(cloud: Cloud) -> None:
    ask(cloud)
    run_id = cloud.lock.start_run("acme")
    age_lock(cloud)
    assert sweep(["acme"], cloud.requests, cloud.lock) == []
    active = cloud.lock.active_run("acme")
    assert active is not None
    assert active.run_id == run_id


def test_the_sweep_leaves_a_young_lock_alone(cloud: Cloud) -> None:
    ask(cloud)
    run_id = cloud.lock.start_run("acme")
    cloud.end_executions()
    assert sweep(["acme"], cloud.requests, cloud.lock) == []
    active = cloud.lock.active_run("acme")
    assert active is not None
    assert active.run_id == run_id


def test_the_sweep_replaces_a_run_that_died(cloud: Cloud) -> None:
    ask(cloud)
    dead = cloud.lock.start_run("acme")
    cloud.end_executions()
    age_lock(cloud)
    assert sweep(["acme"], cloud.requests, cloud.lock) == ["acme"]
    active = cloud.lock.active_run("acme")
    assert active is not None
    assert active.run_id != dead


def test_the_sweep_frees_a_customer_whose_run_never_came_to_be(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_start(monkeypatch, ReadTimeoutError(endpoint_url="x"))
    cloud.lock.start_run_or_leave_to_sweep("acme")
    monkeypatch.undo()
    age_lock(cloud)
    assert sweep(["acme"], cloud.requests, cloud.lock) == []
    assert cloud.lock.active_run("acme") is None, "nothing is pending, so nothing is started"


def test_the_sweep_leaves_an_export_alone_that_is_being_made_and_frees_the_customer_of_a_dead_one(
    cloud: Cloud,
) -> None:
    ask(cloud)
    started = aws_clients.stepfunctions().start_execution(stateMachineArn=cloud.export_machine_arn)
    assert cloud.lock.take_for_export("acme", uuid7(), started["executionArn"])
    age_lock(cloud)
    assert sweep(["acme"], cloud.requests, cloud.lock) == []
    cloud.end_executions(cloud.export_machine_arn)
    assert sweep(["acme"], cloud.requests, cloud.lock) == ["acme"]
    active = cloud.lock.active_run("acme")
    assert active is not None
    assert active.execution is None, "the run that was pending"


def test_a_contracts_end_stops_an_export_that_is_being_made(cloud: Cloud) -> None:
    started = aws_clients.stepfunctions().start_execution(stateMachineArn=cloud.export_machine_arn)
    export_id = uuid7()
    assert cloud.lock.take_for_export("acme", export_id, started["executionArn"])
    cloud.lock.hold_for_contract_end("acme")
    described = aws_clients.stepfunctions().describe_execution(executionArn=started["executionArn"])
    assert described["status"] == "ABORTED"
    cloud.lock.release_run("acme", export_id)
    assert cloud.lock.start_run("acme") is None
    assert not cloud.lock.take_for_export("acme", export_id, started["executionArn"])


def test_one_customers_trouble_does_not_keep_the_sweep_from_the_others(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(cloud, "acme")
    ask(cloud, "zenith")
    start = RunLock.start_run

    def fail_for_acme(lock: RunLock, customer: str) -> str | None:
        if customer == "acme":
            raise refuse(500)
        return start(lock, customer)

    monkeypatch.setattr(RunLock, "start_run", fail_for_acme)
    with pytest.raises(SweepIncompleteError, match="1 customers"):
        sweep(["acme", "zenith"], cloud.requests, cloud.lock)
    assert cloud.lock.active_run("zenith")
