"""The contract as its customer sees it: what happens when, and until when one can look."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.contracts import terms
from privacy.customers.customer import Customer
from privacy.customers.registry import destruction_key

from ..support.api import ALL_SCOPES, Api, aws_clients

CONTRACT = "/v1/contract"
ACME = Customer(
    id="acme",
    bucket="vault-acme",
    table="vault-acme",
    key_arn="-",
    contract_starts=date(2026, 1, 1),
    contract_ends=date(2026, 12, 31),
    grace_days=30,
    subject_id="email",
    datasets=(),
)


def days(customer: Customer) -> list[tuple[str, str]]:
    """The schedule, each moment of which has to be a midnight in UTC."""
    events = [event.public(datetime(2026, 6, 1, tzinfo=UTC)) for event in terms.schedule(customer)]
    assert all(event["at"].endswith("T00:00:00Z") for event in events)
    return [(event["event"] + str(event.get("days_before", "")), event["at"][:10]) for event in events]


def test_what_happens_around_the_end_of_a_year() -> None:
    assert days(ACME) == [
        ("reminder90", "2026-11-02"),
        ("reminder30", "2027-01-01"),
        ("access-ends", "2027-01-01"),
        ("reminder7", "2027-01-24"),
        ("destruction", "2027-01-31"),
        ("lifecycle-begins", "2027-01-31"),
        ("lifecycle-ended", "2027-03-03"),
        ("key-destroyed", "2027-03-03"),
        ("backups-unreadable", "2027-03-03"),
    ]


@pytest.mark.parametrize(
    ("ends", "grace_days", "access_ends", "destruction"),
    [
        (date(2028, 2, 28), 0, "2028-02-29", "2028-02-29"),
        (date(2028, 2, 28), 1, "2028-02-29", "2028-03-01"),
        (date(2027, 2, 28), 0, "2027-03-01", "2027-03-01"),
        (date(2028, 2, 29), 365, "2028-03-01", "2029-03-01"),
        (date(2026, 1, 31), 30, "2026-02-01", "2026-03-03"),
        (date(2026, 4, 30), 31, "2026-05-01", "2026-06-01"),
        # The nights in which clocks change in Europe and in America.
        (date(2026, 3, 28), 1, "2026-03-29", "2026-03-30"),
        (date(2026, 10, 24), 1, "2026-10-25", "2026-10-26"),
        (date(2026, 3, 7), 1, "2026-03-08", "2026-03-09"),
        (date(2026, 10, 31), 1, "2026-11-01", "2026-11-02"),
    ],
)
def test_days_are_counted_in_utc(ends: date, grace_days: int, access_ends: str, destruction: str) -> None:
    found = dict(days(replace(ACME, contract_ends=ends, grace_days=grace_days)))
    assert (found["access-ends"], found["destruction"]) == (access_ends, destruction)


@given(
    ends=st.dates(date(2020, 1, 1), date(2100, 1, 1)),
    grace_days=st.integers(0, 365),
    key_days=st.integers(7, 30),
)
def test_each_thing_keeps_its_distance_from_the_destruction(
    ends: date, grace_days: int, key_days: int
) -> None:
    customer = replace(
        ACME,
        contract_starts=date(2010, 1, 1),
        contract_ends=ends,
        grace_days=grace_days,
        key_deletion_days=key_days,
    )
    events = terms.schedule(customer)
    assert [event.at for event in events] == sorted(event.at for event in events)
    distance = {
        event.name + str(event.days_before or ""): (event.at - customer.destruction).days for event in events
    }
    assert distance == {
        "reminder90": -90,
        "reminder30": -30,
        "reminder7": -7,
        "access-ends": -grace_days,
        "destruction": 0,
        "lifecycle-begins": 0,
        "lifecycle-ended": 31,
        "key-destroyed": key_days + 1,
        "backups-unreadable": key_days + 1,
    }


def test_nobody_is_reminded_before_the_contract_began() -> None:
    short = replace(ACME, contract_starts=date(2026, 12, 1), grace_days=0)
    assert [name for name, _ in days(short) if name.startswith("reminder")] == ["reminder30", "reminder7"]


@pytest.mark.parametrize(
    ("now", "state", "past"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "running", {"reminder"}),
        (datetime(2027, 1, 1, tzinfo=UTC), "grace", {"reminder", "access-ends"}),
        (datetime(2027, 1, 30, 23, 59, 59, tzinfo=UTC), "grace", {"reminder", "access-ends"}),
    ],
)
def test_what_is_past_at_which_moment(now: datetime, state: str, past: set[str]) -> None:
    found = terms.terms(ACME, now)
    assert found["state"] == state
    assert {event["event"] for event in found["schedule"] if event["past"]} == past


def test_a_hold_suspends_the_destruction_and_what_follows_and_does_not_say_why() -> None:
    found = terms.terms(replace(ACME, hold="lawsuit 4711"), datetime(2026, 6, 1, tzinfo=UTC))
    assert found["held"] is True
    goes_on = {event["event"] for event in found["schedule"] if "suspended" not in event}
    assert goes_on == {"reminder", "access-ends"}
    assert "lawsuit" not in str(found)


# over the API


def enter(api: Api, ends: date, **changes: str) -> None:
    api.cloud.register("acme", contract_ends=ends.isoformat(), **changes)


@pytest.mark.parametrize("scope", ALL_SCOPES.split())
def test_every_program_may_ask(api: Api, scope: str) -> None:
    enter(api, date(2099, 12, 31))
    answer = api("GET", CONTRACT, scopes=scope)
    assert (answer.status, answer.json["state"], answer.json["held"]) == (200, "running", False)
    assert answer.json["access_ends_at"] == "2100-01-01T00:00:00Z"
    assert answer.json["destruction_at"] == "2100-01-31T00:00:00Z"


def test_without_any_scope_nobody_may(api: Api) -> None:
    enter(api, date(2099, 12, 31))
    assert api("GET", CONTRACT, scopes="openid").problem == "insufficient-scope"


def test_the_days_of_grace_are_told_and_then_nothing_more(api: Api) -> None:
    today = datetime.now(UTC).date()
    enter(api, today - timedelta(days=20), hold="lawsuit 4711")
    answer = api("GET", CONTRACT)
    assert (answer.json["state"], answer.json["held"]) == ("grace", True)
    assert "lawsuit" not in answer.text
    api.functions.restart()
    enter(api, today - timedelta(days=40))
    assert api("GET", CONTRACT).problem == "contract-ended"


@pytest.mark.parametrize("end", [lambda api: terminate(api), lambda api: destroy(api)])
def test_what_is_destroyed_has_no_terms_any_more(api: Api, end: Callable[[Api], Any]) -> None:
    end(api)
    assert api("GET", CONTRACT).problem == "contract-ended"


def terminate(api: Api) -> None:
    enter(api, date(2099, 12, 31), contract_status="terminated")


def destroy(api: Api) -> None:
    enter(api, date(2099, 12, 31))
    item = {"state": {"S": "destroying"}, "since": {"S": "2026-05-04T00:00:01Z"}}
    aws_clients.dynamodb().put_item(
        TableName=api.cloud.registry_table, Item={"pk": {"S": destruction_key("acme")}, **item}
    )


def test_neighbours_have_terms_of_their_own(api: Api) -> None:
    enter(api, date(2099, 12, 31))
    api.cloud.register("zenith", contract_ends="2088-12-31")
    assert api("GET", CONTRACT).json["ends"] == "2099-12-31"
    assert api("GET", CONTRACT, client="zenith-dpo").json["ends"] == "2088-12-31"
