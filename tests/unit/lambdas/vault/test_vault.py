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
from privacy.vault.session_policies import (
    MAX_CHARACTERS,
    PURPOSES,
    VaultResources,
    encryption_context,
    session_policy,
)

if TYPE_CHECKING:
    from ..support.world import World

LONGEST = VaultResources(
    customer="c" * 21,
    bucket_arn="arn:aws-us-gov:s3:::" + "b" * 63,
    table_arn="arn:aws-us-gov:dynamodb:ap-southeast-1:123456789012:table/gdpr-ap-southeast-vault-" + "c" * 21,
    key_arn="arn:aws-us-gov:kms:ap-southeast-1:123456789012:key/12345678-1234-1234-1234-123456789012",
    prefixes=("feedback/", "letters/"),
    evidence_arn="arn:aws-us-gov:s3:::" + "e" * 63,
)
ACME = VaultResources(
    customer="acme",
    bucket_arn="arn:aws:s3:::vault-acme",
    table_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/vault-acme",
    key_arn="arn:aws:kms:eu-west-1:123456789012:key/acme",
    prefixes=("feedback/", "letters/"),
    evidence_arn="arn:aws:s3:::evidence",
)
ADMINISTRATION = {"kms:DescribeKey", "kms:ListResourceTags", "kms:ScheduleKeyDeletion"}


def statements(purpose: str, resources: VaultResources = ACME) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(session_policy(purpose, resources))["Statement"]
    return found


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_policy_fits_with_the_longest_names(purpose: str) -> None:
    assert len(session_policy(purpose, LONGEST)) < MAX_CHARACTERS * 0.75


def test_uploads_are_bound_to_the_dataset_prefixes() -> None:
    (put,) = [s for s in statements("ingest") if s["Action"] == ["s3:PutObject"]]
    assert put["Resource"] == ["arn:aws:s3:::vault-acme/feedback/*", "arn:aws:s3:::vault-acme/letters/*"]


def test_uploads_of_a_customer_without_files_are_not_allowed_at_all() -> None:
    resources = VaultResources(
        customer="acme", bucket_arn=ACME.bucket_arn, table_arn=ACME.table_arn, key_arn=ACME.key_arn
    )
    assert "s3:" not in session_policy("ingest", resources)


def test_dozens_of_datasets_still_fit() -> None:
    many = VaultResources(
        customer="acme",
        bucket_arn=LONGEST.bucket_arn,
        table_arn=LONGEST.table_arn,
        key_arn=LONGEST.key_arn,
        prefixes=tuple(f"dataset-number-{number}/" for number in range(60)),
    )
    (put,) = [s for s in statements("ingest", many) if s["Action"] == ["s3:PutObject"]]
    assert put["Resource"] == f"{LONGEST.bucket_arn}/*"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_policy_names_one_vault_and_exact_actions(purpose: str) -> None:
    allowed = {
        "arn:aws:s3:::vault-acme",
        "arn:aws:s3:::vault-acme/*",
        "arn:aws:s3:::vault-acme/feedback/*",
        "arn:aws:s3:::vault-acme/letters/*",
        "arn:aws:s3:::vault-acme/exports/*",
        ACME.table_arn,
        f"{ACME.table_arn}/index/objects",
        ACME.key_arn,
    }
    if purpose == "replay":
        # Whatever the key of the evidence is: the condition leaves S3 and that bucket.
        allowed |= {ACME.evidence_arn, f"{ACME.evidence_arn}/ledger/acme/*"}
        allowed |= {"arn:aws:kms:eu-west-1:123456789012:key/*"}
    for statement in statements(purpose):
        resources = statement["Resource"]
        assert ({resources} if isinstance(resources, str) else set(resources)) <= allowed
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_key_is_used_for_the_references_or_through_s3_and_dynamodb_only(purpose: str) -> None:
    for statement in statements(purpose):
        if statement["Resource"] != ACME.key_arn or ADMINISTRATION.issuperset(statement["Action"]):
            continue
        condition = statement["Condition"]
        if "StringEquals" in condition:
            assert condition == {
                "StringEquals": {
                    "kms:ViaService": ["s3.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.amazonaws.com"]
                }
            }
        else:
            assert condition == {
                "StringEqualsIfExists": {
                    "kms:EncryptionContext:purpose": "subject-reference",
                    "kms:EncryptionContext:customer": "acme",
                },
                "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["purpose", "customer"]},
            }


def test_only_visits_and_a_contracts_end_delete_objects_and_an_export_what_is_its_own() -> None:
    def purposes(action: str) -> set[str]:
        return {p for p in PURPOSES if any(action in s["Action"] for s in statements(p))}

    assert purposes("s3:DeleteObjectVersion") == {"destroy", "export", "visit"}
    assert purposes("s3:PutObject") == {"export", "ingest", "visit"}
    own = [s for s in statements("export") if "s3:PutObject" in s["Action"]]
    assert [s["Resource"] for s in own] == ["arn:aws:s3:::vault-acme/exports/*"]
    assert purposes("s3:GetObject") == {"fetch", "visit"}
    assert purposes("s3:GetObjectVersion") == {"index", "reindex", "replay", "visit"}
    reads = [s for s in statements("replay") if "s3:GetObjectVersion" in s["Action"]]
    assert [s["Resource"] for s in reads] == [f"{ACME.evidence_arn}/ledger/acme/*"]


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
        datasets=(Dataset("letters", "object", "letters/", None, {}),),
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
        return {"Credentials": {name: f"{name}{number}" for name in names} | {"Expiration": expires}}


def test_a_session_is_kept_while_it_lasts_longer_than_a_function(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    sts = Sts()
    monkeypatch.setattr(aws_clients, "sts", cache(lambda: sts))
    for seconds, sessions in ((0, 1), (3600 - 16 * 60, 1), (3600 - 16 * 60 + 1, 2)):
        vault_sessions.open_vault(world.customer, "visit", clock=repeat(seconds).__next__)
        assert len(sts.calls) == sessions
    assert sts.calls[0]["RoleSessionName"] == "acme-visit"
    assert json.loads(sts.calls[0]["Policy"]) == PURPOSES["visit"](
        vault_sessions.vault_resources(world.customer)
    )


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


def test_an_unknown_purpose_opens_nothing(world: "World") -> None:
    with pytest.raises(KeyError):
        vault_sessions.open_vault(world.customer, "everything")


def test_the_secret_is_made_once_and_kept_as_ciphertext_only(world: "World") -> None:
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


def test_of_two_that_make_the_secret_the_first_counts_for_both(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = vault_sessions.open_vault(world.customer, "intake")
    make = vault_sessions.Vault._make_secret
    first: list[bytes] = []

    def overtaken(this: vault_sessions.Vault) -> bytes:
        monkeypatch.setattr(vault_sessions.Vault, "_make_secret", make)
        first.append(vault_sessions.open_vault(world.customer, "index").subject_secret())
        return make(this)

    monkeypatch.setattr(vault_sessions.Vault, "_make_secret", overtaken)
    assert slow.subject_secret() == first[0]
