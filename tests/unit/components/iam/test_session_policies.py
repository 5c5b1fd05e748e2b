"""Session policies together with the roles that they narrow: what is left."""

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from components.iam import keys, purposes, resources
from components.iam.documents import Statement, document
from components.iam.purposes import PURPOSES, Purpose
from components.naming import RegionNames
from components.roles.boundary import boundary
from privacy.vault import session_policies
from privacy.vault.session_policies import VaultResources, session_policy

from .decisions import Session

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
S3, DYNAMODB = "s3.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.amazonaws.com"
EVIDENCE = NAMES.evidence_arn
SENT_TO = "feedback/"
READ = "s3:GetObjectVersion"
LIST = "s3:ListBucketVersions"
ITEMS = {f"dynamodb:{action}" for action in ("GetItem", "PutItem", "DeleteItem")}
BATCHES = {"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"}
OPEN, SEAL, MAKE = "kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"
_VISIT = {
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectTagging",
    READ,
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:RestoreObject",
}
_DESTROY = {"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"}
_PATCH = {"dynamodb:Query", "dynamodb:UpdateItem"}


WAYS = ("key without a context", "key for the secret", "key through S3", "key through DynamoDB")


def secret(*actions: str) -> dict[str, set[str]]:
    return {"key for the secret": {*actions}, "key without a context": {*actions}}


def everywhere(actions: set[str]) -> dict[str, set[str]]:
    return dict.fromkeys(("feedback", "letters", "exports"), actions)


NEEDS: dict[Purpose, dict[str, set[str]]] = {
    "begin": {
        "table": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"},
        **secret(MAKE),
        "key through DynamoDB": {OPEN},
    },
    "ingest": {
        "feedback": {"s3:PutObject"},
        "list of a key": {"s3:ListBucket"},
        "table": {*ITEMS, "dynamodb:ConditionCheckItem"},
        **secret(OPEN),
        "key through S3": {OPEN, SEAL},
        "key through DynamoDB": {OPEN},
    },
    "intake": {"table": ITEMS, **secret(OPEN), "key through DynamoDB": {OPEN}},
    "index": {
        **everywhere({READ}),
        "bucket": {LIST},
        "table": {*ITEMS, *BATCHES},
        "index": {"dynamodb:Query"},
        **secret(OPEN),
        "key through S3": {OPEN},
        "key through DynamoDB": {OPEN},
    },
    "plan": {
        "bucket": {LIST},
        "table": {"dynamodb:GetItem", "dynamodb:BatchWriteItem", *_PATCH},
        "key through DynamoDB": {OPEN},
    },
    "visit": {
        **everywhere(_VISIT),
        "bucket": {LIST},
        "table": {*ITEMS, *BATCHES, *_PATCH},
        **secret(OPEN),
        "key through S3": {OPEN, SEAL},
        "key through DynamoDB": {OPEN},
    },
    "verify": {"bucket": {LIST}, "table": _PATCH, "key through DynamoDB": {OPEN}},
    "reindex": {
        **everywhere({READ}),
        "bucket": {LIST},
        "table": {*ITEMS, *BATCHES, *_PATCH},
        "index": {"dynamodb:Query", "dynamodb:Scan"},
        **secret(OPEN),
        "key through S3": {OPEN},
        "key through DynamoDB": {OPEN},
    },
    "close": {"table": {"dynamodb:BatchWriteItem", *_PATCH}, "key through DynamoDB": {OPEN}},
    "replay": {
        "ledger": {READ},
        "list of the ledger": {LIST},
        "table": {"dynamodb:GetItem", "dynamodb:BatchWriteItem"},
        "key through DynamoDB": {OPEN},
        "evidence key through S3": {OPEN},
    },
    "export": {
        "exports": {"s3:PutObject", "s3:DeleteObjectVersion"},
        "bucket": {LIST},
        "table": {*ITEMS, "dynamodb:Scan"},
        "key through S3": {OPEN, SEAL},
        "key through DynamoDB": {OPEN},
    },
    "fetch": {**everywhere({"s3:GetObject"}), "key through S3": {OPEN}},
    "list": {"table": {"dynamodb:Query"}, "key through DynamoDB": {OPEN}},
    "destroy": {
        **everywhere(_DESTROY),
        "bucket": {"s3:GetBucketTagging", "s3:ListBucketMultipartUploads", LIST},
        "table": {
            f"dynamodb:{action}"
            for action in ("DeleteTable", "DescribeTable", "ListTagsOfResource", "UpdateTable")
        },
        **{way: {"kms:DescribeKey", "kms:ListResourceTags", "kms:ScheduleKeyDeletion"} for way in WAYS},
    },
    "witness": {
        "bucket": {"s3:GetBucketTagging", "s3:ListBucketMultipartUploads", LIST},
        "table": {"dynamodb:DescribeTable", "dynamodb:ListTagsOfResource"},
        **{way: {"kms:DescribeKey", "kms:ListResourceTags"} for way in WAYS},
    },
    "keep": {way: {"kms:CancelKeyDeletion", "kms:DescribeKey"} for way in WAYS},
}
NEEDS |= {
    purpose: {"list of a key": needed["bucket"], **needed}
    for purpose, needed in NEEDS.items()
    if "bucket" in needed
}
"""What each purpose's work needs, and with that all that a session may do, in the one vault."""


