"""Exports: everything of the customer once, whatever happens meanwhile, and never longer than an erasure."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError

from components.machines.export import export_definition
from privacy.aws.failures import StepFailedError
from privacy.customers.registry import destruction_key
from privacy.exports import files as export_files
from privacy.exports import walk as export_walk
from privacy.exports import write as export_write
from privacy.exports.store import Export, ExportStore, Kind
from privacy.exports.write import Exporter
from privacy.identifiers import uuid7
from privacy.requests.run_lock import RunLock
from privacy.vault import sessions

from ..support.state_machine import Execution, TaskFailedError

if TYPE_CHECKING:
    from ..support.world import World

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:gdpr-eu-west-run"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:gdpr-eu-west-export:acme-1"
ANNA, BOB = "anna@example.com", "bob@example.com"


def row(subject: str) -> bytes:
    return json.dumps({"author": {"email": subject}, "text": "fine"}).encode() + b"\n"


def store(world: "World") -> ExportStore:
    return ExportStore(world.requests.table)


def lock(world: "World") -> RunLock:
    return RunLock(world.requests.table, MACHINE)


def ask(world: "World", at: datetime | None = None) -> str:
    at = at or datetime.now(UTC)
    return str(store(world).create("acme", uuid7(at), at, None).answer["id"])


def step(world: "World", export_id: str, **more: str) -> dict[str, Any]:
    return world.call(
        "export_vault", {"customer": "acme", "export_id": export_id, "execution": EXECUTION, **more}
    )


def export(world: "World", export_id: str) -> Export:
    found = store(world).get("acme", export_id)
    assert found is not None
    return found


def exported(world: "World") -> Export:
    """Ask for an export and have it made."""
    export_id = ask(world)
    assert step(world, export_id) == {"customer": "acme", "export_id": export_id, "next": "done"}
    return export(world, export_id)


def lines(world: "World", made: Export, kind: Kind) -> list[dict[str, Any]]:
    """What a completed export holds, which is what its counts say."""
    assert made.state == "completed"
    assert made.written is not None
    bodies = {
        part: world.read(export_files.prefix(made.id) + part.name)
        for part in made.written.parts
        if part.kind == kind
    }
    for part, body in bodies.items():
        assert (len(body), body.count(b"\n")) == (part.size, part.lines)
    found = [json.loads(line) for body in bodies.values() for line in body.splitlines()]
    assert len(found) == (made.written.records if kind == "records" else made.written.files)
    return found


def below_exports(world: "World") -> list[str]:
    return [key for key, _, _ in world.versions() if key.startswith("exports/")]


def furnish(world: "World") -> None:
    """Records and files of two people, and what is no longer there."""
    for number, subject in enumerate((ANNA, BOB)):
        world.put_record(f"p-{number}", subject, name=f"Ñ {number}", amount=0.1, big=BIG)
    world.put("feedback/a.jsonl", row(ANNA))
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.put("feedback/gone.jsonl", row(BOB))
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/gone.jsonl")
    world.put("archive/ü.jsonl", b'{"by": {"email": "anna@example.com"}}\n')
    world.put_letter("letters/1", ANNA)
    world.s3.put_object(Bucket=world.customer.bucket, Key="dataset-of-old/x", Body=b"x")


BIG = 12345678901234567890
RECORDS = [
    {"dataset": "profiles", "record_id": f"p-{n}", "fields": {"name": f"Ñ {n}", "amount": 0.1, "big": BIG}}
    for n in range(2)
]
FILES = [
    ("archive", "archive/ü.jsonl"),
    (None, "dataset-of-old/x"),
    ("feedback", "feedback/a.jsonl"),
    ("letters", "letters/1"),
]


def assert_whole(world: "World", made: Export) -> None:
    records = sorted(lines(world, made, "records"), key=lambda line: str(line["record_id"]))
    assert all(line.pop("updated_at") for line in records)
    assert records == RECORDS
    files = lines(world, made, "files")
    assert [(line["dataset"], line["key"]) for line in files] == FILES
    for line in files:
        newest = world.s3.head_object(Bucket=world.customer.bucket, Key=line["key"])
        assert (line["version_id"], line["etag"]) == (newest["VersionId"], newest["ETag"])
        assert line["size"] == newest["ContentLength"]
    assert made.written is not None
    assert made.written.size == sum(line["size"] for line in files)


def assert_over(world: "World") -> None:
    """Nothing is left that only an export which is being made needs."""
    assert lock(world).active_run("acme") is None
    assert [item for item in world.items() if item["pk"]["S"].startswith("export#")] == []


def test_an_export_has_every_record_and_lists_every_file_as_it_is(world: "World") -> None:
    furnish(world)
    made = exported(world)
    assert_whole(world, made)
    assert_over(world)


def test_it_can_be_fetched_for_as_long_as_s3_keeps_it(world: "World") -> None:
    before = datetime.now(UTC)
    furnish(world)
    made = exported(world)
    assert made.fetch_until is not None
    until = datetime.fromisoformat(made.fetch_until)
    oldest = min(
        world.s3.head_object(Bucket=world.customer.bucket, Key=key)["LastModified"]
        for key in below_exports(world)
    )
    assert until <= oldest + timedelta(days=7)
    assert until >= before + timedelta(days=7, seconds=-1)
    assert (made.state_at(until - timedelta(seconds=1)), made.state_at(until)) == ("completed", "expired")


def test_it_is_sealed_with_the_vaults_own_key(world: "World") -> None:
    furnish(world)
    exported(world)
    for key in below_exports(world):
        head = world.s3.head_object(Bucket=world.customer.bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", world.customer.key_arn)


def test_a_vault_without_anything_has_an_export_without_anything(world: "World") -> None:
    made = exported(world)
    assert (lines(world, made, "records"), lines(world, made, "files")) == ([], [])
    assert below_exports(world) == []


def test_an_export_lists_no_export(world: "World") -> None:
    furnish(world)
    exported(world)
    assert_whole(world, exported(world))


def patient(times: int) -> Callable[[], int]:
    """The milliseconds left: enough, so many times, then too few."""
    left = chain(repeat(900_000, times), repeat(59_999))
    return lambda: next(left)


def test_a_call_goes_on_where_the_time_of_the_one_before_was_short(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        world.put_record(f"p-{number}", f"{number}@example.com", text="x" * 100_000)
        world.s3.put_object(Bucket=world.customer.bucket, Key=f"papers/{number}", Body=b"x")
    monkeypatch.setattr(export_write, "PART_BYTES", 2_000_000)
    handler = world.functions.module("export_vault").handler
    export_id, calls, answer = ask(world), 0, {"next": "more"}
    while answer["next"] == "more":
        calls += 1
        event = {"customer": "acme", "export_id": export_id, "execution": EXECUTION}
        answer = handler(event, SimpleNamespace(get_remaining_time_in_millis=patient(3)))
        assert set(answer) <= {"customer", "export_id", "next"}
    assert calls > 2
    made = export(world, export_id)
    names = {f"p-{number}" for number in range(60)}
    records = lines(world, made, "records")
    assert (len(records), {line["record_id"] for line in records}) == (60, names)
    assert {line["key"] for line in lines(world, made, "files")} == {f"papers/{n}" for n in range(60)}
    assert made.written is not None
    assert len(made.written.parts) > 3
    assert all(part.size < 4_000_000 for part in made.written.parts), "memory stays flat"


_CALL = BaseClient._make_api_call


@pytest.mark.parametrize("lost", ["the call", "its answer"])
def test_whichever_call_goes_wrong_the_export_is_whole(
    world: "World", monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    furnish(world)
    number = wrong = 0

    def call(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        nonlocal number
        number += 1
        if number == wrong and lost == "the call":
            raise ReadTimeoutError(endpoint_url="x")
        answer = _CALL(client, operation, parameters)
        if number == wrong:
            raise ReadTimeoutError(endpoint_url="x")
        return answer

    while number >= wrong:
        wrong += 1
        export_id = ask(world)
        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", call)
            number = 0
            for _ in range(4):
                try:
                    answer = step(world, export_id)
                except StepFailedError:
                    sessions.forget()
                    continue
                break
        assert answer["next"] == "done"
        assert_whole(world, export(world, export_id))
        assert_over(world)
    assert wrong > 10


# what else goes on at the customer


def test_no_run_begins_while_an_export_is_made_and_what_came_starts_after_it(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    write = Exporter._write
    met: list[str | None] = []

    def interrupted(this: Exporter, name: str, content: bytes) -> str:
        world.correct(ANNA, [{"dataset": "profiles", "set": {"name": "A"}}])
        met.append(lock(world).start_run("acme"))
        return write(this, name, content)

    monkeypatch.setattr(Exporter, "_write", interrupted)
    assert_whole(world, exported(world))
    assert met == [None, None]
    assert world.executions() == 1
    active = lock(world).active_run("acme")
    assert active is not None
    assert active.execution is None, "it is a run"


def test_an_export_waits_for_a_run_and_looks_again_ever_later(world: "World") -> None:
    run_id = lock(world).start_run("acme")
    assert run_id
    for minutes, seconds in ((0, 15), (60, 360), (60 * 24, 900)):
        export_id = ask(world, datetime.now(UTC) - timedelta(minutes=minutes))
        waits = {"customer": "acme", "export_id": export_id, "next": "wait", "seconds": seconds}
        assert step(world, export_id) == waits
    lock(world).release_run("acme", run_id)
    assert step(world, export_id)["next"] == "done"


def test_the_lock_of_an_export_says_what_holds_it(world: "World") -> None:
    assert lock(world).take_for_export("acme", "e", EXECUTION)
    assert lock(world).take_for_export("acme", "e", EXECUTION), "taken again, it is the same export's"
    assert not lock(world).take_for_export("acme", "f", EXECUTION)
    active = lock(world).active_run("acme")
    assert active is not None
    assert (active.run_id, active.execution) == ("e", EXECUTION)


def test_an_export_that_is_given_up_frees_the_customer(
    world: "World", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    export_id = ask(world)

    def refused(_: Exporter, _name: str, _content: bytes) -> str:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": f"no {ANNA}"}}, "PutObject")

    monkeypatch.setattr(Exporter, "_write", refused)
    world.erase(BOB)

    def invoke(function: str, event: Any) -> Any:  # noqa: ANN401
        try:
            return world.call(function, event)
        except StepFailedError as error:
            raise TaskFailedError(type(error).__name__) from error

    machine = Execution.start(
        export_definition("export_vault"), "acme-1", {"customer": "acme", "export_id": export_id}
    )
    while machine.status == "RUNNING":
        machine.advance(invoke)
    assert (machine.status, machine.done) == ("FAILED", ["GiveUp"])
    assert export(world, export_id).state == "failed"
    assert world.executions() == 1, "the erasure that came meanwhile"
    assert ANNA not in caplog.text
    assert "export failed: customer=acme" in caplog.text


def test_the_workflow_waits_and_goes_on(world: "World") -> None:
    furnish(world)
    export_id, run_id = ask(world), lock(world).start_run("acme")
    assert run_id
    machine = Execution.start(
        export_definition("export_vault"), "acme-1", {"customer": "acme", "export_id": export_id}
    )
    machine.advance(world.call)
    lock(world).release_run("acme", run_id)
    while machine.status == "RUNNING":
        machine.advance(world.call)
    assert (machine.status, machine.done) == ("SUCCEEDED", ["Export", "Export"])
    assert_whole(world, export(world, export_id))


def test_nothing_is_exported_once_the_destruction_has_begun(world: "World") -> None:
    item = {"pk": {"S": destruction_key("acme")}, "state": {"S": "destroying"}, "since": {"S": "-"}}
    world.dynamodb.put_item(TableName="gdpr-eu-west-registry", Item=item)
    export_id = ask(world)
    with pytest.raises(StepFailedError, match="destroyed"):
        step(world, export_id)
    assert step(world, export_id, error="DestructionBegunError")["next"] == "done"
    assert export(world, export_id).state == "failed"
    assert_over(world)


def test_two_calls_that_make_the_same_export_make_it_once(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call whose answer Step Functions did not wait for goes on beside the next."""
    furnish(world)
    write = Exporter._write
    export_id = ask(world)

    def overtaken(this: Exporter, name: str, content: bytes) -> str:
        monkeypatch.setattr(Exporter, "_write", write)
        assert step(world, export_id)["next"] == "done"
        return write(this, name, content)

    monkeypatch.setattr(Exporter, "_write", overtaken)
    with pytest.raises(StepFailedError):
        step(world, export_id)
    made = export(world, export_id)
    assert_whole(world, made)
    assert made.written is not None
    assert sorted(below_exports(world)) == sorted(
        export_files.prefix(export_id) + part.name for part in made.written.parts
    )
    assert step(world, export_id)["next"] == "done"


