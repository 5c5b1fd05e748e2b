"""After the freeze it goes on by itself: whatever stopped it, the watch over contracts starts it again."""

import itertools
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from ..support.contract_region import ENDED, NOTHING, Region
from ..support.state_machine import TaskFailedError
from .hours import DAY, HOUR, Hours

STEPS = ["Freeze", "EmptyBucket", "DeleteTable", "DeleteClients", "ScheduleKeyDeletion", "Verify"]


@pytest.fixture
def hours(region: Region) -> Iterator[Hours]:
    made = Hours(region)
    with made.passing():
        yield made


def breaks_down(hours: Hours) -> None:
    """Let every function fail, as where Lambda is down, until the execution has ended."""

    def broken(_function: str, _event: Any) -> Any:  # noqa: ANN401 - what a function takes
        raise TaskFailedError("Lambda.Unknown")

    hours.invoke = broken
    hours.settle()
    hours.invoke = None
    assert hours.last.status == "FAILED"


def starts(passed: list[list[str]]) -> list[int]:
    """In which hours, the first being 1, something was started."""
    return [number for number, started in enumerate(passed, 1) if started]


@pytest.mark.parametrize("since", STEPS[:-1])
def test_a_hold_that_is_lifted_lets_it_go_on_within_the_hour(hours: Hours, since: str) -> None:
    region = hours.region
    hours.start()
    hours.until(since)
    region.register("acme", contract_ends=ENDED, hold="litigation, case 1")
    hours.settle()
    assert hours.last.status == "FAILED"
    held = region.contents("acme")
    hours.pass_by(3 * DAY)
    assert region.contents("acme")["versions"] == held["versions"]
    assert region.contents("acme")["items"] == held["items"]
    assert region.contents("acme")["key"] != "PendingDeletion"
    region.register("acme", contract_ends=ENDED)
    assert hours.pass_by(HOUR) == [["acme"]]
    assert region.contents("acme") == NOTHING


@pytest.mark.parametrize("since", STEPS[:-1])
def test_an_outage_of_minutes_delays_it_by_an_hour(hours: Hours, since: str) -> None:
    hours.start()
    hours.until(since)
    breaks_down(hours)
    assert hours.pass_by(HOUR) == [["acme"]]
    assert hours.region.contents("acme") == NOTHING
    assert starts(hours.pass_by(6 * DAY)) == [], "nothing is started beside what waits for the key"
    hours.pass_by(2 * DAY)
    destruction = hours.region.registry.destruction("acme")
    assert destruction is not None
    assert destruction.state == "destroyed"


def test_what_keeps_failing_is_started_less_and_less_often_and_never_given_up(hours: Hours) -> None:
    hours.start()
    hours.until("Freeze")
    breaks_down(hours)

    def no_table(function: str, event: Any) -> Any:  # noqa: ANN401 - what a function takes
        if function == "delete_table":
            raise TaskFailedError("dynamodb.DescribeTable.AccessDeniedException")
        return hours.region.invoke(function, event)

    hours.invoke = no_table
    begun = starts(hours.pass_by(5 * DAY))
    waits = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert begun[0] == 1
    assert waits == sorted(waits)
    assert waits[:4] == [2, 4, 7, 14], "hours: each wait is twice as long as the one before"
    assert waits[-1] == 24
    hours.invoke = None
    hours.pass_by(DAY)
    assert hours.region.contents("acme") == NOTHING


def test_nothing_is_started_while_something_is_going_on(hours: Hours) -> None:
    hours.start()
    hours.until("EmptyBucket")
    hours.executions["by-the-schedule"].waiting_until = "2099-01-01T00:00:00Z"  # a slow step
    assert starts(hours.pass_by(3 * DAY)) == []


def test_an_execution_that_nobody_remembers_is_no_reason_to_wait(hours: Hours) -> None:
    hours.start()
    hours.until("EmptyBucket")
    hours.executions.clear()
    assert hours.pass_by(HOUR) == [["acme"]]
    assert hours.region.contents("acme") == NOTHING


def test_a_key_that_nobody_waits_for_any_more_is_confirmed_once_it_is_overdue(hours: Hours) -> None:
    hours.start()
    hours.settle()
    hours.executions["by-the-schedule"].status = "ABORTED"
    assert starts(hours.pass_by(8 * DAY)) == []
    hours.pass_by(2 * DAY)
    destruction = hours.region.registry.destruction("acme")
    assert destruction is not None
    assert destruction.state == "destroyed"
    stages = sorted(key.rpartition("/")[2] for key in hours.region.evidence())
    assert stages == ["destroyed.json", "scheduled.json"]
    assert starts(hours.pass_by(4 * DAY)) == []


def test_an_order_that_somebody_took_back_is_given_anew_once_it_is_overdue(hours: Hours) -> None:
    region = hours.region
    hours.start()
    hours.settle()
    region.aws("kms").cancel_key_deletion(KeyId=region.keys["acme"].rpartition("/")[2])
    hours.pass_by(10 * DAY)
    assert region.contents("acme")["key"] == "PendingDeletion"


def test_called_terminated_too_early_it_goes_on(hours: Hours) -> None:
    hours.start()
    hours.until("EmptyBucket")
    hours.region.register("acme", contract_ends=ENDED, contract_status="terminated", clients="[]")
    breaks_down(hours)
    hours.pass_by(HOUR)
    assert hours.region.contents("acme") == NOTHING


def test_a_renewal_after_the_freeze_changes_nothing_of_it(hours: Hours) -> None:
    hours.start()
    hours.until("EmptyBucket")
    hours.region.register("acme", contract_ends=date(2099, 12, 31))
    breaks_down(hours)
    assert hours.pass_by(timedelta(hours=1)) == [["acme"]]
    assert hours.region.contents("acme") == NOTHING
