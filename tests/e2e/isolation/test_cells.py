"""A second stack in a region and account: nothing shared, nothing clashing, each customer in one only."""

import json
import re
import runpy
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pytest
from botocore.exceptions import ClientError

from local.client import Credentials, PrivacyClient
from local.deploy.creator import Aws
from local.deploy.program import run_program
from local.deploy.settings import project_name, stack_config
from local.deploy.state import Recorded, opened
from local.emulator.emulator import ACCOUNT, ROOT
from privacy.vault.session_policies import VaultResources, session_policy
from tests.e2e.support import World, session

FIRST, CELL, REGION = "eu-west", "eu-west-b", "eu-west-1"
CUSTOMER: dict[str, Any] = {
    "id": "tyrell",
    "controller": "Tyrell Corp.",
    "contact": "privacy@tyrell.example",
    "contract": {"starts": "2026-01-01", "ends": "2099-12-31"},
    "programs": [{"name": "dpo", "scopes": ["ingest", "read"]}],
    "datasets": [
        {"name": "units", "format": "records", "personal": {"name": "name"}},
        {"name": "tests", "format": "jsonl", "prefix": "tests/", "subject": "id", "personal": {"id": "id"}},
    ],
}


def deploy_cell(world: World, patch: pytest.MonkeyPatch, *customers: object) -> dict[str, Any]:
    """Deploy the cell, which has no file of its own: the first stack's, with other customers."""
    config = {**stack_config(FIRST), "gdpr:account": "{}", "gdpr:customers": json.dumps(customers)}
    with patch.context() as build:
        build.setenv("GDPR_BUILD", "local")
        return run_program(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
            Aws(world.emulator, REGION),
            project=project_name(),
            stack=CELL,
            config=config,
        )


def deployed(world: World, stack: str) -> list[Recorded]:
    with opened(world.emulator.folder, project=project_name(), stack=stack, region=REGION) as state:
        return state.leaving(())


def own_ids(resources: list[Recorded]) -> set[tuple[str, ...]]:
    # A metric filter's name is one of its log group's.
    return {(each.token, each.id, str(each.inputs.get("logGroupName"))) for each in resources}


def client_of(world: World, outputs: Mapping[str, Any]) -> PrivacyClient:
    pair = outputs["clients"]["tyrell"]["dpo"]
    credentials = Credentials(pair["clientId"], pair["clientSecret"])
    token_url = f"{world.emulator.url}/oauth2/token"
    return PrivacyClient(outputs["apiUrl"], token_url, credentials, trust=Path(world.emulator.authority))


def test_a_second_stack_in_the_region_shares_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = deployed(world, FIRST)
    log_role = world.emulator.client("apigateway", REGION).get_account()["cloudwatchRoleArn"]
    outputs = deploy_cell(world, monkeypatch, CUSTOMER)
    first, cell = deployed(world, FIRST), deployed(world, CELL)

    # Nothing clashes: all of it was made, and of the first stack nothing has changed.
    assert {each.urn: each for each in first} == {each.urn: each for each in before}
    assert world.emulator.client("apigateway", REGION).get_account()["cloudwatchRoleArn"] == log_role
    assert len(cell) > 400

    # Nothing is shared: no resource, and neither names anything of the other.
    assert own_ids(first) & own_ids(cell) == set()
    for resources, named in ((cell, r"gdpr-eu-west(?!-b\b)"), (first, r"gdpr-eu-west-b\b")):
        for each in resources:
            assert re.search(named, json.dumps(each.inputs)) is None, each.label
    ids = {
        each.id
        for each in first
        if each.token
        in {"aws:kms/key:Key", "aws:cognito/userPool:UserPool", "aws:apigateway/restApi:RestApi"}
    }
    assert len(ids) >= 5
    assert not any(id_ in json.dumps(each.inputs) for each in cell for id_ in ids)

    # Each API takes its own tokens only.
    api, acme = client_of(world, outputs), world.api(FIRST, "acme")
    assert api.contract()["state"] == acme.contract()["state"] == "running"
    for url, token in ((world.stacks[FIRST].api_url, api.token()), (outputs["apiUrl"], acme.token())):
        answer = httpx.get(
            f"{url}/v1/contract",
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=world.emulator.authority),
        )
        assert answer.status_code == 401

    refuses_the_first_stacks_roles(world, outputs)

    # A customer of one is refused in the other, with the name of the stack that has it.
    (acme_lines,) = (
        each for each in json.loads(stack_config(FIRST)["gdpr:customers"]) if each["id"] == "acme"
    )
    with pytest.raises(pulumi.RunError, match=r"customer acme has a vault in another stack.*: gdpr-eu-west "):
        deploy_cell(world, monkeypatch, CUSTOMER, acme_lines)
    assert own_ids(deployed(world, CELL)) == own_ids(cell)


def refuses_the_first_stacks_roles(world: World, outputs: Mapping[str, Any]) -> None:
    """Even with a session for the cell's vault, a purpose role of the first stack reaches nothing there."""
    vault = outputs["vaults"]["tyrell"]
    there = VaultResources(
        customer="tyrell",
        bucket_arn=f"arn:aws:s3:::{vault['bucket']}",
        table_arn=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{vault['table']}",
        key_arn=vault["keyArn"],
        evidence_arn=f"arn:aws:s3:::gdpr-{CELL}-evidence-{ACCOUNT}-{REGION}",
    )
    world.emulator.client("s3", REGION).put_object(Bucket=vault["bucket"], Key="tests/1.jsonl", Body=b"{}\n")
    credentials = world.aws(world.function_session(FIRST, "visit-objects"), "sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/gdpr-{FIRST}-purpose-visit",
        RoleSessionName="tyrell-visit",
        Policy=session_policy("visit", there),
    )["Credentials"]
    visitor = session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=REGION,
    )
    item = {"pk": {"S": "subject#x"}, "sk": {"S": "erased"}}
    for call in (
        lambda: world.aws(visitor, "s3").get_object(Bucket=vault["bucket"], Key="tests/1.jsonl"),
        lambda: world.aws(visitor, "dynamodb").get_item(TableName=vault["table"], Key=item),
        lambda: world.aws(visitor, "kms").generate_data_key_without_plaintext(
            KeyId=vault["keyArn"], KeySpec="AES_256"
        ),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
