"""Every condition compares a key with an operator that suits the type that AWS gives the key.

A key of several values under an operator for one is refused, or passes by accident. No emulator shows it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from privacy.vault import session_policies

from ..programs import Deployment

TYPES = {
    # Global keys (IAM User Guide, "AWS global condition context keys")
    "aws:CurrentTime": "Date",
    "aws:PrincipalAccount": "String",
    "aws:PrincipalArn": "ARN",
    "aws:PrincipalIsAWSService": "Bool",
    "aws:RequestedRegion": "String",
    "aws:SecureTransport": "Bool",
    "aws:SourceAccount": "String",
    "aws:SourceArn": "ARN",
    "aws:ViaAWSService": "Bool",
    # Keys of services (Service Authorization Reference)
    "dynamodb:LeadingKeys": "ArrayOfString",
    "events:source": "ArrayOfString",
    "iam:PassedToService": "String",
    "kms:CallerAccount": "String",
    "kms:EncryptionContextKeys": "ArrayOfString",
    "kms:GrantIsForAWSResource": "Bool",
    "kms:GrantOperations": "ArrayOfString",
    "kms:ResourceAliases": "ArrayOfString",
    "kms:ViaService": "String",
    "s3:TlsVersion": "Numeric",
    "sts:ExternalId": "String",
    "s3:object-lock-mode": "String",
    "s3:object-lock-remaining-retention-days": "Numeric",
    "s3:prefix": "String",
    "s3:x-amz-server-side-encryption": "String",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "ARN",
    "s3:x-amz-server-side-encryption-customer-algorithm": "String",
}
OPERATORS = {
    "Date": ("Date",),
    "ARN": ("Arn", "String"),  # IAM takes either for an ARN
    "Bool": ("Bool",),
    "Numeric": ("Numeric",),
    "String": ("String",),
    "ArrayOfString": ("String",),
}


def kind_of(key: str) -> str:
    if key.startswith("kms:EncryptionContext:"):
        # A text; where it holds an ARN, AWS's own examples (CloudWatch Logs) compare it as one.
        return "ARN" if key.endswith(":arn") else "String"
    return TYPES[key]


def fault(operator: str, key: str) -> str | None:
    """What is wrong with comparing the key so, or None."""
    quantifier, _, plain = operator.rpartition(":")
    kind = kind_of(key)
    if plain == "Null":
        return None
    if (kind == "ArrayOfString") != (quantifier in {"ForAllValues", "ForAnyValue"}):
        return (
            f"{operator} compares {key}, which has {'several values' if kind == 'ArrayOfString' else 'one'}"
        )
    if not plain.startswith(OPERATORS[kind]):
        return f"{operator} compares {key}, which is of type {kind}"
    return None


def statements(document: object) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy's text; nothing for other texts and values."""
    if isinstance(document, str) and '"Statement"' in document:
        yield from json.loads(document)["Statement"]


def compared(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for operator, keys in statement.get("Condition", {}).items():
        yield from ((operator, key) for key in keys)


def test_what_a_stack_deploys_compares_each_key_as_its_type_asks(deployment: Deployment) -> None:
    pairs = {
        pair
        for made in deployment.made
        for value in made.inputs.values()
        for statement in statements(value)
        for pair in compared(statement)
    }
    assert {("ForAllValues:StringEquals", "events:source"), ("Bool", "aws:SecureTransport")} <= pairs
    assert [wrong for operator, key in sorted(pairs) if (wrong := fault(operator, key))] == []


@pytest.mark.parametrize("purpose", session_policies.PURPOSES)
def test_session_policies_compare_each_key_as_its_type_asks(purpose: str) -> None:
    vault = session_policies.VaultResources(
        customer="acme",
        bucket_arn="arn:aws:s3:::vault-acme",
        table_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/vault-acme",
        key_arn="arn:aws:kms:eu-west-1:123456789012:key/acme",
        uploads="feedback/",
        evidence_arn="arn:aws:s3:::evidence",
    )
    policy = session_policies.session_policy(purpose, vault)
    pairs = {pair for statement in statements(policy) for pair in compared(statement)}
    assert [wrong for operator, key in sorted(pairs) if (wrong := fault(operator, key))] == []


@pytest.mark.parametrize(
    ("operator", "key"),
    [
        ("StringEqualsIfExists", "events:source"),
        ("ForAllValues:StringEquals", "aws:RequestedRegion"),
        ("StringEquals", "aws:CurrentTime"),
        ("BoolIfExists", "kms:ViaService"),
    ],
)
def test_the_check_itself_refuses(operator: str, key: str) -> None:
    assert fault(operator, key) is not None
