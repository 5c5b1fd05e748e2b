"""Lambda has no room for a call: it is tried for as long as a run may last, and the history takes it all.

The numbers are computed from the definitions. A try that finds no room is three events of an execution's
history (TaskScheduled, TaskStarted, TaskFailed), and its wait is on average half of what the retrier says.
"""

import importlib
import json
import math
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

from components.machines.catalogue import MACHINES
from components.machines.contract_end import PERMANENT
from components.machines.language import RUN_SECONDS
from privacy import contracts
from privacy.aws.failures import StepFailedError

from ..programs import Deployment

MOST_EVENTS = 25_000
"""Events of an execution's history (Step Functions Developer Guide, "Service quotas")."""

EVENTS_A_TRY = 3
FOR_WHAT_GOES_WELL = 2_000
"""Events that an execution may need besides: a call and what follows it are about eight."""

NO_ROOM = "Lambda.TooManyRequestsException"
WIDE = 1_000
"""The largest number that a stack's config may ask for."""

Definition = dict[str, Any]


def definition(name: str, at_once: int = WIDE) -> Definition:
    spec = MACHINES[name]
    return spec.definition(dict.fromkeys(spec.steps, "arn:function"), at_once)


def histories(machine: Definition, lanes: int = 1) -> Iterator[list[tuple[str, Definition, int]]]:
    """The tasks of each execution by name, with how many of it can wait at the same time.

    Items of a distributed map are executions with a history of their own; those of another map are not.
    """
    own: list[tuple[str, Definition, int]] = []
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            own.append((name, state, lanes))
        elif state["Type"] == "Map":
            inner = list(histories(state["ItemProcessor"], lanes * state["MaxConcurrency"]))
            if state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED":
                yield from histories(state["ItemProcessor"])
            else:
                own += [task for tasks in inner for task in tasks]
    yield own


def retrier(task: Definition, error: str) -> Definition:
    """The first that names the error, or any failure: it alone counts."""
    found: Definition = next(
        each
        for each in task["Retry"]
        if error in each["ErrorEquals"] or "States.TaskFailed" in each["ErrorEquals"]
    )
    return found


def longest_waits(retry: Definition) -> Iterator[float]:
    for attempt in range(retry["MaxAttempts"]):
        growing = retry["IntervalSeconds"] * retry["BackoffRate"] ** min(attempt, 60)
        yield min(growing, retry.get("MaxDelaySeconds", math.inf))


TASKS = {
    f"{machine}-{name}": task
    for machine in MACHINES
    for tasks in histories(definition(machine))
    for name, task, _ in tasks
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("error", [NO_ROOM, "Lambda.ServiceException", "Lambda.SdkClientException"])
def test_a_call_is_tried_until_a_run_would_be_over(task: Definition, error: str) -> None:
    retry = retrier(task, error)
    assert retry["JitterStrategy"] == "FULL"
    waits = list(longest_waits(retry))
    mean = sum(waits) / 2
    # The sum of many waits, each anything from 0 to the longest: six times its spread below the mean.
    spread = math.sqrt(sum(wait**2 / 12 for wait in waits))
    assert mean - 6 * spread > RUN_SECONDS
    assert max(waits) <= 3_600
    # A first try soon: the usual lack of room is over in seconds.
    assert waits[0] <= 2


@pytest.mark.parametrize("machine", MACHINES)
def test_the_history_takes_all_tries_of_all_steps(machine: str) -> None:
    limit = definition(machine)["TimeoutSeconds"]
    for tasks in histories(definition(machine)):
        tries = failures = at_most = 0.0
        for _, task, lanes in tasks:
            retry = retrier(task, NO_ROOM)
            tries += lanes * retry["MaxAttempts"]
            # Each way to fail for good, with a history of tries before it.
            failures += lanes * sum(each["MaxAttempts"] for each in task["Retry"] if each is not retry)
            at_most = max(at_most, lanes * limit / (retry["MaxDelaySeconds"] / 2))
        # An execution that is only waiting ends when its time is over, wherever it stands.
        waiting = min(tries, at_most)
        assert EVENTS_A_TRY * (waiting + failures) + FOR_WHAT_GOES_WELL < MOST_EVENTS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_really_fails_is_given_up_after_minutes(task: Definition) -> None:
    # A missing permission is an AWSLambdaException: nobody should wait a week to be told of it.
    for error in ("Lambda.AWSLambdaException", "Lambda.Unknown", "TableBusyError", "States.Timeout"):
        retry = retrier(task, error)
        assert error in retry["ErrorEquals"] or "States.TaskFailed" in retry["ErrorEquals"]
        assert sum(longest_waits(retry)) < 600
        assert retry is not retrier(task, NO_ROOM)


@pytest.mark.parametrize("at_once", [1, 2, 40])
def test_every_map_has_as_many_calls_going_as_the_config_says(at_once: int) -> None:
    fanned = {
        f"{name}-{state_name}": state["MaxConcurrency"]
        for name in MACHINES
        for state_name, state in definition(name, at_once)["States"].items()
        if state["Type"] == "Map"
    }
    assert fanned == {
        "run-VisitAll": at_once,
        "reindex-CompareAll": at_once,
        "contract-end-EmptyPrefixes": min(at_once, 7),
    }


def most_at_once(machine: Definition) -> int:
    """Calls of functions that one execution can have going."""
    maps = [state["MaxConcurrency"] for state in machine["States"].values() if state["Type"] == "Map"]
    return max([1, *maps])


def test_a_new_accounts_ten_leave_some_for_the_api(deployment: Deployment) -> None:
    """A run, a reindex, an export and the bucket events at once, as the stacks here are configured."""
    machines = {
        made.inputs["name"].removeprefix(f"{deployment.prefix}-"): json.loads(made.inputs["definition"])
        for made in deployment.of("aws:sfn/stateMachine:StateMachine")
    }
    (events,) = deployment.of("aws:lambda/eventSourceMapping:EventSourceMapping")
    taken = events.inputs["scalingConfig"]["maximumConcurrency"]
    taken += sum(most_at_once(machines[name]) for name in ("run", "reindex", "export"))
    assert taken == 7
    calls = deployment.of("aws:scheduler/schedule:Schedule")
    recurring = [made for made in calls if made.inputs["scheduleExpression"].startswith("rate(")]
    assert taken + len(recurring) < 10
    for function in deployment.of("aws:lambda/function:Function"):
        assert "reservedConcurrentExecutions" not in function.inputs


def test_what_would_fail_again_a_moment_later_ends_a_step_of_a_contracts_end_at_once() -> None:
    """All of its own errors but those that another try can cure."""
    for module in pkgutil.iter_modules(contracts.__path__, f"{contracts.__name__}."):
        importlib.import_module(module.name)
    curable = {"EntryChangedError", "EventNotPutError", "ListingIncompleteError"}
    of_contracts = {
        error.__name__
        for error in StepFailedError.__subclasses__()
        if error.__module__.startswith(f"{contracts.__name__}.")
    }
    watchs = {"CustomerUnknownError", "WatchIncompleteError"}
    deployments = {"OtherVaultKeyError", "RegistryBusyError"}  # of the call that begins a vault
    assert set(PERMANENT) == of_contracts - curable - watchs - deployments
    for name, task in TASKS.items():
        if name.startswith("contract-end-"):
            assert retrier(task, "DestructionHeldError")["MaxAttempts"] == 0
            assert retrier(task, "SomethingElseError")["MaxAttempts"] == 3
