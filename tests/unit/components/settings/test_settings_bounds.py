"""Settings of any kind, and the days that a contract covers."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.settings.problems import SettingsError
from components.settings.settings import parse_settings

from ..programs import stack_config


def acme(config: dict[str, Any]) -> dict[str, Any]:
    customer: dict[str, Any] = config["gdpr:customers"][0]
    return customer


def change(config: dict[str, Any], path: tuple[str | int, ...], value: object) -> None:
    place: Any = acme(config)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(path=st.sampled_from(
    [("id",), ("contract",), ("contract", "ends"), ("programs",), ("programs", 0), ("programs", 0, "scopes"),
     ("datasets",), ("datasets", 1), ("datasets", 1, "prefix"), ("datasets", 1, "personal"), ("principals",)]
), value=_ANYTHING)  # fmt: skip
def test_whatever_stands_there_ends_in_settings_or_in_problems(
    path: tuple[str | int, ...], value: object
) -> None:
    config = stack_config("eu-west")
    change(config, path, value)
    try:
        found = parse_settings(config, project="gdpr", stack="eu-west").customers
    except SettingsError as error:
        found = error.problems
    assert found


@pytest.mark.parametrize(
    ("ends", "grace", "access_ends", "destruction"),
    [
        ("2027-12-31", 30, date(2028, 1, 1), date(2028, 1, 31)),
        ("2028-02-28", 0, date(2028, 2, 29), date(2028, 2, 29)),
        ("2028-02-29", 1, date(2028, 3, 1), date(2028, 3, 2)),
        ("2027-02-28", 0, date(2027, 3, 1), date(2027, 3, 1)),
        ("2026-03-28", 1, date(2026, 3, 29), date(2026, 3, 30)),
    ],
)
def test_a_contract_covers_its_last_day_and_every_grace_day(
    ends: str, grace: int, access_ends: date, destruction: date
) -> None:
    config = stack_config("eu-west")
    acme(config)["contract"] = {"starts": "2026-01-01", "ends": ends, "graceDays": grace}
    contract = parse_settings(config, project="gdpr", stack="eu-west").customers[0].contract
    assert (contract.access_ends, contract.destruction) == (access_ends, destruction)


def test_no_customer_is_called_as_what_nobody_owns() -> None:
    config = stack_config("eu-west")
    acme(config)["id"] = "shared"
    with pytest.raises(SettingsError, match="nothing may destroy; choose another id"):
        parse_settings(config, project="gdpr", stack="eu-west")
