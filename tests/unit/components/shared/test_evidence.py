"""Evidence: kept for the years in the config, written by functions, removed by nobody."""

from typing import Any

import pytest

from components.functions import rights as function_rights
from components.functions.catalogue import FUNCTIONS
from components.iam import keys, purposes, resources
from components.naming import RegionNames
from components.settings.settings import SettingsError, parse_settings

from ..iam.decisions import decision
from ..programs import ACCOUNT, Deployment, Made, stack_config

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
ENTRY = f"{NAMES.evidence_arn}/ledger/acme/1/2.json"
POLICY = resources.evidence_bucket(NAMES, KEY, 5 * 365)
COMPLIANCE = {"s3:object-lock-mode": "COMPLIANCE"}
THROUGH_S3 = {
    "kms:ViaService": "s3.eu-west-1.amazonaws.com",
    "kms:CallerAccount": NAMES.account,
    "kms:EncryptionContext:aws:s3:arn": NAMES.evidence_arn,
}


def of_evidence(deployment: Deployment, type_: str) -> Made:
    (found,) = [m for m in deployment.of(type_) if m.name.startswith(f"{deployment.prefix}-evidence-")]
    return found


def test_evidence_is_locked_in_compliance_mode_for_the_years_in_the_config(deployment: Deployment) -> None:
    bucket = of_evidence(deployment, "aws:s3/bucket:Bucket")
    assert bucket.inputs["objectLockEnabled"] is True
    assert bucket.inputs["bucket"] == f"{deployment.prefix}-evidence-{ACCOUNT}-{deployment.region}"
    lock = of_evidence(deployment, "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    assert lock.inputs["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "years": 5}}
    versioning = of_evidence(deployment, "aws:s3/bucketVersioning:BucketVersioning")
    assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert versioning.urn in lock.dependencies
    assert deployment.outputs["evidence"]["years"] == 5


def test_evidence_goes_after_its_retention_and_not_before(deployment: Deployment) -> None:
    rules = of_evidence(
        deployment, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    ).inputs["rules"]
    (over,) = [rule for rule in rules if rule["id"] == "retention-over"]
    assert 5 * 365.25 < over["expiration"]["days"] <= 5 * 366
    assert over["noncurrentVersionExpiration"] == {"noncurrentDays": 1}


def test_evidence_has_a_key_of_its_own_that_writers_can_only_seal_with(deployment: Deployment) -> None:
    encryption = of_evidence(
        deployment, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    default = encryption.inputs["rules"][0]["applyServerSideEncryptionByDefault"]
    assert default == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": deployment.outputs["evidence"]["keyArn"]}
    key = of_evidence(deployment, "aws:kms/key:Key")
    assert (key.inputs["enableKeyRotation"], key.inputs["multiRegion"]) == (True, False)
    statements = {s["Sid"]: s for s in key.document()["Statement"]}
    writing = [spec.name for spec in FUNCTIONS.values() if spec.evidence]
    assert statements["WriteEvidence"]["Action"] == ["kms:GenerateDataKey"]
    assert statements["WriteEvidence"]["Principal"] == {
        "AWS": [f"arn:mock:Role:{deployment.prefix}-{name}" for name in writing]
    }
    assert statements["ReadLedger"]["Principal"] == {
        "AWS": [f"arn:mock:Role:{deployment.prefix}-purpose-replay"]
    }


@pytest.mark.parametrize(
    ("action", "context", "expected"),
    [
        ("s3:PutObject", {}, "ImplicitDeny"),
        ("s3:PutObject", {"tls": False}, "Deny"),
        ("s3:PutObject", {"account": "999999999999"}, "Deny"),
        ("s3:PutObject", {"keys": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY + "2"}}, "Deny"),
        ("s3:PutObject", {"keys": COMPLIANCE}, "ImplicitDeny"),
        ("s3:PutObject", {"keys": {"s3:object-lock-mode": "GOVERNANCE"}}, "Deny"),
        ("s3:PutObjectRetention", {"keys": {"s3:object-lock-mode": "GOVERNANCE"}}, "Deny"),
        ("s3:PutObject", {"keys": {"s3:object-lock-remaining-retention-days": "1824"}}, "Deny"),
        ("s3:PutObject", {"keys": {"s3:object-lock-remaining-retention-days": "1825"}}, "ImplicitDeny"),
        ("s3:PutObjectRetention", {"keys": {"s3:object-lock-remaining-retention-days": "1"}}, "Deny"),
        ("s3:DeleteObject", {}, "Deny"),
        ("s3:DeleteObjectVersion", {}, "Deny"),
        ("s3:BypassGovernanceRetention", {}, "Deny"),
        ("s3:ReplicateObject", {}, "Deny"),
        ("s3:GetObject", {}, "ImplicitDeny"),
    ],
)
def test_the_evidence_bucket_refuses(action: str, context: dict[str, Any], expected: str) -> None:
    assert decision(POLICY, action, ENTRY, **context) == expected


