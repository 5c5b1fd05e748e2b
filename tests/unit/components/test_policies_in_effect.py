"""What the documents come to, as the emulator's evaluator, written by others, reads them."""

from collections.abc import Mapping
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

from components.iam import keys, resources
from components.iam.documents import Statement, document
from components.iam.purposes import PURPOSES
from components.naming import RegionNames

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def decision(policy: list[Statement], action: str, resource: str, **context: Any) -> str:  # noqa: ANN401
    caller = EvalContext(
        principal_arn="arn:aws:sts::123456789012:assumed-role/gdpr-eu-west-purpose-visit/acme-visit",
        principal_type="AssumedRole",
        principal_account=context.pop("account", NAMES.account),
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        secure_transport=context.pop("tls", True),
        service_context={key.lower(): value for key, value in context.pop("keys", {}).items()},
    )
    result: str = evaluate_resource_policy(document(policy), caller).decision
    return result


BUCKET_POLICY_STATEMENTS = resources.vault_bucket(NAMES, "acme", KEY)
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
