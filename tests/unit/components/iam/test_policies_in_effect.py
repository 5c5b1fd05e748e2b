"""What the documents come to, as the emulator's evaluator, written by others, reads them."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.iam import keys, resources
from components.iam.purposes import PURPOSES
from components.naming import RegionNames

from .decisions import decision

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


BUCKET_POLICY_STATEMENTS = resources.vault_bucket(
    NAMES, "acme", KEY, access_ends="2999-01-01", destruction="2999-01-31"
)
OBJECT = f"arn:aws:s3:::{NAMES.vault_bucket('acme')}/feedback/a.jsonl"


@pytest.mark.parametrize(
    ("action", "context", "expected"),
    [
        ("s3:GetObject", {}, "ImplicitDeny"),
        ("s3:GetObject", {"tls": False}, "Deny"),
        ("s3:GetObject", {"keys": {"s3:TlsVersion": "1.1"}}, "Deny"),
        ("s3:GetObject", {"keys": {"s3:TlsVersion": "1.3"}}, "ImplicitDeny"),
        ("s3:GetObject", {"account": "999999999999"}, "Deny"),
        ("s3:PutObject", {}, "ImplicitDeny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption": "aws:kms"}}, "ImplicitDeny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption": "AES256"}}, "Deny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption": "aws:kms:dsse"}}, "Deny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY}}, "ImplicitDeny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY + "2"}}, "Deny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"}}, "Deny"),
        ("s3:ReplicateObject", {}, "Deny"),
    ],
)
def test_a_vaults_bucket_refuses(action: str, context: Mapping[str, Any], expected: str) -> None:
    assert decision(BUCKET_POLICY_STATEMENTS, action, OBJECT, **context) == expected


PAST, TO_COME = "2020-01-01", "2999-01-01"
RUNNING, OVER, DUE = (TO_COME, TO_COME), (PAST, TO_COME), (PAST, PAST)


def callers(role: str) -> list[str]:
    """A role as AWS names it as a caller, and as the emulator does."""
    return [
        f"arn:aws:iam::123456789012:role/gdpr-eu-west-{role}",
        f"arn:aws:sts::123456789012:assumed-role/gdpr-eu-west-{role}/acme",
    ]


@pytest.mark.parametrize(
    ("role", "days", "reads", "writes", "deletes"),
    [
        ("vault-acme-access", RUNNING, True, True, True),
        ("vault-acme-access", OVER, False, False, False),
        ("vault-acme-access", DUE, False, False, False),
        ("vault-acme-eu-access", OVER, True, True, True),
        # URLs that were signed for an upload are carried out as this one.
        ("purpose-ingest", RUNNING, True, True, True),
        ("purpose-ingest", OVER, False, False, False),
        ("purpose-visit", OVER, True, True, True),
        ("purpose-visit", DUE, False, False, False),
        ("purpose-destroy", DUE, True, True, True),
        ("purpose-witness", DUE, True, True, False),
        ("purpose-destroyer", DUE, False, False, False),
        ("administrator", DUE, False, False, False),
        ("administrator", OVER, True, True, True),
    ],
)
def test_a_vaults_objects_are_out_of_reach_from_the_contracts_days_on(
    role: str, days: tuple[str, str], *, reads: bool, writes: bool, deletes: bool
) -> None:
    policy = resources.vault_bucket(NAMES, "acme", KEY, access_ends=days[0], destruction=days[1])
    for caller in callers(role):
        for actions, possible in (
            (resources.READING, reads),
            (resources.WRITING, writes),
            (resources.DELETING, deletes),
        ):
            for action in actions:
                expected = "ImplicitDeny" if possible else "Deny"
                assert decision(policy, action, OBJECT, caller=caller) == expected, (caller, action)


def test_whoever_deploys_goes_on_managing_the_bucket_when_the_data_is_due() -> None:
    policy = resources.vault_bucket(NAMES, "acme", KEY, access_ends=PAST, destruction=PAST)
    managing = [
        "DeleteBucket",
        "DeleteBucketPolicy",
        "GetBucketPolicy",
        "GetLifecycleConfiguration",
        "ListBucket",
        "ListBucketVersions",
        "PutBucketNotification",
        "PutBucketPolicy",
        "PutBucketTagging",
        "PutBucketVersioning",
        "PutLifecycleConfiguration",
    ]
    for action in managing:
        answer = decision(
            policy, f"s3:{action}", OBJECT.partition("/")[0], caller=callers("administrator")[0]
        )
        assert answer == "ImplicitDeny", action


def test_no_denial_by_date_has_an_action_by_wildcard() -> None:
    dated = [
        statement for statement in BUCKET_POLICY_STATEMENTS if "DateGreaterThanEquals" in statement.conditions
    ]
    assert len(dated) == 3
    for statement in dated:
        assert not [action for action in statement.actions if "*" in action]
        assert statement.resources == [f"{OBJECT.partition('/')[0]}/*"]


def test_a_vaults_bucket_refuses_to_be_replicated() -> None:
    bucket = OBJECT.partition("/")[0]
    assert decision(BUCKET_POLICY_STATEMENTS, "s3:PutReplicationConfiguration", bucket) == "Deny"


@pytest.mark.parametrize(
    ("action", "keys_", "expected"),
    [
        (
            "kms:Decrypt",
            {
                "kms:EncryptionContext:purpose": "subject-reference",
                "kms:EncryptionContext:customer": "acme",
                "kms:EncryptionContextKeys": ["purpose", "customer"],
            },
            "Allow",
        ),
        (
            "kms:Decrypt",
            {
                "kms:EncryptionContext:purpose": "subject-reference",
                "kms:EncryptionContext:customer": "globex",
                "kms:EncryptionContextKeys": ["purpose", "customer"],
            },
            "ImplicitDeny",
        ),
        (
            "kms:Decrypt",
            {
                "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::b",
                "kms:EncryptionContextKeys": ["aws:s3:arn"],
            },
            "ImplicitDeny",
        ),
        ("kms:Encrypt", {}, "ImplicitDeny"),
        ("kms:GenerateDataKey", {}, "ImplicitDeny"),
        (
            "kms:GenerateDataKey",
            {
                "kms:ViaService": "s3.eu-west-1.amazonaws.com",
                "kms:CallerAccount": NAMES.account,
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{NAMES.vault_bucket('acme')}",
                "kms:EncryptionContextKeys": ["aws:s3:arn"],
            },
            "Allow",
        ),
        (
            "kms:GenerateDataKey",
            {
                "kms:ViaService": "s3.us-east-1.amazonaws.com",
                "kms:CallerAccount": NAMES.account,
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{NAMES.vault_bucket('acme')}",
                "kms:EncryptionContextKeys": ["aws:s3:arn"],
            },
            "ImplicitDeny",
        ),
        (
            "kms:GenerateDataKey",
            {
                "kms:ViaService": "s3.eu-west-1.amazonaws.com",
                "kms:CallerAccount": NAMES.account,
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{NAMES.vault_bucket('globex')}",
                "kms:EncryptionContextKeys": ["aws:s3:arn"],
            },
            "ImplicitDeny",
        ),
        ("kms:ReplicateKey", {}, "ImplicitDeny"),
    ],
)
def test_a_vaults_key_gives_the_visit_what_it_needs_and_no_more(
    action: str, keys_: Mapping[str, Any], expected: str
) -> None:
    roles = {purpose: NAMES.role(f"purpose-{purpose}") for purpose in PURPOSES}
    policy = keys.vault_key(NAMES, "acme", roles, None)
    assert decision(policy, action, KEY, keys=keys_) == expected
