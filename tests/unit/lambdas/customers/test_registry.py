from datetime import UTC, datetime
from typing import Any

import pytest

from privacy.customers.customer import Program
from privacy.customers.registry import CACHE_SECONDS, Registry, dataset_of_entry

from ..support.api import Cloud


def test_clients_and_buckets_lead_to_their_customer(cloud: Cloud) -> None:
    registry = Registry(cloud.registry_table)
    assert registry.program("acme-dpo") == Program("acme", "dpo")
    found = registry.customer_of_bucket("vault-zenith")
    assert found is not None
    assert (found.id, found.table, found.grace_days) == ("zenith", "vault-zenith", 30)
    assert registry.customer_ids() == ["acme", "zenith"]


def test_strangers_lead_nowhere(cloud: Cloud) -> None:
    registry = Registry(cloud.registry_table)
    assert registry.program("stranger") is None
    assert registry.customer("stranger") is None
    assert registry.customer_of_bucket("stranger") is None
    assert Registry("registry").customer("acme-dpo") is None


def test_datasets_are_found_by_name(cloud: Cloud) -> None:
    customer = cloud.customer()
    feedback = customer.dataset("feedback")
    assert feedback is not None
    assert (feedback.format, feedback.prefix, feedback.subjects) == ("jsonl", "feedback/", ("author.email",))
    assert customer.dataset("other") is None


@pytest.mark.parametrize(
    ("written", "subjects"),
    [
        ({"subject": None}, ()),
        ({"subject": "email"}, ("email",)),
        ({"subject": "email", "subjects": ["email"]}, ("email",)),
        ({"subject": None, "subjects": ["from", "to"]}, ("from", "to")),
    ],
)
def test_subject_fields_are_read_as_this_version_and_the_one_before_wrote_them(
    written: dict[str, Any], subjects: tuple[str, ...]
) -> None:
    entry = {"name": "d", "format": "jsonl", "prefix": "d/", "personal": {}, **written}
    assert dataset_of_entry(entry).subjects == subjects


def test_a_changed_contract_counts_after_a_minute(cloud: Cloud) -> None:
    now = 0.0
    registry = Registry(cloud.registry_table, clock=lambda: now)
    assert registry.customer("acme")
    cloud.register("acme", contract_ends="2026-06-30")
    now = CACHE_SECONDS - 1
    remembered = registry.customer("acme")
    now = CACHE_SECONDS
    asked_again = registry.customer("acme")
    assert remembered is not None
    assert asked_again is not None
    assert remembered.contract_ends.isoformat() == "9999-12-31"
    assert asked_again.contract_ends.isoformat() == "2026-06-30"


@pytest.mark.parametrize(
    ("at", "started", "ended"),
    [
        ("2025-12-31T23:59:59", False, False),
        ("2026-01-01T00:00:00", True, False),
        ("2026-06-30T23:59:59", True, False),
        ("2026-07-01T00:00:00", True, True),
    ],
)
def test_a_contract_runs_through_its_last_second(cloud: Cloud, at: str, started: bool, ended: bool) -> None:
    cloud.register("acme", contract_starts="2026-01-01", contract_ends="2026-06-30")
    customer, moment = cloud.customer(), datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert (customer.contract_started(moment), customer.contract_ended(moment)) == (started, ended)
