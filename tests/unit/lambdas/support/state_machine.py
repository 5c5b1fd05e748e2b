"""Carries out executions of a state machine, one task at a time, as Step Functions does.

As much of the Amazon States Language as the region's machines use. An execution is plain data, so that a copy
of it goes on where it stands.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

EXECUTIONS = "arn:aws:states:eu-west-1:123456789012:execution:gdpr-eu-west-contract-end"
"""What the ARN of an execution begins with, for a machine that passes it on."""

Invoke = Callable[[str, Any], Any]
"""Function and event → what the function returns. Raises TaskFailedError."""


class TaskFailedError(Exception):
    """A function failed; its text is the name of the error."""


@dataclass
class Frame:
    """One state machine that is being carried out: the execution's own or that of a map's item."""

    states: dict[str, Any]
    state: str
    data: Any
    retries: Counter[int] = field(default_factory=Counter)
    items: list[Any] | None = None
    tolerates_failure: bool = True


@dataclass
class Execution:
    """An execution with its frames, the innermost last."""

    name: str
    frames: list[Frame]
    status: str = "RUNNING"
    done: list[str] = field(default_factory=list)
    waiting_until: str | None = None
    error: str | None = None
    """The name of the error that a step failed with last."""
    started: str = "2026-05-01T10:00:00.000Z"

    @classmethod
    def start(cls, definition: dict[str, Any], name: str, data: Any) -> "Execution":  # noqa: ANN401
        return cls(name, [Frame(definition["States"], definition["StartAt"], data)])

    def advance(self, invoke: Invoke) -> None:
        """Go on until one task was tried, to a moment that is waited for, or to the end.

        `done` names the tasks that succeeded. The next call goes on after the moment, whenever that is.
        """
        self.waiting_until = None
        while self.status == "RUNNING" and self.waiting_until is None:
            frame = self.frames[-1]
            state = frame.states[frame.state]
            if state["Type"] == "Task":
                self._task(frame, state, invoke)
                return
            kinds = {"Map": self._map, "Choice": self._choice, "Pass": self._pass, "Wait": self._wait}
            kinds.get(state["Type"], self._stop)(frame, state)

    def _task(self, frame: Frame, state: dict[str, Any], invoke: Invoke) -> None:
        assert state["Resource"] == "arn:aws:states:::lambda:invoke"
        context = {
            "State": {"RetryCount": sum(frame.retries.values())},
            "Execution": {
                "Name": self.name,
                "Id": f"{EXECUTIONS}:{self.name}",
                "StartTime": self.started,
            },
        }
        parameters = _filled(state["Parameters"], frame.data, context)
        try:
            answer = {"Payload": invoke(parameters["FunctionName"], parameters["Payload"])}
        except TaskFailedError as failure:
            self._failed(frame, state, str(failure))
            return
        self.done.append(frame.state)
        if "ResultSelector" in state:
            answer = _filled(state["ResultSelector"], answer, {})
        if (place := state.get("ResultPath", "$")) not in (None, "$"):
            frame.data |= {place.removeprefix("$."): answer}
        elif place is not None:
            frame.data = _path(answer, state.get("OutputPath", "$"))
        self._next(frame, state["Next"])

    def _failed(self, frame: Frame, state: dict[str, Any], error: str) -> None:
        self.error = error
        for number, retry in enumerate(state["Retry"]):
            if _matches(retry["ErrorEquals"], error):
                frame.retries[number] += 1
                if frame.retries[number] <= retry["MaxAttempts"]:
                    return
                break
        for catch in state.get("Catch", []):
            if _matches(catch["ErrorEquals"], error):
                assert catch["ResultPath"] == "$.failure"
                frame.data |= {"failure": {"Error": error, "Cause": "a text"}}
                self._next(frame, catch["Next"])
                return
        self._stop(frame, {"Type": "Fail"})

    def _map(self, frame: Frame, state: dict[str, Any]) -> None:
        tolerated = state.get("ToleratedFailurePercentage", 0)
        assert tolerated in (0, 100)
        assert state["ResultPath"] is None
        if frame.items is None:
            items = _path(frame.data, state["ItemsPath"])
            frame.items = [
                _filled(state["ItemSelector"], frame.data, {"Map": {"Item": {"Value": item}}})
                for item in items
            ]
        if frame.items:
            processor = state["ItemProcessor"]
            item = Frame(processor["States"], processor["StartAt"], frame.items.pop(0))
            item.tolerates_failure = tolerated == 100
            self.frames.append(item)
            return
        self._next(frame, state["Next"])

    def _choice(self, frame: Frame, state: dict[str, Any]) -> None:
        for choice in state["Choices"]:
            wanted = choice["StringEquals"] if "StringEquals" in choice else choice["BooleanEquals"]
            if _path(frame.data, choice["Variable"]) == wanted:
                self._next(frame, choice["Next"])
                return
        self._next(frame, state["Default"])

    def _pass(self, frame: Frame, state: dict[str, Any]) -> None:
        if "Next" in state:
            frame.data = _filled(state["Parameters"], frame.data, {})
            self._next(frame, state["Next"])
            return
        assert state["End"] is True
        self.frames.pop()

    def _wait(self, frame: Frame, state: dict[str, Any]) -> None:
        if "SecondsPath" in state:
            assert isinstance(_path(frame.data, state["SecondsPath"]), int)
        if "TimestampPath" in state:
            self.waiting_until = _path(frame.data, state["TimestampPath"])
        self._next(frame, state["Next"])

    def _stop(self, frame: Frame, state: dict[str, Any]) -> None:
        self.frames.pop()
        if state["Type"] == "Fail" and not frame.tolerates_failure:
            self.frames.clear()
        if not self.frames:
            self.status = {"Succeed": "SUCCEEDED", "Fail": "FAILED"}[state["Type"]]

    def _next(self, frame: Frame, state: str) -> None:
        frame.state, frame.items = state, None
        frame.retries.clear()


def _matches(names: list[str], error: str) -> bool:
    if "States.TaskFailed" in names and error not in {"States.Timeout", "States.DataLimitExceeded"}:
        return True
    return error in names or ("States.ALL" in names and error != "States.DataLimitExceeded")


def _filled(template: dict[str, Any], data: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401
    filled: dict[str, Any] = {}
    for name, value in template.items():
        if isinstance(value, dict):
            filled[name] = _filled(value, data, context)
        elif name.endswith(".$"):
            filled[name[:-2]] = _path(context if value.startswith("$$.") else data, value)
        else:
            filled[name] = value
    return filled


def _path(data: Any, path: str) -> Any:  # noqa: ANN401
    for name in path.split(".")[1:]:
        data = data[name]
    return data