@pytest.mark.parametrize(
    ("action", "keys_", "expected"),
    [
        ("kms:GenerateDataKey", THROUGH_S3, "Allow"),
        ("kms:GenerateDataKey", {}, "ImplicitDeny"),
        ("kms:GenerateDataKey", {**THROUGH_S3, "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::b"},
         "ImplicitDeny"),
        ("kms:GenerateDataKey", {**THROUGH_S3, "kms:ViaService": "s3.us-east-1.amazonaws.com"},
         "ImplicitDeny"),
        ("kms:Encrypt", THROUGH_S3, "ImplicitDeny"),
    ],
)  # fmt: skip
def test_a_writer_seals_through_s3_and_nothing_else(
    action: str, keys_: dict[str, Any], expected: str
) -> None:
    writer = NAMES.role("purpose-visit")  # whom `decision` asks for
    assert decision(keys.evidence_key(NAMES, [writer], NAMES.role("x")), action, KEY, keys=keys_) == expected


@pytest.mark.parametrize("module", FUNCTIONS)
def test_a_functions_own_role_opens_and_lists_no_evidence(module: str) -> None:
    for statement in function_rights.function_statements(NAMES, FUNCTIONS[module], "region-key", "pool"):
        if any(NAMES.evidence_bucket in resource for resource in statement.resources):
            assert statement.actions == ["s3:PutObject"]
            assert not any(
                resource.endswith(f"{NAMES.evidence_bucket}/*") for resource in statement.resources
            )
        if "kms:Decrypt" in statement.actions:
            assert statement.resources == ["region-key"]


def test_only_a_replay_reads_evidence_and_only_the_ledger() -> None:
    for purpose in purposes.PURPOSES:
        reads = [
            resource
            for statement in purposes.purpose_statements(NAMES, purpose)
            for resource in statement.resources
            if resource.startswith(NAMES.evidence_arn)
        ]
        expected = [f"{NAMES.evidence_arn}/ledger/*", NAMES.evidence_arn] if purpose == "replay" else []
        assert reads == expected


def test_the_default_is_five_years_and_other_years_are_followed() -> None:
    config = stack_config("eu-west")
    del config["gdpr:evidence"]
    assert parse_settings(config, project="gdpr", stack="eu-west").evidence.years == 5
    config["gdpr:evidence"] = {"years": 10}
    assert parse_settings(config, project="gdpr", stack="eu-west").evidence.years == 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"years": 0}, "evidence.years is 0"),
        ({"years": 31}, "evidence.years is 31"),
        ({"years": "5"}, "evidence.years is '5'"),
        ({"year": 5}, "evidence.year: unknown key; did you mean years"),
    ],
)
def test_a_mistake_in_the_years_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({**stack_config("eu-west"), "gdpr:evidence": given}, project="gdpr", stack="eu-west")
    assert said in str(raised.value)