def key_of(name: str) -> str:
    return NAMES.arn("kms", f"key/{name}")


def bucket_of(customer: str) -> str:
    return f"arn:aws:s3:::{NAMES.vault_bucket(customer)}"


def table_of(customer: str) -> str:
    return NAMES.arn("dynamodb", f"table/{NAMES.vault_table(customer)}")


def sealed_for(via: str | None, **context: str) -> dict[str, Any]:
    """Condition keys of a call that uses a key through a service, or directly, with an encryption context."""
    arns = {name.replace("_", ":"): value for name, value in context.items()}
    return {
        **{f"kms:EncryptionContext:{name}": value for name, value in arns.items()},
        **({"kms:EncryptionContextKeys": list(arns)} if arns else {}),
        **({"kms:ViaService": via} if via else {}),
        "kms:CallerAccount": NAMES.account,
    }


ACME = VaultResources(
    customer="acme",
    bucket_arn=bucket_of("acme"),
    table_arn=table_of("acme"),
    key_arn=key_of("acme"),
    uploads=SENT_TO,
    evidence_arn=EVIDENCE,
)
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "bucket": (bucket_of("acme"), {"s3:prefix": ""}),
    "list of a key": (bucket_of("acme"), {"s3:prefix": "feedback/2026/a.jsonl"}),
    "feedback": (f"{bucket_of('acme')}/feedback/a.jsonl", {}),
    # Fits the role's pattern for the exports of any vault, and is none.
    "letters": (f"{bucket_of('acme')}/letters/{bucket_of('acme').rpartition('vault-')[2]}/exports/1", {}),
    "exports": (f"{bucket_of('acme')}/exports/1/records.jsonl", {}),
    "table": (table_of("acme"), {}),
    "index": (f"{table_of('acme')}/index/objects", {}),
    "ledger": (f"{EVIDENCE}/ledger/acme/run/1", {}),
    "list of the ledger": (EVIDENCE, {"s3:prefix": "ledger/acme/"}),
    # Opens nothing there is: whatever is sealed under a vault's key has a context.
    "key without a context": (key_of("acme"), sealed_for(None)),
    "key for the secret": (
        key_of("acme"),
        sealed_for(None, **session_policies.encryption_context("acme")),
    ),
    "key through S3": (key_of("acme"), sealed_for(S3, aws_s3_arn=bucket_of("acme"))),
    "key through DynamoDB": (key_of("acme"), sealed_for(DYNAMODB, aws_dynamodb_tableName="t")),
    "evidence key through S3": (key_of("evidence"), sealed_for(S3, aws_s3_arn=EVIDENCE)),
}
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "stream": (f"{table_of('acme')}/stream/1", {}),
    "backup": (f"{table_of('acme')}/backup/1", {}),
    "table restored from it": (f"{table_of('acme')}.r1", {}),
    **{
        f"{what} of {other}": (resource.format(other=other), {})
        for other in ("globex", "acme-2", "acm")
        for what, resource in {
            "bucket": bucket_of("{other}"),
            "file": f"{bucket_of('{other}')}/feedback/a.jsonl",
            "export": f"{bucket_of('{other}')}/exports/1/records.jsonl",
            "table": table_of("{other}"),
            "index": f"{table_of('{other}')}/index/objects",
            "ledger": f"{EVIDENCE}/ledger/{{other}}/run/1",
        }.items()
    },
    "ledger in name only": (f"{EVIDENCE}/ledger/globex/ledger/acme/1", {}),
    "other evidence": (f"{EVIDENCE}/replay/acme/1", {}),
    "list of globex's ledger": (EVIDENCE, {"s3:prefix": "ledger/globex/"}),
    "list of all ledgers": (EVIDENCE, {"s3:prefix": "ledger/"}),
    "list of all evidence": (EVIDENCE, {"s3:prefix": ""}),
    "list of the evidence without a prefix": (EVIDENCE, {}),
    "key for the secret of globex": (
        key_of("acme"),
        sealed_for(None, **session_policies.encryption_context("globex")),
    ),
    "key for the files of globex": (key_of("acme"), sealed_for(S3, aws_s3_arn=bucket_of("globex"))),
    "key through another region": (
        key_of("acme"),
        sealed_for("s3.us-east-1.amazonaws.com", aws_s3_arn=bucket_of("acme")),
    ),
    "key of globex": (key_of("globex"), sealed_for(None)),
    "key of globex for its secret": (
        key_of("globex"),
        sealed_for(None, **session_policies.encryption_context("globex")),
    ),
    "key of globex through S3": (key_of("globex"), sealed_for(S3, aws_s3_arn=bucket_of("globex"))),
    "key of globex through DynamoDB": (key_of("globex"), sealed_for(DYNAMODB, aws_dynamodb_tableName="t")),
    "evidence key": (key_of("evidence"), sealed_for(None)),
    "evidence key through DynamoDB": (key_of("evidence"), sealed_for(DYNAMODB, aws_dynamodb_tableName="t")),
    "key of the region through DynamoDB": (
        key_of("region"),
        sealed_for(DYNAMODB, aws_dynamodb_tableName="t"),
    ),
}
"""Everything that an acme session must not reach at all, whatever its purpose and the action."""

