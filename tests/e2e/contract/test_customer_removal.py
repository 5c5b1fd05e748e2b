"""A customer comes and goes by its lines in the config, and stays while it has data."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.deploy.creator import DeploymentError
from local.deploy.settings import stack_config
from local.stacks import Stack, deploy_stack
from tests.e2e.support import World

STACK = "us-east"
CUSTOMER: dict[str, Any] = {
    "id": "vandelay",
    "controller": "Vandelay Industries",
    "contact": "privacy@vandelay.example",
    "contract": {"starts": "2026-01-01", "ends": "2099-12-31", "graceDays": 0},
    "programs": [{"name": "dpo", "scopes": ["ingest", "erase"]}],
    "datasets": [
        {"name": "latex", "format": "jsonl", "prefix": "latex/", "subject": "id", "personal": {"id": "id"}}
    ],
}


def deploy(world: World, *more: dict[str, Any]) -> Stack:
    customers = [*json.loads(stack_config(STACK)["gdpr:customers"]), *more]
    return deploy_stack(world.emulator, STACK, config={"gdpr:customers": json.dumps(customers)})


def with_contract(**changes: object) -> dict[str, Any]:
    return {**CUSTOMER, "contract": {**CUSTOMER["contract"], **changes}}


def test_a_customer_comes_and_goes(world: World) -> None:
    vandelay = deploy(world, CUSTOMER)
    others = [world.view(STACK, customer) for customer in world.stacks[STACK].vaults]
    before = [(view.versions(), view.digests()) for view in others]
    vault = vandelay.vaults["vandelay"]
    s3, dynamodb = (world.emulator.client(service, vandelay.region) for service in ("s3", "dynamodb"))
    version = s3.put_object(Bucket=vault.bucket, Key="latex/1.jsonl", Body=b'{"id": "v"}\n')["VersionId"]

    with pytest.raises(DeploymentError, match="vandelay is no longer in the stack's config, but its vault"):
        deploy(world)
    assert s3.head_object(Bucket=vault.bucket, Key="latex/1.jsonl", VersionId=version)

    # What the end of the contract does.
    s3.delete_object(Bucket=vault.bucket, Key="latex/1.jsonl", VersionId=version)
    with pytest.raises(DeploymentError, match="protect"):
        deploy(world)
    dynamodb.update_table(TableName=vault.table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=vault.table)

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    deploy(world, with_contract(ends=yesterday, status="terminated"))
    assert s3.list_object_versions(Bucket=vault.bucket)["Name"] == vault.bucket, "its rest is still there"
    deploy(world)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.list_object_versions(Bucket=vault.bucket)
    key = world.emulator.client("kms", vandelay.region).describe_key(KeyId=vault.key_arn)["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"
    assert [(view.versions(), view.digests()) for view in others] == before
