"""A region in which hours pass: the watch over contracts is called, Step Functions and KMS do their part."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from moto.backends import get_backend

from privacy.contracts.watch import watch

from ..region import ACCOUNT, REGION, client
from ..support.contract_region import CONTRACT_END, REGISTRY, Region
from ..support.state_machine import EXECUTIONS, Execution, Invoke

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_STEPS = 300
CLOCKS = (
    "privacy.contracts.witness.datetime",
    *(f"handlers.contracts.{step}.datetime" for step in ("check_contract_end", "freeze_contract")),
    "handlers.contracts.confirm_key_deletion.datetime",
)
"""Where functions ask what time it is."""


@dataclass
class Ended:
    """When an execution ended, and with which error, if with one."""

    at: datetime
    error: str | None


@dataclass
class Hours:
    """The region as hours pass in it, and the executions of contracts' ends, in the order of their starts."""

    region: Region
    later: timedelta = timedelta(0)
    executions: dict[str, Execution] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    invoke: Invoke | None = None
    """What calls the functions, where it is not the region itself."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    @property
    def last(self) -> Execution:
        return list(self.executions.values())[-1]

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let Step Functions be this region's, for all who call it about ends of contracts."""
        aws = BaseClient._make_api_call

        def call(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
            text = json.dumps(parameters, default=str)
            if of.meta.service_model.service_name == "stepfunctions" and "contract-end" in text:
                return self.step_functions(of, operation, parameters)
            return aws(of, operation, parameters)

        with ExitStack() as patches:
            patches.enter_context(patch.object(BaseClient, "_make_api_call", call))
            for place in CLOCKS:
                patches.enter_context(patch(place, self._clock()))
            patches.enter_context(patch("moto.kms.models.utcnow", lambda: self.now.replace(tzinfo=None)))
            yield

    def _clock(self) -> type[datetime]:
        hours = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # all ask for UTC
                assert tz is UTC
                return hours.now

        return Clock

    def step_functions(self, of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if operation == "StartExecution":
            name = parameters["name"]
            if name in self.executions:
                raise of.exceptions.ExecutionAlreadyExists({"Error": {"Code": "-"}}, operation)
            self.start(name, parameters["input"])
            return {"executionArn": f"{EXECUTIONS}:{name}"}
        assert operation == "DescribeExecution"
        name = parameters["executionArn"].rpartition(":")[2]
        if name not in self.executions:
            raise of.exceptions.ExecutionDoesNotExist({"Error": {"Code": "-"}}, operation)
        answer = {"status": self.executions[name].status, "input": self.inputs[name]}
        if name not in self.ended:
            return answer
        ended = self.ended[name]
        return {**answer, "stopDate": ended.at, **({"error": ended.error} if ended.error else {})}

    def start(self, name: str = "by-the-schedule", given: str = '{"customer":"acme"}') -> Execution:
        self.inputs[name] = given
        self.executions[name] = Execution.start(self.region.definition, name, json.loads(given))
        return self.executions[name]

    def until(self, step: str) -> None:
        """Let the executions work until one of them has done a step."""
        while not any(step in each.done for each in self.executions.values()):
            assert self._advance(), f"nothing goes on: {[each.done for each in self.executions.values()]}"

    def settle(self) -> None:
        """Let the executions work until each has ended, or waits for a moment to come."""
        for _ in range(MOST_STEPS):
            if not self._advance():
                return
        raise AssertionError(f"no end: {self.last.done[-20:]}")

    def pass_by(self, time: timedelta, step: timedelta = HOUR) -> list[list[str]]:
        """Let so much time pass, with a watch every hour, or less often; return whom each watch started."""
        started = []
        for _ in range(time // step):
            self.later += step
            self._delete_keys()
            self.settle()
            started.append(watch(self.region.registry, CONTRACT_END, clock=lambda: self.now))
            self.settle()
        return started

    def _advance(self) -> bool:
        """Let one execution do one step; return whether there was one to do."""
        for name, execution in self.executions.items():
            until = execution.waiting_until
            if execution.status != "RUNNING" or (until and datetime.fromisoformat(until) > self.now):
                continue
            execution.advance(self.invoke or self.region.invoke)
            if execution.status != "RUNNING":
                self.ended[name] = Ended(self.now, execution.error)
            return True
        return False

    def _delete_keys(self) -> None:
        keys = get_backend("kms")[ACCOUNT][REGION].keys
        for customer, arn in self.region.keys.items():
            key = keys.get(arn.rpartition("/")[2])
            due = None if key is None else key.deletion_date
            if due is not None and due.replace(tzinfo=UTC) <= self.now:
                self.region.remove_key(customer)


def in_place_of(operation: str, answer: Callable[[Any, Any], Any]) -> Any:  # noqa: ANN401 - a patch
    """Let a call be answered by `answer`, which is given what else would be done, and the parameters."""
    aws = BaseClient._make_api_call

    def call(of: Any, called: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if called != operation:
            return aws(of, called, parameters)
        return answer(lambda changed: aws(of, called, changed), parameters)

    return patch.object(BaseClient, "_make_api_call", call)


def registry_item(pk: str) -> dict[str, Any]:
    found: dict[str, Any] = client("dynamodb").get_item(TableName=REGISTRY, Key={"pk": {"S": pk}})
    return dict(found.get("Item", {}))
