"""What is declared of a customer whose vault a contract's end has destroyed."""

import runpy
from collections.abc import Mapping
from typing import Any

import pytest

from components.vaults.remains import (
    Remains,
    ReturnedCustomerError,
    UnfinishedEndError,
    deployed_customers,
    destroyed_vaults,
    refuse_unfinished,
)

from ..programs import ACCOUNT, GROUND, ROOT, Deployment, run_program, stack_config, stack_settings

ARN = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/6f0f2a5c-0000-4000-8000-000000000001"
REGISTRY = "gdpr-eu-west-registry"
OTHERS = {"gdpr-eu-west-vault-globex": {}, "gdpr-eu-west-requests": {}}
DEPLOYED = {"pk": {"S": "customers"}, "ids": {"S": '["acme", "globex"]'}}
ENTRY = {"pk": {"S": "customer#acme"}, "key_arn": {"S": ARN}}


def mark(state: str, **more: str) -> dict[str, Any]:
    texts = {"pk": "destruction#acme", "state": state, **more}
    return {name: {"S": text} for name, text in texts.items()}


def registry(*items: dict[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {**OTHERS, REGISTRY: {item["pk"]["S"]: item for item in items}}


def deploy(
    tables: Mapping[str, Mapping[str, Any]],
    *,
    key: str = "PendingDeletion",
    status: str = "active",
    hold: str | None = None,
    restored_table: str | None = None,
) -> Deployment:
    config = stack_config("eu-west")
    if restored_table is not None:
        config["gdpr:customers"][0]["restoredTable"] = restored_table
    config["gdpr:customers"][0]["contract"]["status"] = status
    if hold is not None:
        config["gdpr:customers"][0]["contract"]["hold"] = hold
    return run_program(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        config=config,
        tables=tables,
        keys={ARN: key},
    )


def names(deployment: Deployment, type_: str) -> set[str]:
    return {made.name for made in deployment.of(type_) if ".acme" in made.name or "-acme" in made.name}


def look() -> Mapping[str, Remains]:
    """What the program sees of eu-west's customers."""
    names = GROUND.names
    return destroyed_vaults(names, stack_settings("eu-west").customers, deployed_customers(names))


KEY, ALIAS = "gdpr-eu-west-vault-acme-key", "gdpr-eu-west-vault-acme-key-alias"


@pytest.mark.parametrize(
    ("state", "key", "status", "declared_key", "declared_alias"),
    [
        ("destroying", "Enabled", "active", {KEY}, {ALIAS}),
        ("destroying", "PendingDeletion", "active", set(), {ALIAS}),
        ("scheduled", "PendingDeletion", "active", set(), {ALIAS}),
        ("scheduled", "PendingDeletion", "terminated", set(), {ALIAS}),
        pytest.param("scheduled", "gone", "active", set(), set(), id="not yet confirmed that it is gone"),
        pytest.param("scheduled", "Disabled", "active", set(), {ALIAS}, id="its deletion was cancelled"),
        pytest.param("scheduled", "Enabled", "active", set(), {ALIAS}, id="cancelled, and enabled again"),
        pytest.param(
            "destroying", "Disabled", "active", set(), {ALIAS}, id="cancelled before it was read back"
        ),
        ("destroyed", "gone", "terminated", set(), set()),
    ],
)
def test_what_is_gone_is_declared_no_more(
    state: str, key: str, status: str, declared_key: set[str], declared_alias: set[str]
) -> None:
    deployment = deploy(registry(DEPLOYED, mark(state), ENTRY), key=key, status=status)
    assert names(deployment, "aws:dynamodb/table:Table") == set()
    assert names(deployment, "aws:cognito/userPoolClient:UserPoolClient") == set()
    assert names(deployment, "aws:kms/key:Key") == declared_key
    assert names(deployment, "aws:kms/alias:Alias") == declared_alias
    assert names(deployment, "aws:s3/bucket:Bucket"), "the bucket stays until the lines are removed"
    (item,) = [
        made.document("item")
        for made in deployment.of("aws:dynamodb/tableItem:TableItem")
        if made.name.endswith("acme.customer")
    ]
    assert item["table"] == {"S": "gdpr-eu-west-vault-acme"}
    assert item["clients"] == {"S": "[]"}
    if not declared_key:
        assert item["key_arn"] == {"S": ARN}
        (encryption,) = [
            made.inputs["rules"][0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
            for made in deployment.of(
                "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
            )
            if made.inputs["bucket"].startswith("gdpr-eu-west-vault-acme-")
        ]
        assert encryption == ARN, "nothing of the bucket changes"
        assert deployment.outputs["vaults"]["acme"]["keyArn"] == ARN
    assert "acme" not in deployment.outputs["clients"]
    assert "globex" in deployment.outputs["clients"]


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param({}, id="nothing is deployed"),
        pytest.param({REGISTRY: {}}, id="the first deployment stopped half-way"),
        pytest.param(
            registry({"pk": {"S": "customers"}, "ids": {"S": '["globex"]'}}), id="a customer is added"
        ),
        pytest.param(registry(DEPLOYED, ENTRY), id="the table was lost, and no contract's end took it"),
        pytest.param(
            {**registry(DEPLOYED, ENTRY, mark("destroying")), "gdpr-eu-west-vault-acme": {}},
            id="its end has begun, and the table is still there",
        ),
    ],
)
def test_else_everything_is_declared(tables: Mapping[str, Mapping[str, Any]]) -> None:
    found: list[object] = []

    def program() -> None:
        found.append(look())

    run_program(program, tables=tables)
    assert found == [{}]


@pytest.mark.parametrize("state", ["destroying", "scheduled", "destroyed"])
def test_an_id_whose_data_was_destroyed_does_not_come_back(state: str) -> None:
    """Its mark is never taken back: the API refuses whoever has it, and nothing stops another destruction."""
    others = {"pk": {"S": "customers"}, "ids": {"S": '["globex"]'}}
    with pytest.raises(ReturnedCustomerError, match=r"acme had a contract .* such as acme-2"):
        run_program(
            lambda: look(),
            tables=registry(others, mark(state)),
        )


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (mark("destroying"), "its data is being destroyed"),
        ({**mark("scheduled"), "key_deletion": {"S": "2028-03-01T00:00:00Z"}}, "at 2028-03-01T00:00:00Z"),
    ],
)
def test_lines_stay_until_the_key_is_gone(item: dict[str, Any], told: str) -> None:
    with pytest.raises(UnfinishedEndError) as refused:
        run_program(
            lambda: refuse_unfinished(GROUND.names, ["globex"], deployed_customers(GROUND.names)),
            tables=registry(DEPLOYED, item, ENTRY),
        )
    assert refused.value.customer == "acme"
    assert told in str(refused.value)
    assert "contract-end/acme/…/destroyed.json" in str(refused.value)


