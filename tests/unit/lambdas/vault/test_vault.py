import json
from datetime import UTC, date, datetime
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from privacy.aws import clients as aws_clients
from privacy.customers.customer import Customer, Dataset
from privacy.vault import sessions as vault_sessions
from privacy.vault.session_policies import VaultResources, encryption_context, policy_of, session_policy

if TYPE_CHECKING:
    from ..support.world import World

ACME = VaultResources(
    customer="acme",
    bucket_arn="arn:aws:s3:::vault-acme",
    table_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/vault-acme",
    key_arn="arn:aws:kms:eu-west-1:123456789012:key/acme",
    uploads="feedback/",
    evidence_arn="arn:aws:s3:::evidence",
)


def test_a_policy_names_the_resources_of_one_vault_and_leaves_the_actions_to_the_role() -> None:
    assert json.loads(session_policy("reindex", ACME)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:*", "dynamodb:*", "kms:*"],
                "Resource": [
                    "arn:aws:s3:::vault-acme",
                    "arn:aws:s3:::vault-acme/*",
                    "arn:aws:dynamodb:eu-west-1:123456789012:table/vault-acme",
                    "arn:aws:dynamodb:eu-west-1:123456789012:table/vault-acme/index/objects",
                    "arn:aws:kms:eu-west-1:123456789012:key/acme",
                ],
            }
        ],
    }


def test_a_replay_also_names_the_ledger_of_its_customer() -> None:
    _, ledger = json.loads(session_policy("replay", ACME))["Statement"]
    assert ledger == {
        "Effect": "Allow",
        "Action": ["s3:*", "kms:*"],
        "Resource": [
            "arn:aws:s3:::evidence",
            "arn:aws:s3:::evidence/ledger/acme/*",
            "arn:aws:kms:eu-west-1:123456789012:key/*",
        ],
        "Condition": {
            "StringEqualsIfExists": {
                "s3:prefix": "ledger/acme/",
                "kms:ViaService": "s3.eu-west-1.amazonaws.com",
            }
        },
    }


def customer(table: str, key_arn: str) -> Customer:
    return Customer(
        id="acme",
        bucket="vault-acme",
        table=table,
        key_arn=key_arn,
        contract_starts=date(2026, 1, 1),
        contract_ends=date(2027, 12, 31),
        grace_days=30,
        subject_id="email",
        datasets=(Dataset("letters", "object", "letters/", (), {}),),
    )


def test_the_resources_are_those_of_the_keys_partition_account_and_region() -> None:
    found = vault_sessions.vault_resources(customer("t", "arn:aws-cn:kms:cn-north-1:123456789012:key/k"))
    assert found.bucket_arn == "arn:aws-cn:s3:::vault-acme"
    assert found.table_arn == "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/t"