_ROLES: dict[str, str] = {purpose: NAMES.role(f"purpose-{purpose}") for purpose in PURPOSES}
KEY_POLICIES = {
    key_of(name): document(statements)
    for name, statements in {
        "acme": keys.vault_key(NAMES, "acme", _ROLES, None),
        "globex": keys.vault_key(NAMES, "globex", _ROLES, None),
        "evidence": keys.evidence_key(NAMES, [], _ROLES["replay"]),
        "region": keys.region_key(NAMES),
    }.items()
}


def all_actions() -> set[str]:
    """The actions of the three services: of each call, and those of S3 that no call is named after."""
    models = botocore.session.Session()
    named = {
        f"{service}:{operation}"
        for service in ("s3", "dynamodb", "kms")
        for operation in models.get_service_model(service).operation_names
    }
    limited = {action for action in boundary(NAMES)[0].actions if action.startswith(("s3:", "dynamodb:"))}
    more = {LIST, "s3:ListBucketMultipartUploads", "s3:BypassGovernanceRetention", "kms:ReEncryptFrom"}
    return named | limited | more | {*resources.READING, *resources.WRITING, *resources.DELETING}


ACTIONS = all_actions()
OF_INDEXES = {"dynamodb:Query", "dynamodb:Scan"}
"""All that DynamoDB does with an index; what else a policy allows there comes to nothing."""