@pytest.mark.parametrize("items", [[mark("destroyed")], []])
def test_lines_go_once_it_is_or_where_no_end_has_begun(items: list[dict[str, Any]]) -> None:
    run_program(
        lambda: refuse_unfinished(GROUND.names, ["globex"], deployed_customers(GROUND.names)),
        tables=registry(DEPLOYED, ENTRY, *items),
    )


def test_what_the_registry_refuses_to_tell_is_not_taken_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_arguments: object) -> None:
        raise RuntimeError("AccessDeniedException")

    monkeypatch.setattr("pulumi_aws.dynamodb.get_table_item", refused)
    with pytest.raises(RuntimeError, match="AccessDenied"):
        run_program(
            lambda: look(),
            tables=registry(DEPLOYED),
        )


def test_the_operator_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", told.append)
    deploy(registry(DEPLOYED, mark("scheduled"), ENTRY))
    (text,) = told
    assert text.startswith("customer acme: its contract's end has deleted its table")
    assert "run pulumi refresh" in text
    assert "set contract.status: terminated" in text


@pytest.mark.parametrize("key", ["Disabled", "Enabled"])
def test_a_key_that_a_hold_keeps_is_neither_made_anew_nor_complained_of(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Somebody may have enabled it, to read the table's last backup."""
    told: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", told.append)
    kept = mark("destroying", kept_at="2028-02-01T00:00:00Z")
    deployment = deploy(registry(DEPLOYED, kept, ENTRY), key=key, hold="litigation, case 1")
    assert names(deployment, "aws:kms/key:Key") == set()
    assert names(deployment, "aws:kms/alias:Alias") == {ALIAS}
    assert not [text for text in told if "took back" in text]


@pytest.mark.parametrize(
    ("of", "who", "when"),
    [
        pytest.param(
            mark("destroying", kept_at="2028-02-01T00:00:00Z"),
            "a hold that is lifted now",
            "within the hour",
            id="a hold, and it is lifted",
        ),
        pytest.param(mark("destroying"), "somebody", "within the hour", id="before it was read back"),
        pytest.param(mark("scheduled"), "somebody", "two days after the key's day", id="while the key waits"),
        pytest.param(
            mark("scheduled", kept_at="2028-02-01T00:00:00Z"),
            "somebody",
            "two days after the key's day",
            id="while the key waits, after a hold of earlier",
        ),
    ],
)
def test_the_operator_is_told_who_took_the_order_back_and_when_it_is_given_anew(
    monkeypatch: pytest.MonkeyPatch, of: dict[str, Any], who: str, when: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", told.append)
    deploy(registry(DEPLOYED, of, ENTRY), key="Disabled")
    (text,) = [text for text in told if "took back" in text]
    assert text.startswith(f"customer acme: {who} took back the order")
    assert f"ordered anew {when}" in text


def test_the_key_that_is_going_is_the_one_that_the_mark_notes() -> None:
    elsewhere = {**ENTRY, "key_arn": {"S": ARN.replace("0001", "0002")}}
    deployment = deploy(registry(DEPLOYED, mark("scheduled", key_arn=ARN), elsewhere))
    assert deployment.outputs["vaults"]["acme"]["keyArn"] == ARN


def test_a_restored_table_that_is_deployed_after_the_freeze_brings_no_vault_back() -> None:
    plain = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/gdpr-eu-west-vault-acme"
    going = mark("scheduled", key_arn=ARN, table_arn=plain)
    tables = {**registry(DEPLOYED, going, ENTRY), "gdpr-eu-west-vault-acme.r1": {}}
    deployment = deploy(tables, restored_table="r1")
    for type_ in ("aws:dynamodb/table:Table", "aws:kms/key:Key", "aws:cognito/userPoolClient:UserPoolClient"):
        assert names(deployment, type_) == set()
