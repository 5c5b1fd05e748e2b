"""The load run's checks notice what they are there to notice."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from benchmarks.load import checks
from benchmarks.load.datasets import Datasets
from benchmarks.load.figures import Call, percentile, table
from benchmarks.load.region import Execution, Program
from benchmarks.load.workers import Worker
from local.client import PrivacyClient, RequestView

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DATASETS = Datasets.of(
    {
        "id": "acme",
        "datasets": [
            {"name": "profiles", "format": "records", "personal": {"email": "email", "name": "name"}},
            {
                "name": "feedback",
                "format": "jsonl",
                "prefix": "feedback/",
                "subject": "author.email",
                "personal": {"author.email": "email", "author.name": "name"},
            },
            {"name": "letters", "format": "object", "prefix": "letters/", "personal": {}},
        ],
    }
)


def request(number: int, **changes: str | None) -> RequestView:
    moment = START + timedelta(seconds=number)
    done = RequestView(
        id=f"request-{number}",
        type="erasure",
        state="completed",
        received_at=START.isoformat(),
        due_at=START.isoformat(),
        subjects=1,
        completed_at=moment.isoformat(),
        run_id="run-1",
    )
    return replace(done, **changes)


def worker(*accepted: str) -> Worker:
    nobody = cast(Any, None)
    return Worker(
        "w00",
        cast(Program, nobody),
        cast(PrivacyClient, nobody),
        nobody,
        DATASETS,
        random.Random(1),
        accepted=list(accepted),
    )


def test_all_requests_completed_is_no_problem() -> None:
    listed = [request(1), request(2), request(3, follows="request-1")]
    assert list(checks.request_problems(listed, [worker("request-1", "request-2")])) == []


@pytest.mark.parametrize(
    ("listed", "accepted", "says"),
    [
        ([request(1)], ["request-1", "request-2"], "request-2 was answered 202 and is not listed"),
        ([request(1), request(2)], ["request-1"], "request-2 is listed and nobody asked"),
        ([request(1), request(1)], ["request-1"], "listed 2 times"),
        ([request(1)], ["request-1", "request-1"], "different idempotency keys"),
        ([request(1, state="running", completed_at=None)], ["request-1"], "request-1 is running"),
        ([request(1, state="partial")], ["request-1"], "request-1 is partial"),
        ([request(1, completed_at=None)], ["request-1"], "does not say when"),
    ],
)
def test_request_problems_are_found(listed: list[RequestView], accepted: list[str], says: str) -> None:
    (problem,) = checks.request_problems(listed, [worker(*accepted)])
    assert says in problem


def executions(*starts: int, status: str = "SUCCEEDED") -> list[Execution]:
    return [
        Execution("acme", f"run-{number}", status, START + timedelta(seconds=start))
        for number, start in enumerate(starts, 1)
    ]


def test_run_problems_are_found() -> None:
    listed = {"acme": [request(1), request(5), request(9, run_id="run-2")]}
    assert list(checks.run_problems(executions(0, 6), listed)) == []
    assert list(checks.run_problems(executions(0, 4), listed)) == [
        "run run-2 of acme began before run run-1 had ended"
    ]
    assert "has no execution" in next(checks.run_problems(executions(0), listed))
    assert "FAILED" in next(checks.run_problems(executions(0, 6, status="FAILED"), listed))


def end(id_: str, customer: str = "acme") -> str:
    return f'{{"message": "request ended: customer={customer} request={id_} state=completed"}}'


def test_a_request_that_does_not_end_exactly_once_is_found() -> None:
    listed = {"acme": [request(1), request(2)], "globex": [request(3)]}
    once = [end("request-1"), "START", end("request-2"), end("request-3", "globex")]
    assert list(checks.end_problems(once, listed)) == []
    assert list(checks.end_problems([*once, end("request-1")], listed)) == [
        "request request-1 of acme was ended 2 times"
    ]
    assert list(checks.end_problems(once[1:], listed)) == ["request request-1 of acme was ended 0 times"]
    assert list(checks.end_problems([*once, end("request-9")], listed)) == [
        "request request-9 of acme was ended and is not listed"
    ]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_every_answer_that_is_a_failure_of_the_service_is_found(status: int) -> None:
    calls = [Call("get", 0.0, 0.1, 429), Call("get", 0.0, 0.1, status), Call("get", 0.0, 0.1, status)]
    assert checks.answer_problems(calls) == [f"get was answered {status}, 2 times"]


def written_worker() -> Worker:
    writer = worker()
    gone, stays = "w00-000001@load.example", "w00-000002@load.example"
    writer.erased.add(gone)
    writer.living.add(stays)
    writer.corrections = 2
    writer.files = {
        "feedback/a.jsonl": [(gone, DATASETS.row(gone, "a")), (stays, DATASETS.row(stays, "b"))],
        writer.ledger_file: [(writer.ledger, DATASETS.row(writer.ledger, "value 0"))],
    }
    writer.letters = {"letters/1.txt": gone, "letters/2.txt": stays}
    return writer


def right_objects(writer: Worker) -> dict[str, bytes]:
    return {
        "feedback/a.jsonl": writer.files["feedback/a.jsonl"][1][1],
        writer.ledger_file: DATASETS.row(writer.ledger, "value 2"),
        "letters/2.txt": b"Dear",
    }


def test_objects_as_they_should_be_are_no_problem() -> None:
    writer = written_worker()
    assert list(checks.file_problems(writer, right_objects(writer))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda objects, _writer: objects.pop("feedback/a.jsonl"),
        lambda objects, _writer: objects.update({"feedback/a.jsonl": b""}),
        lambda objects, _writer: objects.update({"letters/1.txt": b"Dear"}),
        lambda objects, _writer: objects.pop("letters/2.txt"),
        lambda objects, writer: objects.update({writer.ledger_file: DATASETS.row(writer.ledger, "value 1")}),
        lambda objects, writer: objects.update({writer.ledger_file: objects[writer.ledger_file] * 2}),
    ],
)
def test_wrong_objects_are_found(change: Callable[[dict[str, bytes], Worker], object]) -> None:
    writer = written_worker()
    objects = right_objects(writer)
    change(objects, writer)
    assert len(list(checks.file_problems(writer, objects))) == 1


@pytest.mark.parametrize(
    ("records", "problems"),
    [
        ({"r-w00-000002": '{"name":"as written"}', "r-w00-ledger": '{"name":"value 2"}'}, 0),
        ({"r-w00-ledger": '{"name":"value 2"}'}, 1),
        ({"r-w00-000002": '{"name":"as written"}', "r-w00-ledger": '{"name":"value 1"}'}, 1),
        (
            {
                "r-w00-000001": "{}",
                "r-w00-000002": '{"name":"as written"}',
                "r-w00-ledger": '{"name":"value 2"}',
            },
            1,
        ),
    ],
)
def test_wrong_records_are_found(records: Mapping[str, str], problems: int) -> None:
    assert len(list(checks.record_problems(written_worker(), records))) == problems


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [1.0, 2.0, 3.0, 4.0]
    assert [percentile(ordered, percent) for percent in (0, 50, 75, 76, 100)] == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_table_has_a_line_for_everything_together() -> None:
    calls = [Call("get", 0.0, 0.010, 200), Call("put", 0.0, 0.030, 204)]
    *_, last = table(calls, 2.0).splitlines()
    assert last.split() == ["all", "2", "1.0", "10", "30", "30"]
