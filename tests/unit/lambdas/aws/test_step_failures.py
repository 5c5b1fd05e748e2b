"""What leaves a function that failed: a name that says what an operator has to know, and nothing else."""

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from privacy.aws.failures import StepFailedError, error_name, reported, shown
from privacy.identifiers import uuid7
from privacy.run import plan as run_plan
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones
from privacy.visits import batch as visit_batch
from privacy.visits.items import Visits

if TYPE_CHECKING:
    from ..support.world import World

ANNA = "anna@example.org"
ANNAS_ROW = b'{"author": {"email": "anna@example.org"}}\n'
SECRET = "letters/anna@example.org.txt"


def refused(code: str = "AccessDenied") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"no access to {SECRET}"}}, "GetObject")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("dynamodb", "query", {"TableName": "none", "KeyConditionExpression": "pk = :a",
         "ExpressionAttributeValues": {":a": {"S": SECRET}}}, "dynamodb.Query.ResourceNotFoundException"),
        ("s3", "get_object", {"Bucket": "nobodys-bucket", "Key": SECRET}, "s3.GetObject.NoSuchBucket"),
        ("stepfunctions", "describe_execution",
         {"executionArn": "arn:aws:states:eu-west-1:123456789012:execution:none:none"},
         "states.DescribeExecution.ExecutionDoesNotExist"),
    ],
)  # fmt: skip
def test_an_aws_error_is_named_by_service_operation_and_code(
    service: str, operation: str, parameters: dict[str, Any], expected: str
) -> None:
    client: Any = boto3.client(service)  # type: ignore[call-overload]
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**parameters)
    assert error_name(caught.value) == expected
    assert SECRET not in error_name(caught.value)


def test_other_errors_are_named_by_their_class() -> None:
    assert error_name(KeyError(SECRET)) == "KeyError"
    assert error_name(refused("Access Denied: anna@example.org")) == "AccessDeniedannaexampleorg"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dynamodb.Query.AccessDeniedException",
         {"error": "AccessDeniedException", "operation": "dynamodb:Query"}),
        ("s3.HeadObject.404", {"error": "404", "operation": "s3:HeadObject"}),
        ("Sandbox.Timedout", {"error": "Sandbox.Timedout"}),
        ("Lambda.TooManyRequestsException", {"error": "Lambda.TooManyRequestsException"}),
        ("States.Timeout", {"error": "States.Timeout"}),
        ("TableBusyError", {"error": "TableBusyError"}),
        ("anna@example.org broke it", {"error": "unknown"}),
        ("anna.Query.example org", {"error": "unknown"}),
        ("", {"error": "unknown"}),
    ],
)  # fmt: skip
def test_a_requests_detail_shows_error_and_operation(name: str, expected: dict[str, str]) -> None:
    assert shown(name) == expected


@pytest.mark.parametrize("error", [refused(), KeyError(SECRET), ValueError(f"bad: {SECRET}")])
def test_what_leaves_a_handler_carries_nothing_of_the_original(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    @reported("plan")
    def handler(_event: dict[str, str], _context: object) -> None:
        raise error

    caplog.set_level(logging.DEBUG)
    with pytest.raises(StepFailedError) as caught:
        handler({"customer": "acme", "run_id": "1"}, None)
    failure = caught.value
    assert type(failure).__name__ == error_name(error)
    assert str(failure) == "plan failed"
    assert failure.__cause__ is failure.__context__ is None
    # Lambda logs text and stack trace of what leaves a handler; Step Functions keeps both.
    everything = "".join(traceback.format_exception(failure)) + caplog.text
    assert SECRET not in everything
    (line,) = caplog.messages
    assert line.startswith(f"step failed: step=plan error={error_name(error)} at={__file__}:")
    assert line.endswith(" customer=acme run=1")


@pytest.mark.parametrize(
    ("function", "place", "name"),
    [
        ("plan_run", run_plan, "_leave_tombstones"),
        ("visit_objects", Visits, "between"),
        ("verify_run", Visits, "notes"),
        ("complete_run", Visits, "clear"),
        ("index_objects", tombstones, "erased_since"),
    ],
)
def test_no_function_lets_an_errors_text_out(
    world: "World", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    function: str, place: object, name: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, "privacy")
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.erase(ANNA)
    run_id = uuid7()
    step = {"customer": "acme", "run_id": run_id, "first": 0, "last": 0}
    if function != "plan_run":
        world.visit(world.plan(run_id))

    def fail(*_: object, **__: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(place, name, fail)
    world.put("feedback/b.jsonl", ANNAS_ROW, indexed=False)
    act = world.deliver if function == "index_objects" else lambda: world.call(function, step)
    with pytest.raises(StepFailedError) as caught:
        act()
    assert type(caught.value).__name__ == "KeyError"
    assert SECRET not in caplog.text
    assert [m for m in caplog.messages if m.startswith("step failed: ") and "error=KeyError" in m]


def test_a_visits_aws_error_is_shown_with_its_operation(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            vault_objects, "read", lambda vault, key, **_: vault.s3.get_object(Bucket="x-y", Key=key)
        )
        with pytest.raises(visit_batch.VisitsFailedError):
            world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    detail = world.request(request).detail
    assert detail is not None
    problem = detail["problems"][0]
    assert (problem["reason"], problem["operation"], problem["error"]) == (
        "visit-not-done",
        "s3:GetObject",
        "NoSuchBucket",
    )
    assert "feedback" not in json.dumps({k: v for k, v in problem.items() if k != "dataset"})


def test_a_run_that_failed_says_at_which_step_and_what_aws_refused(world: "World") -> None:
    request = world.erase(ANNA)
    run_id = uuid7()
    world.plan(run_id)
    world.complete(run_id, step="verify", error="s3.ListObjectVersions.AccessDenied")
    assert world.request(request).detail == {
        "problems": [
            {
                "reason": "run-failed",
                "step": "verify",
                "error": "AccessDenied",
                "operation": "s3:ListObjectVersions",
            }
        ],
        "problem_count": 1,
    }
