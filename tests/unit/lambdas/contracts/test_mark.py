"""The point of no return: contract and mark are one look, and what comes after goes by the mark alone."""

import json
from datetime import date
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from privacy.contracts import destruction_mark
from privacy.contracts.begin_vault import keep_secret
from privacy.vault.sessions import open_vault

from ..region import ACCOUNT, REGION
from ..support.contract_region import ENDED, NOTHING, REGISTRY, Region
from .hours import in_place_of, registry_item

RENEWED = date(2099, 12, 31)
CHANGES: dict[str, dict[str, Any]] = {
    "hold": {"contract_ends": ENDED, "hold": "litigation, case 1"},
    "renewal": {"contract_ends": RENEWED},
    "longer grace": {"contract_ends": ENDED, "grace_days": 3650},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_deployed_before_is_seen_however_far_a_replica_lags(region: Region, change: str) -> None:
    old = registry_item("customer#acme")
    region.register("acme", **CHANGES[change])
    before = region.contents("acme")

    def lagging(aws: Any, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        answer = aws(parameters)
        if parameters["Key"] == {"pk": {"S": "customer#acme"}} and not parameters.get("ConsistentRead"):
            answer["Item"] = old
        return answer

    with in_place_of("GetItem", lagging):
        region.carry_out(region.start())
    assert region.contents("acme") == before
    assert region.registry.destruction("acme") is None


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_deployed_in_the_moment_of_the_freeze_is_not_passed_over(region: Region, change: str) -> None:
    before, made = region.contents("acme"), []

    def deployed_first(aws: Any, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if "destruction#acme" in json.dumps(parameters, default=str) and not made:
            made.append(region.register("acme", **CHANGES[change]))
        return aws(parameters)

    with in_place_of("TransactWriteItems", deployed_first):
        execution = region.carry_out(region.start())
    assert made
    assert execution.status == "FAILED"
    assert region.contents("acme") == before
    assert region.registry.destruction("acme") is None


def test_another_table_in_the_moment_of_the_freeze_is_the_one_that_goes(region: Region) -> None:
    made: list[object] = []

    def deployed_first(aws: Any, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if "destruction#acme" in json.dumps(parameters, default=str) and not made:
            made.append(region.register("acme", contract_ends=ENDED, clients="[]"))
        return aws(parameters)

    with in_place_of("TransactWriteItems", deployed_first):
        assert region.carry_out(region.start()).waiting_until is not None
    assert registry_item("destruction#acme")["clients"] == {"S": "[]"}


def test_the_mark_names_what_is_destroyed(region: Region) -> None:
    region.until(region.start(), "Freeze")
    mark = registry_item("destruction#acme")
    texts = {name: value["S"] for name, value in mark.items() if "S" in value}
    assert texts["bucket_arn"] == f"arn:aws:s3:::{region.bucket('acme')}"
    assert texts["table_arn"] == f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{region.table('acme')}"
    assert texts["key_arn"] == region.keys["acme"]
    assert (texts["user_pool"], json.loads(texts["clients"])) == (region.pool, region.clients["acme"])
    assert texts["contract_ends"] == ENDED.isoformat()


WRONG = {
    "bucket": {"bucket": "gdpr-eu-west-vault-nobody"},
    "table": {"table": "gdpr-eu-west-vault-acme.r2"},
    "key": {"key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"},
    "clients": {"clients": "[]"},
    "datasets": {"datasets": "[]"},
    "days": {"key_deletion_days": 30},
}


@pytest.mark.parametrize("since", ["Freeze", "EmptyBucket", "DeleteTable", "DeleteClients", "Verify"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_registry_that_leads_elsewhere_changes_nothing(region: Region, wrong: str, since: str) -> None:
    neighbour = region.contents("globex")
    execution = region.until(region.start(), since)
    region.register("acme", contract_ends=ENDED, **WRONG[wrong])  # type: ignore[arg-type]  # facts of the entry
    region.carry_out(execution)
    assert region.contents("acme") == NOTHING
    (scheduled,) = region.evidence().values()
    assert scheduled["exceptions"] == []
    assert scheduled["read_back"]["key"]["arn"] == region.keys["acme"]
    assert scheduled["read_back"]["table"] == {"name": region.table("acme"), "state": "GONE"}
    assert scheduled["clients_deleted"] == 2
    assert region.contents("globex") == neighbour


@pytest.mark.parametrize("since", ["Freeze", "EmptyBucket", "DeleteTable", "DeleteClients", "Verify"])
def test_a_registry_that_leads_to_the_neighbour_does_the_neighbour_no_harm(
    region: Region, since: str
) -> None:
    neighbour = region.contents("globex")
    execution = region.until(region.start(), since)
    theirs = {"bucket": region.bucket("globex"), "table": region.table("globex")}
    theirs |= {"key_arn": region.keys["globex"], "clients": json.dumps(region.clients["globex"])}
    region.register("acme", contract_ends=ENDED, **theirs)
    region.carry_out(execution)
    assert (region.contents("acme"), region.contents("globex")) == (NOTHING, neighbour)


@pytest.mark.parametrize("since", ["Freeze", "EmptyBucket", "DeleteTable", "DeleteClients", "Verify"])
def test_lines_that_are_removed_early_change_nothing(region: Region, since: str) -> None:
    execution = region.until(region.start(), since)
    for pk in ("customer#acme", *(f"client#{each}" for each in region.clients["acme"])):
        region.aws("dynamodb").delete_item(TableName=REGISTRY, Key={"pk": {"S": pk}})
    region.carry_out(execution)
    assert region.contents("acme") == NOTHING
    region.remove_key("acme")
    assert region.carry_out(execution).status == "SUCCEEDED"
    assert sorted(key.rpartition("/")[2] for key in region.evidence()) == ["destroyed.json", "scheduled.json"]


def test_started_again_without_its_lines_it_goes_on(region: Region) -> None:
    region.until(region.start(), "EmptyBucket")
    region.aws("dynamodb").delete_item(TableName=REGISTRY, Key={"pk": {"S": "customer#acme"}})
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


def test_another_customers_resources_are_not_even_marked(region: Region) -> None:
    region.register("acme", contract_ends=ENDED, table=region.table("globex"))
    assert region.carry_out(region.start()).status == "FAILED"
    assert region.registry.destruction("acme") is None
    region.register("acme", contract_ends=ENDED)
    assert region.carry_out(region.start()).waiting_until is not None


def test_a_mark_of_an_earlier_version_is_made_whole_by_the_next_start(region: Region) -> None:
    execution = region.until(region.start(), "EmptyBucket")
    since = registry_item("destruction#acme")["since"]
    earlier = {"pk": {"S": "destruction#acme"}, "state": {"S": "destroying"}, "since": since}
    region.aws("dynamodb").put_item(TableName=REGISTRY, Item=earlier)
    assert region.carry_out(execution).status == "FAILED"
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING
    assert registry_item("destruction#acme")["since"] == since


def test_a_mark_that_others_are_writing_is_set_in_the_end(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destruction_mark, "pause", lambda _: None)
    busy: list[str] = []
    aws = BaseClient._make_api_call

    def call(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if operation == "TransactWriteItems" and len(busy) < 3:
            busy.append(operation)
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            response = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise of.exceptions.from_code("TransactionCanceledException")(response, operation)
        return aws(of, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


@pytest.mark.parametrize("kept", ["in the table", "nowhere"])
def test_a_deployment_that_looked_before_the_freeze_puts_no_secret_back_after_the_end(
    region: Region, kept: str
) -> None:
    customer = region.registry.customer("acme")
    assert customer is not None
    region.aws("dynamodb").delete_item(TableName=REGISTRY, Key={"pk": {"S": "secret#acme"}})
    if kept == "nowhere":
        for item in region.aws("dynamodb").scan(TableName=customer.table)["Items"]:
            key = {name: item[name] for name in ("pk", "sk")}
            region.aws("dynamodb").delete_item(TableName=customer.table, Key=key)
    ended: list[str] = []

    def after_the_end(aws: Any, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if "secret#acme" in json.dumps(parameters, default=str) and not ended:
            ended.append(region.carry_out(region.start()).status)
            destruction_mark.finish(REGISTRY, "acme")
        return aws(parameters)

    with in_place_of("TransactWriteItems", after_the_end):
        assert keep_secret(open_vault(customer, "begin"), region.registry, region.requests) is None
    assert ended
    assert registry_item("secret#acme") == {}
    assert region.contents("acme") == NOTHING
