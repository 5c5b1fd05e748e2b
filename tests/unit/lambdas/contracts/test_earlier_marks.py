"""Ends that an earlier version has begun go on: its marks note neither the vault nor what steps have met."""

from collections.abc import Iterator

import pytest

from ..region import client
from ..support.contract_region import ENDED, NOTHING, REGISTRY, Region
from .hours import DAY, HOUR, Hours, registry_item

EARLIER = {"pk", "state", "since", "key_deletion", "versions", "markers", "uploads"}


@pytest.fixture
def hours(region: Region) -> Iterator[Hours]:
    made = Hours(region)
    with made.passing():
        yield made


def as_the_earlier_version_left_it() -> None:
    item = {name: value for name, value in registry_item("destruction#acme").items() if name in EARLIER}
    client("dynamodb").put_item(TableName=REGISTRY, Item=item)


def state(hours: Hours) -> str | None:
    destruction = hours.region.registry.destruction("acme")
    return destruction.state if destruction else None


def assert_nothing_is_amiss(hours: Hours) -> None:
    key = "Gone" if state(hours) == "destroyed" else "PendingDeletion"
    assert hours.region.contents("acme") == {**NOTHING, "key": key}
    assert [each["exceptions"] for each in hours.region.evidence().values() if each.get("exceptions")] == []


def test_a_hold_takes_back_the_order_that_the_earlier_version_gave(hours: Hours) -> None:
    hours.start()
    hours.settle()
    as_the_earlier_version_left_it()
    hours.region.register("acme", contract_ends=ENDED, hold="litigation, case 1")
    started = hours.pass_by(5 * HOUR)
    assert hours.region.contents("acme")["key"] == "Disabled"
    assert [each for each in started if each] == [["acme"]], "once, and not each hour"
    hours.region.register("acme", contract_ends=ENDED)
    hours.pass_by(12 * DAY)
    assert state(hours) == "destroyed"
    assert_nothing_is_amiss(hours)


def test_a_hold_on_what_the_earlier_version_has_frozen_keeps_the_key(hours: Hours) -> None:
    """Whether that version had ordered its deletion, the mark does not say: it is looked at once."""
    hours.start()
    hours.until("DeleteTable")
    hours.executions.clear()
    as_the_earlier_version_left_it()
    hours.region.register("acme", contract_ends=ENDED, hold="litigation, case 1")
    started = hours.pass_by(5 * HOUR)
    assert len([each for each in started if each]) <= 1
    assert hours.region.contents("acme")["key"] in {"Enabled", "Disabled"}
    hours.region.register("acme", contract_ends=ENDED)
    hours.pass_by(12 * DAY)
    assert state(hours) == "destroyed"
    assert_nothing_is_amiss(hours)


def test_what_the_earlier_version_destroyed_is_no_exception(hours: Hours) -> None:
    hours.start()
    hours.settle()
    as_the_earlier_version_left_it()
    hours.pass_by(14 * DAY)
    assert state(hours) == "destroyed"
    assert_nothing_is_amiss(hours)


def test_an_execution_of_the_earlier_version_is_taken_over_by_the_watch(hours: Hours) -> None:
    hours.start()
    hours.until("DeleteClients")
    as_the_earlier_version_left_it()
    hours.settle()
    hours.pass_by(2 * HOUR)
    assert_nothing_is_amiss(hours)