def test_a_part_that_somebody_else_has_gone_beyond_is_taken_back(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    write = Exporter._write
    export_id = ask(world)

    def overtaken(this: Exporter, name: str, content: bytes) -> str:
        monkeypatch.setattr(Exporter, "_write", write)
        other = Exporter(this.vault, export_id, this.store, this.requests, this.lock)
        other._next_part(*export_walk.read(this.vault, export_id), lambda: 900_000)
        return write(this, name, content)

    monkeypatch.setattr(Exporter, "_write", overtaken)
    with pytest.raises(StepFailedError):
        step(world, export_id)
    assert len(below_exports(world)) == 1
    assert step(world, export_id)["next"] == "done"
    assert_whole(world, export(world, export_id))


# erasures


def test_an_erasure_withdraws_every_export_and_leaves_nothing_of_them(world: "World") -> None:
    furnish(world)
    first, second = exported(world), exported(world)
    bucket = world.customer.bucket
    some = below_exports(world)[0]
    world.s3.put_object(Bucket=bucket, Key=some, Body=b"again")
    world.s3.delete_object(Bucket=bucket, Key=some)
    world.s3.put_object(Bucket=bucket, Key="exports/given-up/records-000001-00.jsonl", Body=row(ANNA))
    erasure = world.erase(BOB)
    world.run()
    assert below_exports(world) == []
    assert world.request(erasure).state == "completed"
    for made in (first, second):
        shown = export(world, made.id).public(datetime.now(UTC))
        assert (shown["state"], shown["reason"]) == ("withdrawn", "erasure")
        assert {"parts", "counts", "expires_at"}.isdisjoint(shown)
    after = exported(world)
    assert [line["record_id"] for line in lines(world, after, "records")] == ["p-0"]


def test_a_correction_leaves_exports_alone(world: "World") -> None:
    furnish(world)
    made = exported(world)
    before = below_exports(world)
    request = world.correct(ANNA, [{"dataset": "feedback", "set": {"text": "new"}}])
    world.run()
    assert world.request(request).state == "completed"
    assert (export(world, made.id).state, below_exports(world)) == ("completed", before)


def test_an_erasure_without_exports_visits_none(world: "World") -> None:
    world.put_record("p-1", ANNA, name="A")
    world.erase(ANNA)
    planned = world.plan(uuid7())
    assert planned["visits"] == 1


def test_an_erasure_that_leaves_an_export_has_failed_and_nobody_can_fetch_it(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    made = exported(world)
    erasure = world.erase(BOB)
    monkeypatch.setattr(export_files, "purge", lambda _: 0)
    world.run()
    assert world.request(erasure).state == "failed"
    assert world.request(erasure).detail == {"problems": [{"reason": "exports-left"}], "problem_count": 1}
    assert export(world, made.id).state == "withdrawn"


def test_what_an_export_writes_after_an_erasure_is_taken_back(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its execution was stopped, and the sweep freed the customer; the function knows nothing of that."""
    furnish(world)
    export_id = ask(world)
    write = Exporter._write

    def stopped(this: Exporter, name: str, content: bytes) -> str:
        lock(world).release_run("acme", export_id)
        erasure = world.erase(BOB)
        run_id = lock(world).start_run("acme")
        assert run_id
        planned = world.plan(run_id)
        world.visit(planned)
        world.call("verify_run", {"customer": "acme", "run_id": run_id})
        version = write(this, name, content)
        world.complete(run_id)
        assert world.request(erasure).state == "completed"
        return version

    monkeypatch.setattr(Exporter, "_write", stopped)
    with pytest.raises(StepFailedError):
        step(world, export_id)
    assert below_exports(world) == []


def test_bucket_events_of_exports_mean_nothing(world: "World") -> None:
    furnish(world)
    exported(world)
    before = world.items()
    for key, version, _ in world.versions():
        if key.startswith("exports/"):
            world.notify("ObjectCreated:Put", key, version)
    assert world.deliver() == []
    assert [item for item in world.items() if item not in before] == []


def test_what_leaves_the_function_names_nobody_and_no_file(
    world: "World", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    furnish(world)
    made = exported(world)
    told = caplog.text + json.dumps(world.dynamodb.scan(TableName=world.requests.table)["Items"])
    assert made.id in told
    for name in (ANNA, BOB, "Ñ", "letters/1", "feedback/", "p-0"):
        assert name not in told
