"""Who may do what: documents as they come out, and bounds that hold for all of them."""

import json

import pytest

from components.functions import rights as function_rights
from components.functions.catalogue import FUNCTIONS
from components.iam import keys, purposes, services, trust
from components.iam.documents import document
from components.iam.purposes import PURPOSES, Purpose
from components.naming import RegionNames
from privacy.vault import session_policies

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
POOL = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_1"


def test_a_statement_comes_out_as_iam_reads_it() -> None:
    assert json.loads(
        document(function_rights.function_statements(NAMES, FUNCTIONS["get_request"], KEY, POOL))
    ) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Log",
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [
                    "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/gdpr-eu-west-get-request:*"
                ],
            },
            {
                "Sid": "DeadLetters",
                "Effect": "Allow",
                "Action": ["sqs:SendMessage"],
                "Resource": ["arn:aws:sqs:eu-west-1:123456789012:gdpr-eu-west-dead-letters"],
            },
            {
                "Sid": "RegionKey",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": [KEY],
                "Condition": {
                    "StringEquals": {
                        "kms:ViaService": ["dynamodb.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"]
                    }
                },
            },
            {
                "Sid": "Registry",
                "Effect": "Allow",
                "Action": ["dynamodb:GetItem"],
                "Resource": ["arn:aws:dynamodb:eu-west-1:123456789012:table/gdpr-eu-west-registry"],
                "Condition": {
                    "ForAllValues:StringLike": {
                        "dynamodb:LeadingKeys": [
                            "bucket#*",
                            "client#*",
                            "customer#*",
                            "customers",
                            "destruction#*",
                        ]
                    }
                },
            },
            {
                "Sid": "Requests",
                "Effect": "Allow",
                "Action": ["dynamodb:GetItem"],
                "Resource": ["arn:aws:dynamodb:eu-west-1:123456789012:table/gdpr-eu-west-requests"],
            },
        ],
    }


def test_the_health_check_may_nothing_but_log() -> None:
    own = function_rights.function_statements(NAMES, FUNCTIONS["describe_service"], KEY, POOL)
    assert {action for statement in own for action in statement.actions} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }


@pytest.mark.parametrize("module", FUNCTIONS)
def test_no_functions_own_role_reaches_a_vault(module: str) -> None:
    spec = FUNCTIONS[module]
    for statement in function_rights.function_statements(NAMES, spec, KEY, POOL):
        if any(action.startswith("s3:") for action in statement.actions):
            assert statement.actions == ["s3:PutObject"]
            assert statement.resources == [f"{NAMES.evidence_arn}/{kind}/*" for kind in spec.evidence]
        for resource in statement.resources:
            assert f"{NAMES.prefix}-vault-" not in resource
        if statement.actions == ["sts:AssumeRole"]:
            assert statement.resources == [NAMES.role(f"purpose-{spec.purpose}")]


@pytest.mark.parametrize("module", FUNCTIONS)
def test_a_function_assumes_one_role_or_none(module: str) -> None:
    assumed = [
        resource
        for statement in function_rights.function_statements(NAMES, FUNCTIONS[module], KEY, POOL)
        if "sts:AssumeRole" in statement.actions
        for resource in statement.resources
    ]
    assert len(assumed) == (1 if FUNCTIONS[module].purpose else 0)


def test_a_purpose_comes_out_for_any_vault_of_the_stack() -> None:
    assert json.loads(document(purposes.purpose_statements(NAMES, "verify"))) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Bucket",
                "Effect": "Allow",
                "Action": ["s3:ListBucketVersions"],
                "Resource": ["arn:aws:s3:::gdpr-eu-west-vault-*-123456789012-eu-west-1"],
            },
            {
                "Sid": "Table",
                "Effect": "Allow",
                "Action": ["dynamodb:Query", "dynamodb:UpdateItem"],
                "Resource": ["arn:aws:dynamodb:eu-west-1:123456789012:table/gdpr-eu-west-vault-*"],
            },
        ],
    }


def test_purposes_are_the_session_policies_purposes() -> None:
    assert set(PURPOSES) == set(session_policies.PURPOSES)


