"""A deployment has each vault begun: once, when what the call needs is there."""

import json
from typing import TYPE_CHECKING

import pytest

from components.functions import rights
from components.functions.catalogue import FUNCTIONS
from components.naming import RegionNames

from ..iam.decisions import may_alone
from ..programs import ACCOUNT, Deployment, stack_config

if TYPE_CHECKING:
    from ..programs import Made

NAMES = RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1")
REGISTRY = NAMES.arn("dynamodb", f"table/{NAMES.registry_table}")
OPENS_REFERENCES = {
    "put_record",
    "create_upload",
    "create_erasure_request",
    "create_correction_request",
    "index_objects",
    "plan_run",
    "visit_objects",
    "reindex_objects",
    "replay_erasures",
    "begin_vault",
    "verify_destruction",
}


def calls(deployment: Deployment) -> "dict[str, Made]":
    return {
        json.loads(made.inputs["input"])["customer"]: made
        for made in deployment.of("aws:lambda/invocation:Invocation")
    }


def test_every_vault_is_begun_after_all_that_the_call_works_with(deployment: Deployment) -> None:
    stack = deployment.prefix.removeprefix("gdpr-")
    customers = {customer["id"] for customer in stack_config(stack)["gdpr:customers"]}
    found = calls(deployment)
    assert set(found) == customers
    for customer, made in found.items():
        assert made.inputs["functionName"] == f"{deployment.prefix}-begin-vault"
        before = " ".join(made.dependencies)
        for needed in (
            f"-vault-{customer}-table",
            f"-registry-{customer}.customer",
            "-requests-table",
            "-purposes-begin",
            "-begin-vault-role",
        ):
            assert needed in before


def test_a_vault_that_gets_another_table_or_key_is_begun_again(deployment: Deployment) -> None:
    for customer, made in calls(deployment).items():
        assert made.inputs["triggers"]["table"] == f"{deployment.prefix}-vault-{customer}"
        assert made.inputs["triggers"]["key"].startswith("arn:")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_reads_sealed_secrets_only_where_its_work_needs_them(function: str) -> None:
    policy = rights.function_statements(NAMES, FUNCTIONS[function], "arn:key", "arn:pool")
    allowed = may_alone(policy, "dynamodb:GetItem", REGISTRY, {"dynamodb:LeadingKeys": ["secret#acme"]})
    assert allowed == (function in OPENS_REFERENCES)
    for action, writers in (("PutItem", {"begin_vault"}), ("DeleteItem", {"delete_table"})):
        keys = {"dynamodb:LeadingKeys": ["secret#acme"]}
        assert may_alone(policy, f"dynamodb:{action}", REGISTRY, keys) == (function in writers)
        others = {"dynamodb:LeadingKeys": ["customer#acme"]}
        assert not may_alone(policy, f"dynamodb:{action}", REGISTRY, others)
    mark = {"dynamodb:LeadingKeys": ["destruction#acme"]}
    checks = may_alone(policy, "dynamodb:ConditionCheckItem", REGISTRY, mark)
    assert checks == (function == "begin_vault"), "a secret is kept only where no mark is set"
