"""A region whose functions are called one after the other as AWS does, and that can be set back in time."""

import contextlib
import json
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from moto.s3 import models as moto_s3

from components.machines.replay import replay_definition
from components.machines.run import RunSteps, run_definition
from privacy import environment
from privacy.api.records import put_record
from privacy.aws import clients as aws_clients
from privacy.customers.customer import Customer
from privacy.customers.references import subject_reference
from privacy.customers.registry import Registry
from privacy.requests import store as request_store
from privacy.requests import sweep as request_sweep
from privacy.run import plan as run_plan
from privacy.vault import archived, rewrite, sessions
from privacy.vault import items as vault_items

from ..region import ACCOUNT, REGION
from . import stored_state
from .faults import Faults, Killed
from .state_machine import Execution, TaskFailedError
from .stored_state import REGISTRY, REQUESTS, Version, items, states, versions

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:run"
RECEIVES = 5
BATCH = 2
CLIENT_ATTEMPTS = 4
PART = 16 * 1024
HANDLERS = Path(sessions.__file__).parents[2] / "handlers"
FUNCTIONS = (
    "create_correction_request",
    "create_erasure_request",
    "index_objects",
    "plan_run",
    "visit_objects",
    "verify_run",
    "complete_run",
    "sweep_runs",
    "redrive_run",
    "replay_erasures",
)

_DEFINITION = run_definition(
    RunSteps(plan="plan_run", visit="visit_objects", verify="verify_run", complete="complete_run"), 2
)


@dataclass
class Progress:
    """Where everything outside the tables and buckets stands."""

    position: int = 0
    executions: dict[str, Execution] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Any] = field(default_factory=dict)
    ends: list[tuple[str, str]] = field(default_factory=list)
    mended: bool = False
    """Whether what made a function fail for good has been mended."""
    quiet: bool = False
    """Whether a sweep left nothing to do, and nothing happened since."""


@dataclass
class Step:
    """One step of a scenario: `act` once or, with `until`, let AWS work until something is the case."""

    act: Callable[["Region"], None] | None = None
    until: Callable[["Region"], bool] | None = None