def session(purpose: Purpose) -> Session:
    role = purposes.purpose_statements(NAMES, purpose)
    return Session(purpose, role, boundary(NAMES), session_policy(purpose, ACME))


def possible(opened: Session, resource: str, keys_: dict[str, Any]) -> set[str]:
    """The actions that the session may do there."""
    service = resource.split(":")[2]
    actions = OF_INDEXES if "/index/" in resource else ACTIONS
    return {
        action
        for action in actions
        if action.startswith(f"{service}:")
        and opened.may(action, resource, keys_, KEY_POLICIES.get(resource))
    }


def administration(purpose: Purpose) -> set[str]:
    """What the purpose does to a key other than use it, which no encryption context limits."""
    return {*keys.ADMINISTRATION} & NEEDS[purpose].get("key without a context", set())


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_session_may_do_in_its_own_vault_what_its_purpose_needs_and_no_more(purpose: Purpose) -> None:
    opened = session(purpose)
    found = {place: possible(opened, resource, keys_) for place, (resource, keys_) in OWN.items()}
    assert {place: actions for place, actions in found.items() if actions} == NEEDS[purpose]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_session_reaches_nothing_else_with_any_action(purpose: Purpose) -> None:
    opened = session(purpose)
    found = {place: possible(opened, resource, keys_) for place, (resource, keys_) in OTHERS.items()}
    of_own_key = {place for place, (resource, _) in OTHERS.items() if resource == key_of("acme")}
    administers = administration(purpose)
    expected = {place: administers if place in of_own_key else set() for place in OTHERS}
    assert found == expected


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_purposes_role_names_each_action_that_its_work_needs_and_no_other(purpose: Purpose) -> None:
    held = {
        action for statement in purposes.purpose_statements(NAMES, purpose) for action in statement.actions
    }
    needed = {action for actions in NEEDS[purpose].values() for action in actions}
    use_of_keys = {action for action in needed if action.startswith("kms:")} - administration(purpose)
    assert held == needed - use_of_keys  # which is given by the keys' own policies
    assert not [action for action in held if "*" in action]


def test_an_upload_goes_below_the_one_dataset_that_the_session_is_for() -> None:
    policy = json.loads(session_policy("ingest", ACME))
    assert [arn for arn in policy["Statement"][0]["Resource"] if ":s3:" in arn] == [
        bucket_of("acme"),
        f"{bucket_of('acme')}/feedback/*",
    ]


@pytest.mark.parametrize("nowhere", [None, ""])
def test_a_session_that_sends_no_files_names_nothing_of_s3(nowhere: str | None) -> None:
    vault = VaultResources(
        customer="acme",
        bucket_arn=ACME.bucket_arn,
        table_arn=ACME.table_arn,
        key_arn=ACME.key_arn,
        uploads=nowhere,
    )
    assert "s3:" not in session_policy("ingest", vault)


def bucket_policies() -> Iterator[Statement]:
    yield from resources.vault_bucket(
        NAMES, "acme", key_of("acme"), access_ends="2999-01-01", destruction="2999-01-31"
    )
    yield from resources.evidence_bucket(NAMES, key_of("evidence"), 3650)


def test_no_buckets_policy_gives_what_a_session_policy_leaves_open() -> None:
    """`s3:*` in a session is harmless while nothing but the purpose's role allows actions on a bucket."""
    assert {statement.effect for statement in bucket_policies()} == {"Deny"}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_session_policy_has_wildcards_for_actions_and_exact_resources(purpose: Purpose) -> None:
    for statement in json.loads(session_policy(purpose, ACME))["Statement"]:
        assert statement["Effect"] == "Allow"
        assert set(statement["Action"]) <= {"s3:*", "dynamodb:*", "kms:*"}
        for arn in statement["Resource"]:
            # Whichever key the evidence has: the condition and the keys' policies leave only that one.
            any_key = arn == NAMES.arn("kms", "key/*") and purpose == "replay"
            assert any_key or "*" not in arn.removesuffix("/*"), arn