# A kind of resource that a session policy names, and the actions that a purpose's role has for it.
RIGHTS = {
    "bucket": "bucket",
    "objects": "objects",
    "uploads": "objects",
    "exports": "exports",
    "table": "table",
    "objects_index": "objects_index",
    "ledger": "ledger",
}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_session_policy_names_what_its_purposes_role_has_actions_for_and_nothing_else(
    purpose: Purpose,
) -> None:
    rights = PURPOSES[purpose]
    held = {kind for kind in RIGHTS.values() if getattr(rights, kind)}
    assert {RIGHTS[kind] for kind in session_policies.PURPOSES[purpose]} == held
    assert bool(rights.ledger_listing) == bool(rights.ledger)


def test_the_secrets_encryption_context_is_the_functions_own() -> None:
    roles = {purpose: NAMES.role(f"purpose-{purpose}") for purpose in PURPOSES}
    (opening,) = [s for s in keys.vault_key(NAMES, "acme", roles, None) if s.sid == "OpenSubjectSecret"]
    context = session_policies.encryption_context("acme")
    assert opening.conditions == {
        "StringEqualsIfExists": {f"kms:EncryptionContext:{name}": value for name, value in context.items()},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": list(context)},
    }


def test_whoever_administers_a_key_cannot_use_it() -> None:
    use = {
        "Encrypt",
        "Decrypt",
        "ReEncryptFrom",
        "ReEncryptTo",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
    }
    assert not {f"kms:{action}" for action in use} & set(keys.ADMINISTRATION)
    roles = {purpose: NAMES.role(f"purpose-{purpose}") for purpose in PURPOSES}
    by_account = {
        statement.sid: statement
        for statement in keys.vault_key(NAMES, "acme", roles, NAMES.role("vault-acme-access"))
        if statement.principals is not None and NAMES.account_principal in statement.principals.names
    }
    assert set(by_account) == {"AdministerWithoutUse", "GrantToDynamoDB", "CreateTable"}
    assert by_account["GrantToDynamoDB"].actions == ["kms:CreateGrant"]
    assert by_account["GrantToDynamoDB"].conditions["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    for sid in ("GrantToDynamoDB", "CreateTable"):
        assert "kms:Decrypt" not in by_account[sid].actions  # nothing that opens data
        via = by_account[sid].conditions["StringEquals"]["kms:ViaService"]
        assert via == f"dynamodb.{NAMES.region}.amazonaws.com"


def test_a_vaults_key_is_used_by_name_and_through_this_regions_services_only() -> None:
    roles = {purpose: NAMES.role(f"purpose-{purpose}") for purpose in PURPOSES}
    access = NAMES.role("vault-acme-access")
    for statement in keys.vault_key(NAMES, "acme", roles, access):
        assert statement.principals is not None
        assert statement.principals.kind == "AWS"
        if statement.sid in {"ReadObjects", "WriteObjects", "TableData"}:
            assert set(statement.principals.names) <= {*roles.values(), access}
            via = statement.conditions["StringEquals"]["kms:ViaService"]
            assert via in {"s3.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.amazonaws.com"}
            assert statement.conditions["StringEquals"]["kms:CallerAccount"] == NAMES.account


def test_a_customers_access_role_is_its_own_and_only_during_the_contract() -> None:
    (trusted,) = trust.by_customer(
        NAMES, "acme", ["arn:aws:iam::111122223333:root"], starts="2026-01-01", ends="2028-01-01"
    )
    assert trusted.as_json() == {
        "Sid": "Customer",
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]},
        "Action": ["sts:AssumeRole"],
        "Condition": {
            "StringEquals": {"sts:ExternalId": "gdpr-eu-west-acme"},
            "DateGreaterThanEquals": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
            "DateLessThan": {"aws:CurrentTime": "2028-01-01T00:00:00Z"},
        },
    }
    for statement in services.customer_access(NAMES, "acme", ["feedback/"], ends="2028-01-01"):
        assert statement.conditions["DateLessThan"] == {"aws:CurrentTime": "2028-01-01T00:00:00Z"}
        assert all(NAMES.vault_bucket("acme") in resource for resource in statement.resources)
        assert not any("Delete" in action or "Version" in action for action in statement.actions)


def test_a_customer_without_files_may_nothing_with_them() -> None:
    (statement,) = services.customer_access(NAMES, "acme", [], ends="2028-01-01")
    assert statement.effect == "Deny"
    assert set(statement.actions) == set(services.CUSTOMER_ACTIONS)