class Sts:
    """Answers AssumeRole with sessions of one hour, and remembers what was asked."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def assume_role(self, **call: object) -> dict[str, Any]:
        self.calls.append(call)
        number = len(self.calls)
        expires = datetime.fromtimestamp(3600, UTC)
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        credentials = {name: f"{name}{number}" for name in names} | {"Expiration": expires}
        return {"Credentials": credentials, "PackedPolicySize": 42}


def test_a_session_is_kept_while_it_lasts_longer_than_a_function(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    sts = Sts()
    monkeypatch.setattr(aws_clients, "sts", cache(lambda: sts))
    for seconds, sessions in ((0, 1), (3600 - 16 * 60, 1), (3600 - 16 * 60 + 1, 2)):
        vault_sessions.open_vault(world.customer, "visit", clock=repeat(seconds).__next__)
        assert len(sts.calls) == sessions
    assert sts.calls[0]["RoleSessionName"] == "acme-visit"
    assert json.loads(sts.calls[0]["Policy"]) == policy_of(
        "visit", vault_sessions.vault_resources(world.customer)
    )


def test_uploads_of_each_dataset_have_a_session_that_puts_files_nowhere_else(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    sts = Sts()
    monkeypatch.setattr(aws_clients, "sts", cache(lambda: sts))
    for uploads in ("feedback/", "letters/", None, "feedback/"):
        vault_sessions.open_vault(world.customer, "ingest", uploads=uploads, clock=lambda: 0)
    named = [json.loads(call["Policy"])["Statement"][0]["Resource"] for call in sts.calls]
    files = [[arn for arn in arns if arn.startswith("arn:aws:s3:::")] for arns in named]
    bucket = f"arn:aws:s3:::{world.customer.bucket}"
    assert files == [[bucket, f"{bucket}/feedback/*"], [bucket, f"{bucket}/letters/*"], []]


@pytest.mark.parametrize("purpose", ["visit", "replay"])
def test_each_new_session_logs_how_much_of_awss_room_its_policy_takes(
    world: "World", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, purpose: str
) -> None:
    monkeypatch.setattr(aws_clients, "sts", cache(Sts))
    with caplog.at_level("INFO", logger="privacy"):
        for _ in range(2):
            vault_sessions.open_vault(world.customer, purpose, clock=lambda: 0)
    (line,) = caplog.records
    assert line.getMessage() == f"session opened: customer=acme purpose={purpose} packed=42"
    assert line.__dict__["packedPolicySize"] == 42


def test_a_session_is_opened_where_aws_says_nothing_of_its_policys_size(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Sts()
    answer = silent.assume_role
    monkeypatch.setattr(
        silent,
        "assume_role",
        lambda **call: {key: value for key, value in answer(**call).items() if key == "Credentials"},
    )
    monkeypatch.setattr(aws_clients, "sts", cache(lambda: silent))
    assert vault_sessions.open_vault(world.customer, "visit", clock=lambda: 0).customer == world.customer


def test_customers_and_purposes_have_sessions_of_their_own(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    sts = Sts()
    monkeypatch.setattr(aws_clients, "sts", cache(lambda: sts))
    other = customer("vault-other", world.customer.key_arn)
    for who in (world.customer, other):
        for purpose in ("visit", "index"):
            vault_sessions.open_vault(who, purpose, clock=lambda: 0)
    assert [call["RoleSessionName"] for call in sts.calls] == ["acme-visit", "acme-index"] * 2
    assert "vault-other" in sts.calls[2]["Policy"]
    assert world.customer.table + '"' not in sts.calls[2]["Policy"]


def test_the_sessions_used_last_are_kept_and_no_more_than_there_is_memory_for(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    sts = Sts()
    monkeypatch.setattr(aws_clients, "sts", cache(lambda: sts))

    def opened(uploads: str) -> int:
        vault_sessions.open_vault(world.customer, "ingest", uploads=uploads, clock=lambda: 0)
        return len(sts.calls)

    for number in range(vault_sessions.MOST_SESSIONS):
        opened(f"{number}/")
    before = opened("0/")
    assert before == vault_sessions.MOST_SESSIONS
    assert opened("another/") == before + 1
    assert len(vault_sessions._sessions) == vault_sessions.MOST_SESSIONS
    assert opened("0/") == before + 1  # used just before
    assert opened("1/") == before + 2  # had to go


def test_an_unknown_purpose_opens_nothing(world: "World") -> None:
    with pytest.raises(KeyError):
        vault_sessions.open_vault(world.customer, "everything")


def test_the_secret_is_one_for_all_and_kept_as_ciphertext_only(world: "World") -> None:
    secret = vault_sessions.open_vault(world.customer, "intake").subject_secret()
    vault_sessions.forget()
    assert vault_sessions.open_vault(world.customer, "visit").subject_secret() == secret
    (item,) = [i for i in world.items() if i["sk"]["S"] == "subject-secret"]
    assert set(item) == {"pk", "sk", "ciphertext"}
    assert secret not in bytes(item["ciphertext"]["B"])
    assert len(secret) == 32


def test_the_secret_opens_under_its_own_purpose_and_customer_only(world: "World") -> None:
    vault_sessions.open_vault(world.customer, "intake").subject_secret()
    (item,) = [i for i in world.items() if i["sk"]["S"] == "subject-secret"]
    kms = boto3.client("kms", region_name="eu-west-1")
    blob = bytes(item["ciphertext"]["B"])
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=encryption_context("acme"))["Plaintext"]
    with pytest.raises(ClientError):
        kms.decrypt(CiphertextBlob=blob, EncryptionContext=encryption_context("other"))
