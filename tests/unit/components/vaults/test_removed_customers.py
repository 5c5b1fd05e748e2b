"""What a deployment says when a customer left the config before its data was destroyed."""

import copy
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import pulumi_aws as aws
import pytest

from components.naming import RegionNames
from components.vaults.removed import RemovedCustomerError, refuse_removed

from ..programs import ACCOUNT, run_program

NAMES = RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1")


def bucket(customer: str, keys: list[str] | None, stack: str = "gdpr-eu-west") -> Mapping[str, Any]:
    return {"tags": {"stack": stack, "customer": customer, "data-class": "personal"}, "keys": keys}


def check(*customers: str, **buckets: Mapping[str, Any]) -> None:
    there = {name.replace("_", "-"): facts for name, facts in copy.deepcopy(buckets).items()}
    run_program(lambda: refuse_removed(NAMES, customers), buckets=there)


def test_a_customer_whose_data_is_there_cannot_be_left_out() -> None:
    with pytest.raises(RemovedCustomerError) as raised:
        check("acme", one=bucket("acme", ["feedback/a"]), two=bucket("globex", ["reviews/a", "reviews/b"]))
    text = str(raised.value)
    assert raised.value.customer == "globex"
    assert text.startswith(
        "customer globex is no longer in the stack's config, but its vault still holds data"
    )
    for step in ("(bucket two)", "Put its lines back", "contract.ends", "contract.status: terminated"):
        assert step in text
    # Keys may say whose file it is.
    assert "reviews" not in text


def test_a_customer_whose_bucket_is_empty_may_go() -> None:
    check("acme", one=bucket("acme", ["a"]), two=bucket("globex", []))


def test_a_bucket_of_which_only_the_tags_are_still_listed_is_gone() -> None:
    check("acme", two=bucket("globex", None))


def test_other_stacks_and_what_no_customer_owns_are_not_looked_at() -> None:
    check("acme", one=bucket("globex", ["a"], "gdpr-us-east"), two=bucket("shared", ["ledger/a"]))


def test_a_new_stack_has_nothing_to_look_at() -> None:
    check("acme")


def test_what_else_goes_wrong_is_not_taken_for_an_empty_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws.s3, "get_objects", Mock(side_effect=RuntimeError("api error AccessDenied")))
    with pytest.raises(RuntimeError, match="AccessDenied"):
        check("acme", two=bucket("globex", []))
