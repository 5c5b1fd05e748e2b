"""Too many of something is refused with the number, before AWS or a day-long preview would."""

import copy
from typing import Any

import pytest

from components.settings.quotas import MOST_CLIENTS, MOST_CUSTOMERS, MOST_NOTIFICATIONS

from .stack_file import acme, problems


def dataset(number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"name": f"d{number}", "format": "object", "prefix": f"d{number}/", "personal": {}, **more}


def customers(config: dict[str, Any], number: int) -> None:
    first = {**acme(config), "programs": [], "principals": []}
    config["gdpr:customers"] = [{**copy.deepcopy(first), "id": f"c{n}"} for n in range(number)]


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_bucket_takes_a_hundred_notifications(config: dict[str, Any], surplus: int) -> None:
    walked = [dataset(1000 + n, index="scan") for n in range(20)]
    acme(config)["datasets"] = [dataset(n) for n in range(MOST_NOTIFICATIONS + surplus)] + walked
    acme(config)["principals"] = []
    config["gdpr:customers"][0]["contract"]["ends"] = "not a day"  # so that there are problems at all
    found = [problem for problem in problems(config) if "notifications" in problem]
    assert len(found) == surplus
    if surplus:
        assert found[0].startswith("customers[0].datasets is 101 datasets with an index: S3 takes 100")


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_stack_takes_so_many_customers(config: dict[str, Any], surplus: int) -> None:
    customers(config, MOST_CUSTOMERS + surplus)
    config["gdpr:customers"][0]["controller"] = ""
    found = [problem for problem in problems(config) if "second stack" in problem]
    assert len(found) == surplus
    if surplus:
        assert found[0].startswith("customers is a list of 201: one stack takes 200")


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_user_pool_takes_a_thousand_clients(config: dict[str, Any], surplus: int) -> None:
    customers(config, 10)
    for customer in config["gdpr:customers"]:
        customer["programs"] = [{"name": f"p{n}", "scopes": ["read"]} for n in range(MOST_CLIENTS // 10)]
    config["gdpr:customers"][0]["programs"] += [{"name": "one", "scopes": ["read"]}] * surplus
    config["gdpr:customers"][0]["controller"] = ""
    found = [problem for problem in problems(config) if "user pool" in problem]
    assert len(found) == surplus
    if surplus:
        assert found[0].startswith("customers is 1001 programs in all: a user pool takes 1000 clients")
