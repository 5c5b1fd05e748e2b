"""A session does in its own vault what its purpose is for: the role bounds that, its policy whose vault."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.iam.keys import SECRET_MAKING_PURPOSES, SECRET_READING_PURPOSES
from components.iam.purposes import PURPOSES, Purpose
from local.stacks import Stack
from tests.e2e.isolation.test_isolation import FUNCTIONS, allowed, attempts
from tests.e2e.support import World, completed, somebody

AS = {"s3:HeadObject": "s3:GetObject", "dynamodb:TransactWriteItems": "dynamodb:PutItem"}
"""Calls that AWS judges by an action of another name."""


def permitted(purpose: Purpose, attempt: str) -> bool:
    """Whether a purpose is meant to do in its own vault what an attempt tries there, on a dataset's file."""
    action, _, index = attempt.partition(" ")
    action, rights = AS.get(action, action), PURPOSES[purpose]
    if index:
        return action in rights.objects_index
    if action == "kms:Decrypt":
        return purpose in SECRET_READING_PURPOSES
    if action == "kms:GenerateDataKeyWithoutPlaintext":
        return purpose in SECRET_MAKING_PURPOSES
    # A session that is for no dataset's uploads puts no file.
    files = () if purpose == "ingest" else rights.objects
    return action in {*files, *rights.bucket, *rights.table, *rights.key}


def refused(world: World, session: Any, stack: Stack, purpose: Purpose) -> list[str]:
    """What the session was let do that is not its purpose's, of everything that there is to try."""
    calls = attempts(world, session, stack, "acme")
    tried = {name: call for name, call in calls.items() if not permitted(purpose, name)}
    assert tried
    return allowed(tried)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_session_does_nothing_in_its_own_vault_that_is_not_its_purposes(
    world: World, purpose: Purpose
) -> None:
    session = world.purpose_session("eu-west", FUNCTIONS[purpose], purpose, "acme")
    assert refused(world, session, world.stacks["eu-west"], purpose) == []


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_session_policy_that_allows_everything_gives_no_action_that_the_role_lacks(
    world: World, purpose: Purpose
) -> None:
    """The intersection itself: `s3:*` in a session policy would be a gift where this failed."""
    everything = {"Effect": "Allow", "Action": ["s3:*", "dynamodb:*", "kms:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    session = world.session_within("eu-west", FUNCTIONS[purpose], purpose, policy)
    calls = attempts(world, session, world.stacks["eu-west"], "acme")
    by_role = {name for name in calls if permitted(purpose, name)}
    # The role's pattern for tables takes in their indexes; and files of any dataset may be sent.
    if "dynamodb:Query" in PURPOSES[purpose].table:
        by_role.add("dynamodb:Query objects")
    if purpose == "ingest":
        by_role.add("s3:PutObject")
    assert allowed({name: call for name, call in calls.items() if name not in by_role}) == []


def put(world: World, session: Any, bucket: str, key: str) -> None:
    world.aws(session, "s3", "eu-west-1").put_object(Bucket=bucket, Key=key, Body=b"")


def test_a_session_for_uploads_of_one_dataset_puts_no_file_elsewhere(world: World) -> None:
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    session = world.purpose_session("eu-west", "create-upload", "ingest", "acme", uploads="feedback/")
    put(world, session, bucket, "feedback/empty.jsonl")
    for key in ("letters/a.txt", "exports/a.jsonl", "a.jsonl", "feedback", "other/feedback/a.jsonl"):
        with pytest.raises(ClientError, match="AccessDenied"):
            put(world, session, bucket, key)


def test_an_export_is_written_below_its_prefix_only(world: World) -> None:
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    session = world.purpose_session("eu-west", "export-vault", "export", "acme")
    s3 = world.aws(session, "s3", "eu-west-1")
    made = s3.put_object(Bucket=bucket, Key="exports/probe.jsonl", Body=b"")
    # Not by the session itself: what is measured of its permissions is what the functions use.
    world.emulator.client("s3", "eu-west-1").delete_object(
        Bucket=bucket, Key="exports/probe.jsonl", VersionId=made["VersionId"]
    )
    tail = bucket.rpartition("vault-")[2]
    # The second fits the role's own pattern for any vault's exports.
    for key in ("feedback/a.jsonl", f"feedback/{tail}/exports/a.jsonl", "exports"):
        with pytest.raises(ClientError, match="AccessDenied"):
            put(world, session, bucket, key)


@pytest.fixture(scope="module")
def ledgers(world: World) -> dict[str, dict[str, str]]:
    """An entry of each customer's ledger: bucket, key and version."""
    stack = world.stacks["eu-west"]
    bucket = f"{stack.prefix}-evidence-{stack.account}-{stack.region}"
    root, found = world.emulator.client("s3", stack.region), {}
    for customer in ("acme", "globex"):
        api = world.api("eu-west", customer)
        completed(api, api.request_erasure([somebody()]))
        entry = root.list_object_versions(Bucket=bucket, Prefix=f"ledger/{customer}/")["Versions"][0]
        found[customer] = {"Bucket": bucket, "Key": entry["Key"], "VersionId": entry["VersionId"]}
    return found


@pytest.mark.parametrize("purpose", PURPOSES)
def test_of_the_evidence_a_replay_alone_reads_its_own_customers_ledger(
    world: World, purpose: Purpose, ledgers: dict[str, dict[str, str]]
) -> None:
    session = world.purpose_session("eu-west", FUNCTIONS[purpose], purpose, "acme")
    s3, own, others = world.aws(session, "s3", "eu-west-1"), ledgers["acme"], ledgers["globex"]
    bucket, key = own["Bucket"], own["Key"]

    def listing(prefix: str) -> Callable[[], object]:
        return lambda: s3.list_object_versions(Bucket=bucket, Prefix=prefix)

    prefixes = ("", "ledger/", "ledger/globex/", "ledger/acme", "replay/acme/")
    calls: dict[str, Callable[[], object]] = {
        **{f"list {prefix}": listing(prefix) for prefix in prefixes},
        "list everything": lambda: s3.list_object_versions(Bucket=bucket),
        "read another's": lambda: s3.get_object(**others),
        "write": lambda: s3.put_object(Bucket=bucket, Key=key, Body=b""),
        "delete": lambda: s3.delete_object(**own),
    }
    assert allowed(calls) == []
    readable = {"list": listing("ledger/acme/"), "read": lambda: s3.get_object(**own)}
    assert allowed(readable) == (["list", "read"] if purpose == "replay" else [])


def test_the_size_of_a_sessions_policy_is_logged_where_its_metric_looks(
    world: World, ledgers: dict[str, dict[str, str]]
) -> None:
    """The emulator packs nothing (0), and keeps metric filters without carrying them out."""
    assert ledgers  # so that a run was planned
    logs, group = world.emulator.client("logs", "eu-west-1"), "/aws/lambda/gdpr-eu-west-plan-run"
    lines = logs.filter_log_events(logGroupName=group, filterPattern='"session opened:"')["events"]
    opened = {line["message"].partition("session opened: ")[2].strip(' "}\n') for line in lines}
    assert any(line.startswith("customer=acme purpose=plan packed=0") for line in opened), opened
    (made,) = logs.describe_metric_filters(logGroupName=group, filterNamePrefix="Packed")["metricFilters"]
    assert (made["filterName"], made["metricTransformations"][0]["metricValue"]) == (
        "PackedPolicySize",
        "$.packedPolicySize",
    )
