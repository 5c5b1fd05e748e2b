"""One customer has one vault in a region and account, whichever of its stacks declares it."""

from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import pulumi_aws as aws
import pytest

from components.naming import RegionNames
from components.vaults.elsewhere import VaultElsewhereError, refuse_elsewhere

from ..programs import ACCOUNT, run_program

NAMES = RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1")
CELL = RegionNames(project="gdpr", stack="eu-west-b", account=ACCOUNT, region="eu-west-1")


def vault(names: RegionNames, customer: str, keys: list[str] | None) -> dict[str, Mapping[str, Any]]:
    return {names.vault_bucket(customer): {"tags": dict(names.tags("personal", customer)), "keys": keys}}


def check(*customers: str, buckets: Mapping[str, Mapping[str, Any]]) -> None:
    run_program(lambda: refuse_elsewhere(NAMES, customers), buckets=buckets)


@pytest.mark.parametrize("keys", [[], ["feedback/a"]], ids=["empty", "with data"])
def test_a_customer_of_another_stack_is_refused_with_the_stack_and_the_fix(keys: list[str]) -> None:
    with pytest.raises(VaultElsewhereError) as raised:
        check("globex", "acme", buckets=vault(CELL, "acme", keys) | vault(NAMES, "globex", ["a"]))
    text = str(raised.value)
    assert raised.value.customer == "acme"
    for step in ("in another stack", "gdpr-eu-west-b", CELL.vault_bucket("acme"), "lines in one stack only"):
        assert step in text
    assert "feedback" not in text  # keys may say whose file it is


def test_own_vaults_other_customers_and_what_all_share_are_no_reason() -> None:
    shared = {CELL.evidence_bucket: {"tags": dict(CELL.tags("pseudonymous")), "keys": []}}
    check("acme", "shared", buckets=vault(NAMES, "acme", []) | vault(CELL, "initech", []) | shared)


def test_somebody_elses_bucket_with_the_same_tags_is_no_reason() -> None:
    check("acme", buckets={"crm-acme": {"tags": {"customer": "acme", "stack": "crm"}, "keys": []}})
    check("acme", buckets={"crm-acme": {"tags": {"customer": "acme"}, "keys": []}})


def test_a_bucket_of_which_only_the_tags_are_still_listed_is_gone() -> None:
    check("acme", buckets=vault(CELL, "acme", None))


def test_a_bucket_that_may_not_be_looked_into_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws.s3, "get_objects", Mock(side_effect=RuntimeError("api error AccessDenied")))
    with pytest.raises(VaultElsewhereError, match="gdpr-eu-west-b"):
        check("acme", buckets=vault(CELL, "acme", []))


@pytest.mark.parametrize("names", [NAMES, CELL], ids=["one", "the other"])
def test_a_customer_with_a_vault_in_both_stacks_is_warned_of_and_can_be_ended_in_one(
    names: RegionNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused in both, neither stack could deploy anything: not even the end of one of the contracts."""
    warn = Mock()
    monkeypatch.setattr("pulumi.log.warn", warn)
    both = vault(NAMES, "acme", ["a"]) | vault(CELL, "acme", ["b"])
    run_program(lambda: refuse_elsewhere(names, ["acme"]), buckets=both)
    (text,) = warn.call_args.args
    other = CELL if names is NAMES else NAMES
    assert f"{other.prefix} (bucket {other.vault_bucket('acme')})" in text
    assert names.vault_bucket("acme") in text