@dataclass
class Region:
    """The region, the scenario that is played in it, and how far that has come."""

    scenario: Sequence[Step]
    faults: Faults
    progress: Progress = field(default_factory=Progress)
    functions: dict[str, CodeType] = field(default_factory=dict)
    invoked: str | None = None
    broken: Callable[[str, Any], str | None] = lambda _function, _event: None
    """Function and event → the error with which the function fails for good, or None."""

    # -- what the customers do

    def customer(self, name: str) -> Customer:
        found = Registry(REGISTRY).customer(name)
        assert found is not None
        return found

    def ref(self, customer: str, identifier: str) -> str:
        opened = sessions.open_vault(self.customer(customer), "intake")
        return subject_reference(opened.subject_secret(), identifier, "email")

    def put(self, customer: str, key: str, body: bytes, **more: object) -> None:
        before = versions()
        boto3.client("s3").put_object(Bucket=f"vault-{customer}", Key=key, Body=body, **more)
        self.notify(before)

    def delete_version(self, customer: str, key: str) -> None:
        """Delete the newest version of the key."""
        before = versions()
        bucket = f"vault-{customer}"
        newest = next(version for *place, version in before if place == [bucket, key])
        boto3.client("s3").delete_object(Bucket=bucket, Key=key, VersionId=newest)
        self.notify(before)

    def hide(self, customer: str, key: str) -> None:
        """Put a delete marker on the key."""
        bucket = f"vault-{customer}"
        marker = boto3.client("s3").delete_object(Bucket=bucket, Key=key)
        self._queue([("ObjectRemoved:DeleteMarkerCreated", (bucket, key, marker["VersionId"]))])

    def put_record(self, customer: str, record_id: str, subject: str, **fields: object) -> None:
        opened = sessions.open_vault(self.customer(customer), "ingest")
        ref = self.ref(customer, subject)
        put_record(opened, "profiles", record_id, ref, fields, datetime.now(UTC))

    def post(self, label: str, operation: str, body: Mapping[str, Any]) -> None:
        """Make a request as acme, again and again under the same key until it is accepted."""
        event = {
            "resource": f"/v1/{operation}-requests",
            "httpMethod": "POST",
            "multiValueHeaders": {
                "Content-Type": ["application/json"],
                "Idempotency-Key": [label.replace(" ", "-")],
            },
            "body": json.dumps(body),
            "requestContext": {
                "requestId": "-",
                "authorizer": {"claims": {"client_id": "acme-dpo", "scope": "privacy/erase privacy/correct"}},
            },
        }
        for _ in range(CLIENT_ATTEMPTS):
            with contextlib.suppress(TaskFailedError):
                answer = self.invoke(f"create_{operation}_request", event)
                if answer["statusCode"] == 202:
                    self.progress.labels[json.loads(answer["body"])["id"]] = label
                    return
        raise AssertionError(f"{label} was never accepted")

    # -- what the operator does

    def redrive(self) -> None:
        """Redrive the first of all runs, again and again until that has been answered."""
        customer, _, run_id = next(iter(self.progress.executions)).partition("-")
        for _ in range(CLIENT_ATTEMPTS):
            with contextlib.suppress(TaskFailedError):
                answer = self.invoke("redrive_run", {"customer": customer, "run_id": run_id})
                assert (answer["requests"], answer["superseded"]) == (len(self.progress.labels), 0)
                return
        raise AssertionError("the run was never redriven")

    def start_replay(self, customer: str) -> None:
        """Start a replay, as an operator does after a restoration."""
        event = {"customer": customer, "restored_from": "2020-01-01T00:00:00Z"}
        definition = replay_definition("replay_erasures")
        self.progress.executions["replay"] = Execution.start(definition, "replay", event)

    # -- what AWS does

    def advance(self) -> None:
        """Let the next thing happen: at most one function is called, and called again where it failed."""
        step = self.scenario[self.progress.position]
        if step.act is not None:
            self.progress.quiet = False
            step.act(self)
        elif step.until is not None and not step.until(self):
            self.work()
            return
        self.progress.position += 1

    @property
    def over(self) -> bool:
        return self.progress.position == len(self.scenario)

    @property
    def running(self) -> Execution | None:
        return next((e for e in self.progress.executions.values() if e.status == "RUNNING"), None)

    def work(self) -> None:
        """Executions first, then bucket events; the sweep comes when nothing else is left to do."""
        if self.running is not None:
            self.progress.quiet = False
            self.running.advance(self.invoke)
        elif self.progress.messages:
            self.progress.quiet = False
            self.deliver()
        else:
            with contextlib.suppress(TaskFailedError):
                started = self.invoke("sweep_runs", {})["started"]
                kinds = {item["sk"]["S"].partition("#")[0] for item in items(REQUESTS)}
                self.progress.quiet = not started and kinds.isdisjoint({"run", "pending"})

    def deliver(self) -> None:
        """Give a batch of bucket events to the index function until it has taken all of them."""
        waiting = self.progress.messages[:BATCH]
        del self.progress.messages[:BATCH]
        batch = [
            {
                "messageId": str(number),
                "receiptHandle": str(number),
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:object-events",
                "attributes": {"ApproximateReceiveCount": "1"},
                "body": json.dumps({"Records": [record]}),
            }
            for number, record in enumerate(waiting)
        ]
        for _ in range(RECEIVES):
            with contextlib.suppress(TaskFailedError):
                failures = self.invoke("index_objects", {"Records": batch})["batchItemFailures"]
                failed = {failure["itemIdentifier"] for failure in failures}
                batch = [message for message in batch if message["messageId"] in failed]
            if not batch:
                return
        raise AssertionError("messages went to the dead-letter queue")

    def deliver_all(self) -> None:
        while self.progress.messages:
            self.deliver()

    def invoke(self, function: str, event: Any) -> Any:  # noqa: ANN401 - JSON
        """Call a function in a new process. Raises TaskFailedError, also where it is killed."""
        if not self.progress.mended and (error := self.broken(function, event)):
            raise TaskFailedError(error)
        if function == "complete_run" and "error" not in event:
            self._note_outcomes(event["run_id"])
        aws_clients.forget()
        sessions.forget()
        self.invoked = function
        module: dict[str, Any] = {"__name__": function}
        exec(self.functions[function], module)  # what a new process does first
        before, earlier = versions(), states()
        try:
            with self.faults.function():
                answer = module["handler"](json.loads(json.dumps(event)), _Context())
        except Killed:
            raise TaskFailedError("Lambda.Unknown") from None
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error
        finally:
            self.notify(before)
            for request, state in states().items():
                if state not in {"pending", "running", earlier.get(request)}:
                    self.progress.ends.append((self.progress.labels.get(request, "follow-up"), state))
        return json.loads(json.dumps(answer))

    def security(self, _client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        """Answer as STS and KMS: any ciphertext has its plaintext."""
        if operation == "AssumeRole":
            expiration = datetime.now(UTC) + timedelta(hours=1)
            keys = dict.fromkeys(("AccessKeyId", "SecretAccessKey", "SessionToken"), "-")
            return {"Credentials": {**keys, "Expiration": expiration}}
        assert operation == "Decrypt"
        return {"Plaintext": stored_state.plaintext(parameters["CiphertextBlob"])}

    def step_functions(self, client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        """Answer as Step Functions."""
        executions = self.progress.executions
        if operation == "StartExecution":
            name = parameters["name"]
            known = executions.get(name)
            if known is not None and known.status != "RUNNING":
                raise client.exceptions.ExecutionAlreadyExists({"Error": {"Code": "-"}}, operation)
            if known is None:
                executions[name] = Execution.start(_DEFINITION, name, json.loads(parameters["input"]))
            return {"executionArn": f"{MACHINE.replace('stateMachine', 'execution')}:{name}"}
        assert operation == "DescribeExecution"
        name = parameters["executionArn"].rpartition(":")[2]
        if name not in executions:
            raise client.exceptions.ExecutionDoesNotExist(
                {"Error": {"Code": "ExecutionDoesNotExist"}}, operation
            )
        return {"status": executions[name].status}

    def notify(self, before: Sequence[Version]) -> None:
        """Queue the bucket events of what changed."""
        after = versions()
        changes = [("ObjectCreated:Put", version) for version in after if version not in before]
        changes += [("ObjectRemoved:Delete", version) for version in before if version not in after]
        self._queue(changes)

    def _queue(self, changes: Iterable[tuple[str, Version]]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.progress.messages += [
            {
                "eventTime": at,
                "eventName": name,
                "s3": {
                    "bucket": {"name": bucket},
                    "object": {"key": quote_plus(key, safe="/"), "versionId": version},
                },
            }
            for name, (bucket, key, version) in changes
        ]

    # -- going back, and what is there

    def snapshot(self) -> bytes:
        """Return everything there is, for `restore`."""
        return pickle.dumps((stored_state.save(), self.progress))

    def restore(self, snapshot: bytes) -> None:
        """Go back to when the snapshot was taken."""
        saved, self.progress = pickle.loads(snapshot)
        stored_state.put_back(saved)

    def _note_outcomes(self, run_id: str) -> None:
        for item in items("vault-acme"):
            if item["pk"]["S"] == f"run#{run_id}" and "outcome" in item:
                visit = f"{run_id} {item['sk']['S']}"
                outcome = json.loads(item["outcome"]["S"])
                # S3 is quick here: a visit made again finds the file back that the first had to wait for.
                if outcome.get("archived") is None:
                    self.progress.outcomes[visit] = [item.get("key"), outcome]

    def view(self) -> dict[str, Any]:
        """Everything there is and is still to come, with what differs from run to run made the same."""
        p = self.progress
        frames = [
            [(frame.state, frame.data, frame.items) for frame in execution.frames]
            for execution in p.executions.values()
            if execution.status == "RUNNING"
        ]
        ahead = [p.position, frames, p.messages, p.held, p.quiet]
        write = stored_state.normaliser(p.labels)
        return {
            **stored_state.contents(p.labels),
            "outcomes": sorted(write(outcome) for outcome in p.outcomes.values()),
            "ends": sorted(p.ends),
            "ahead": write(ahead),
        }


VARIABLES = {
    environment.REGISTRY_TABLE: REGISTRY,
    environment.REQUEST_TABLE: REQUESTS,
    environment.RUN_STATE_MACHINE_ARN: MACHINE,
    environment.EVIDENCE_BUCKET: stored_state.EVIDENCE,
    environment.PURPOSE_ROLE_ARN: f"arn:aws:iam::{ACCOUNT}:role/purpose",
}
"""The environment of the functions."""


def region_of(faults: Faults) -> Region:
    """Return the region of what `stored_state.make` made, in which nothing happened yet."""
    region = Region((), faults)
    for service in ("kms", "sts"):
        faults.services[service] = region.security
    faults.services["sqs"] = lambda _client, _operation, _parameters: {}
    faults.services["stepfunctions"] = region.step_functions
    region.functions |= {name: compiled(name) for name in FUNCTIONS}
    return region


@cache
def compiled(function: str) -> CodeType:
    """Return the code of the function's handler, which every new process executes."""
    path = next(HANDLERS.glob(f"*/{function}.py"))
    return compile(path.read_text(encoding="utf-8"), path, "exec")


def hasten(patch: pytest.MonkeyPatch) -> None:
    """Let the functions wait for nothing, and take small parts and batches."""
    patch.setattr(rewrite, "PART_BYTES", PART)
    patch.setattr(moto_s3, "S3_UPLOAD_PART_MIN_SIZE", PART)
    patch.setattr(run_plan, "BATCH_VISITS", 1)
    patch.setattr(request_sweep, "SETTLING", timedelta(0))
    patch.setattr(archived, "WAIT", timedelta(0))
    patch.setattr(vault_items, "pause", lambda _: None)
    patch.setattr(request_store, "pause", lambda _: None)


class _Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000
