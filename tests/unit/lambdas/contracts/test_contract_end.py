"""A contract's end: what goes, what stays, and what is written down about it."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from components.functions.catalogue import FUNCTIONS
from privacy.contracts import empty_bucket
from privacy.customers.customer import Destruction
from privacy.requests import contract_over
from privacy.requests.run_lock import CONTRACT_END, RunLock
from privacy.requests.sweep import sweep

from ..support.contract_region import EVIDENCE, MACHINE, NOTHING, REGISTRY, REQUESTS, SECOND, Region, midnight


def at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # tests ask for UTC only
            assert tz is UTC
            return now

    for step in ("check_contract_end", "freeze_contract"):
        monkeypatch.setattr(f"{FUNCTIONS[step].path}.datetime", Clock)


def test_everything_of_the_customer_goes_and_nothing_of_the_neighbour(region: Region) -> None:
    neighbour = region.contents("globex")
    execution = region.carry_out(region.start())
    assert (execution.status, region.contents("acme")) == ("RUNNING", NOTHING)
    assert region.contents("globex") == neighbour
    assert neighbour["items"]
    assert neighbour["versions"]
    region.remove_key("acme")
    assert region.carry_out(execution).status == "SUCCEEDED"
    destruction = region.registry.destruction("acme")
    assert destruction is not None
    assert destruction.state == "destroyed"
    assert region.registry.destruction("globex") is None
    assert region.contents("globex") == neighbour


def test_both_stages_are_evidence_read_back_from_aws(region: Region) -> None:
    execution = region.carry_out(region.start())
    (scheduled,) = region.evidence().values()
    assert scheduled["stage"] == "scheduled"
    assert scheduled["contract"] == {
        "starts": "2025-01-01",
        "ends": "2026-01-31",
        "grace_days": 0,
        "due": "2026-02-01T00:00:00Z",
    }
    assert scheduled["deleted_at_least"] == {"versions": 8, "markers": 1, "uploads": 2}
    seen = scheduled["read_back"]
    assert (seen["bucket"]["versions"], seen["bucket"]["complete"], seen["table"]["state"]) == (
        0,
        True,
        "GONE",
    )
    assert (seen["key"]["state"], seen["key"]["deletion"]) == ("PendingDeletion", execution.waiting_until)
    assert scheduled["backup_unreadable_from"] < scheduled["backup_kept_by_dynamodb_until"]
    # As long as a message in the queues of bucket events may name a key of the customer's.
    keys = datetime.fromisoformat(scheduled["events_kept_by_sqs_until"])
    assert keys - datetime.fromisoformat(scheduled["seen_at"]) == timedelta(days=14)
    region.remove_key("acme")
    region.carry_out(execution)
    stages = {key.rpartition("/")[2]: document for key, document in region.evidence().items()}
    assert set(stages) == {"scheduled.json", "destroyed.json"}
    assert stages["destroyed.json"]["key"]["state"] == "Gone"
    assert json.dumps(stages).count("feedback/") == 0, "no object's key is evidence"


def test_the_second_stage_waits_for_the_key(region: Region) -> None:
    execution = region.carry_out(region.start())
    due = datetime.fromisoformat(execution.waiting_until or "")
    assert timedelta(days=6) < due - datetime.now(UTC) <= timedelta(days=7)
    assert region.carry_out(execution).waiting_until is not None, "looked at too early, it waits on"
    assert len(region.evidence()) == 1


def test_a_key_that_somebody_saved_is_not_called_destroyed(region: Region) -> None:
    execution = region.carry_out(region.start())
    region.aws("kms").cancel_key_deletion(KeyId=region.keys["acme"].rpartition("/")[2])
    assert region.carry_out(execution).status == "FAILED"
    assert len(region.evidence()) == 1
    again = region.carry_out(region.start())
    assert again.waiting_until is not None
    assert region.contents("acme") == NOTHING


@pytest.mark.parametrize(
    ("ends", "grace"),
    [
        (date(2028, 2, 28), 0),  # the day after is a leap day
        (date(2028, 2, 29), 30),
        (date(2027, 12, 31), 30),
        (date(2027, 3, 27), 0),  # clocks change that night in most of Europe
        (date(2027, 10, 30), 1),
        (date(2026, 1, 31), 365),
    ],
)
def test_not_one_second_early(
    region: Region, monkeypatch: pytest.MonkeyPatch, ends: date, grace: int
) -> None:
    region.register("acme", contract_ends=ends, grace_text="")
    region.aws("dynamodb").update_item(
        TableName=REGISTRY,
        Key={"pk": {"S": "customer#acme"}},
        UpdateExpression="SET grace_days = :days",
        ExpressionAttributeValues={":days": {"N": str(grace)}},
    )
    before = region.contents("acme")
    due = midnight(ends) + timedelta(days=1 + grace)
    at(monkeypatch, due - SECOND)
    assert region.carry_out(region.start()).done == ["Check"]
    assert region.contents("acme") == before
    (stopped,) = region.evidence().values()
    assert (stopped["reason"], stopped["due"]) == ("not-due", due.strftime("%Y-%m-%dT%H:%M:%SZ"))
    at(monkeypatch, due)
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


def test_a_customer_whose_end_cannot_be_told_of_is_not_frozen(region: Region) -> None:
    before, aws = region.contents("acme"), BaseClient._make_api_call

    def refused(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        if operation == "PutEvents":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return aws(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", refused):
        assert region.carry_out(region.start()).status == "FAILED"
    assert region.registry.destruction("acme") is None
    assert region.contents("acme") == before
    assert region.carry_out(region.start()).waiting_until is not None
    assert region.contents("acme") == NOTHING


def test_renewed_one_second_before_the_trigger_nothing_is_touched(region: Region) -> None:
    before = region.contents("acme")
    region.register("acme", contract_ends=date(2099, 12, 31))
    execution = region.carry_out(region.start())
    assert (execution.status, execution.done) == ("SUCCEEDED", ["Check"])
    assert region.contents("acme") == before
    assert region.registry.destruction("acme") is None


def test_renewed_between_check_and_freeze_nothing_is_touched(region: Region) -> None:
    before = region.contents("acme")
    execution = region.start()
    execution.advance(region.invoke)
    region.register("acme", contract_ends=date(2099, 12, 31))
    assert region.carry_out(execution).status == "FAILED"
    assert region.contents("acme") == before
    assert region.registry.destruction("acme") is None


def test_renewed_after_the_freeze_it_is_too_late(region: Region) -> None:
    execution = region.start()
    while "Freeze" not in execution.done:
        execution.advance(region.invoke)
    region.register("acme", contract_ends=date(2099, 12, 31))
    region.carry_out(execution)
    assert region.contents("acme") == NOTHING


@pytest.mark.parametrize("since", ["Check", "Freeze", "EmptyBucket", "DeleteTable"])
def test_a_hold_stops_it_wherever_it_is(region: Region, since: str) -> None:
    execution = region.start()
    if since != "Check":
        while since not in execution.done:
            execution.advance(region.invoke)
    region.register("acme", contract_ends=date(2026, 1, 31), hold="litigation, case 1")
    before = region.contents("acme")
    held = region.carry_out(execution)
    assert held.status == ("SUCCEEDED" if since == "Check" else "FAILED")
    assert region.contents("acme") == before
    region.register("acme", contract_ends=date(2026, 1, 31))
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


def test_a_dry_run_counts_and_touches_nothing(region: Region) -> None:
    for customer, reason in (("acme", None), ("globex", "not-due")):
        before = region.contents(customer)
        execution = region.start(customer, dry_run=True)
        seen = {}
        while execution.status == "RUNNING":
            execution.advance(region.invoke)
            if execution.frames:
                seen = execution.frames[0].data
        assert (execution.status, execution.done) == ("SUCCEEDED", ["Check", "Inventory"])
        assert seen["reason"] == reason
        found = {name: seen["bucket"][name] for name in ("versions", "bytes", "delete_markers")}
        assert found == {"versions": 8, "bytes": 6 * 3 + 9 + 1, "delete_markers": 1}
        assert (seen["bucket"]["unfinished_uploads"], seen["table"]["items_counted_last"]) == (2, 6)
        assert seen["clients"] == 2
        assert region.contents(customer) == before
    assert not region.evidence()
    assert region.registry.destruction("acme") is None


@pytest.mark.parametrize(
    "event", [{}, {"customer": 1}, {"customer": "nobody"}, {"customer": "acme", "dry_run": "no"}]
)
def test_what_is_no_input_is_refused(region: Region, event: dict[str, object]) -> None:
    before = region.contents("acme")
    execution = region.start()
    execution.frames[0].data = event
    assert region.carry_out(execution).status == "FAILED"
    assert region.contents("acme") == before


def test_what_was_asked_for_and_is_not_done_ends_rejected(region: Region) -> None:
    lock = RunLock(REQUESTS, MACHINE)
    first, waits, neighbours = region.ask("acme"), region.ask("acme"), region.ask("globex")
    assert region.requests.claim("acme", waits, "run-1")
    soon = datetime.now(UTC) + timedelta(hours=6)
    assert region.requests.postpone("acme", waits, "run-1", until=soon, detail={})
    assert lock.start_run("acme") is not None
    run = lock.active_run("acme")
    assert run is not None
    region.carry_out(region.start())
    for request_id in (first, waits):
        request = region.requests.get("acme", request_id)
        assert request is not None
        assert request.state == "rejected"
        assert request.detail == {"problems": [{"reason": "contract-ended"}], "problem_count": 1}
    left = region.requests.get("globex", neighbours)
    assert left is not None
    assert left.state == "pending"
    assert not lock.is_running("acme", run), "the run that was going on was stopped"
    assert lock.start_run("acme") is None, "and none starts again"
    active = lock.active_run("acme")
    assert active is not None
    assert active.run_id == CONTRACT_END
    assert sweep(["acme"], region.requests, lock) == []
    assert lock.active_run("acme") is not None, "the sweep leaves the lock where it is"


def test_more_requests_than_one_call_rejects(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(contract_over, "REJECTED_AT_ONCE", 2)
    ids = [region.ask("acme") for _ in range(5)]
    region.carry_out(region.start())
    states = {request.state for each in ids if (request := region.requests.get("acme", each)) is not None}
    assert states == {"rejected"}


def test_what_is_written_meanwhile_is_found_and_goes_too(region: Region) -> None:
    execution = region.start()
    while "EmptyBucket" not in execution.done:
        execution.advance(region.invoke)
    region.aws("s3").put_object(Bucket=region.bucket("acme"), Key="feedback/late.jsonl", Body=b"{}")
    late = region.ask("acme")
    region.carry_out(execution)
    assert execution.done.count("EmptyBucket") == 2
    assert region.contents("acme") == NOTHING
    request = region.requests.get("acme", late)
    assert request is not None
    assert request.state == "rejected"


def test_where_somebody_keeps_writing_it_fails_and_says_so(region: Region) -> None:
    def invoke(function: str, event: object) -> object:
        if function == "verify_destruction":
            region.aws("s3").put_object(Bucket=region.bucket("acme"), Key="again", Body=b"x")
        return region.invoke(function, event)

    execution = region.start()
    while execution.status == "RUNNING" and execution.waiting_until is None:
        execution.advance(invoke)
    assert execution.status == "FAILED"
    assert not region.evidence()
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


@pytest.mark.parametrize("name", ["bucket", "table", "key_arn", "clients"])
def test_another_customers_resources_in_its_hands_are_left_alone(region: Region, name: str) -> None:
    theirs = {
        "bucket": region.bucket("globex"),
        "table": region.table("globex"),
        "key_arn": region.keys["globex"],
        "clients": json.dumps(region.clients["globex"]),
    }
    neighbour = region.contents("globex")
    region.register("acme", contract_ends=date(2026, 1, 31), **{name: theirs[name]})
    execution = region.carry_out(region.start())
    assert execution.status == "FAILED"
    assert region.contents("globex") == neighbour
    assert not region.evidence()


def test_a_second_execution_ends_as_the_first(region: Region) -> None:
    first, second = region.start(), region.start()
    while first.waiting_until is None or second.waiting_until is None:
        for execution in (first, second):
            if execution.waiting_until is None:
                execution.advance(region.invoke)
        assert first.status == second.status == "RUNNING"
    assert region.contents("acme") == NOTHING
    assert len(region.evidence()) == 1
    region.remove_key("acme")
    assert {region.carry_out(first).status, region.carry_out(second).status} == {"SUCCEEDED"}
    third = region.carry_out(region.start())
    assert third.status == "RUNNING" or third.status == "SUCCEEDED"
    assert len(region.evidence()) == 2


def test_a_large_bucket_is_emptied_prefix_by_prefix(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(empty_bucket, "PAGES_ALONE", 0)
    monkeypatch.setattr("handlers.contracts.empty_bucket.empty_bucket.PAGES_ALONE", 0)
    execution = region.start()
    for _ in range(8):
        execution.advance(region.invoke)
    assert execution.done[:5] == ["Check", "Freeze", "EmptyBucket", "EmptyPrefix", "EmptyPrefix"]
    left = {key for key, _, _ in region.contents("acme")["versions"]}
    assert left == {"of no dataset"}, "what no prefix covers is left to the call for all"
    monkeypatch.setattr("handlers.contracts.empty_bucket.empty_bucket.PAGES_ALONE", 1)
    region.carry_out(execution)
    assert region.contents("acme") == NOTHING


def test_a_call_with_little_time_left_leaves_the_rest_to_the_next(region: Region) -> None:
    times = iter([900_000, 59_000, 59_000, 59_000])
    region.milliseconds = lambda: next(times, 900_000)
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


def test_what_s3_refused_at_first_is_counted_once(region: Region) -> None:
    refused: list[str] = []

    def refusing(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
        if operation != "DeleteObjects" or refused:
            return aws(client, operation, parameters)
        refused.extend(each["VersionId"] for each in parameters["Delete"]["Objects"])
        errors = [{**each, "Code": "SlowDown"} for each in parameters["Delete"]["Objects"]]
        return {"Errors": errors}

    aws = BaseClient._make_api_call
    with patch.object(BaseClient, "_make_api_call", refusing):
        region.carry_out(region.start())
    assert len(refused) == 9
    (scheduled,) = region.evidence().values()
    assert scheduled["deleted_at_least"] == {"versions": 8, "markers": 1, "uploads": 2}


def test_an_upload_that_somebody_else_ended_is_no_failure(region: Region) -> None:
    """Two executions at once, or a customer's own program that still has a signed URL."""
    aws = BaseClient._make_api_call

    def ended_before(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
        if operation == "AbortMultipartUpload":
            aws(client, operation, {**parameters})
        return aws(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", ended_before):
        execution = region.carry_out(region.start())
    assert execution.done.count("EmptyBucket") == 1
    assert region.contents("acme") == NOTHING
    (scheduled,) = region.evidence().values()
    assert scheduled["deleted_at_least"] == {"versions": 8, "markers": 1}


def test_destroyed_names_the_state_the_registry_keeps(region: Region) -> None:
    region.carry_out(region.start())
    destruction = region.registry.destruction("acme")
    assert isinstance(destruction, Destruction)
    assert (destruction.state, destruction.key_deletion is not None) == ("scheduled", True)
    assert EVIDENCE


def test_a_request_that_comes_after_the_last_reading_back_is_rejected(region: Region) -> None:
    """Its call had been let in before the freeze: functions behind the API may take 28 seconds."""
    execution = region.carry_out(region.start())
    late = region.ask("acme")
    region.remove_key("acme")
    assert region.carry_out(execution).status == "SUCCEEDED"
    request = region.requests.get("acme", late)
    assert request is not None
    assert request.state == "rejected"


def test_the_sealed_secret_goes_with_the_table_and_nobody_elses(region: Region) -> None:
    assert region.registry.sealed_secret("acme") is not None
    region.carry_out(region.start())
    assert region.registry.sealed_secret("acme") is None
    assert region.registry.sealed_secret("globex") is not None
    (scheduled,) = region.evidence().values()
    assert scheduled["read_back"]["sealed_secrets"] == 0
