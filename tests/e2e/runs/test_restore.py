"""A backup is put back, and a replay erases again whoever had been erased. Evidence stays where it is."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.support import World, completed, replayed, somebody

STACK, CUSTOMER, TABLE = "eu-west", "acme", "gdpr-eu-west-vault-acme"


def evidence_bucket(world: World) -> str:
    stack = world.stacks[STACK]
    return f"{stack.prefix}-evidence-{stack.account}-{stack.region}"


def ledger(world: World) -> list[dict[str, Any]]:
    """Versions of the ledger's entries."""
    s3 = world.emulator.client("s3", world.stacks[STACK].region)
    answer = s3.list_object_versions(Bucket=evidence_bucket(world), Prefix=f"ledger/{CUSTOMER}/")
    return list(answer["Versions"])


def until_the_next_second() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    while datetime.now(UTC).replace(microsecond=0) == before:
        time.sleep(0.01)


def test_who_was_erased_does_not_come_back_with_a_backup(world: World) -> None:
    gone, returned, stays = somebody(), somebody(), somebody()
    api, view, stack = world.api(STACK, CUSTOMER), world.view(STACK, CUSTOMER), world.stacks[STACK]
    dynamodb = world.emulator.client("dynamodb", stack.region)
    key = "feedback/restored.jsonl"
    before = world.send_rows([gone, stays, returned], key)
    for number, person in enumerate((gone, returned, stays)):
        api.put_record("profiles", f"restored-{number}", person, {"name": "R. Estored"})
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName=f"{TABLE}.r1", UseLatestRestorableTime=True
    )
    completed(api, api.request_erasure([gone, returned]))
    after = view.body(key)
    # S3 tells whole seconds, rounded down: what is sent in the second of the erasure passes for older.
    until_the_next_second()
    new = world.send_rows([returned, stays], "feedback/returned.jsonl", text="anew")
    api.put_record("profiles", "restored-9", returned, {"name": "R. Eturned"})

    # The emulator restores tables, too. Its items go into the table that the other tests use.
    until_the_next_second()
    restored_from = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for page in dynamodb.get_paginator("scan").paginate(TableName=f"{TABLE}.r1"):
        for item in page["Items"]:
            if "restored" in json.dumps([item["pk"], item["sk"]]):
                dynamodb.put_item(TableName=TABLE, Item=item)
    dynamodb.update_table(TableName=f"{TABLE}.r1", DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=f"{TABLE}.r1")
    world.send_file(key, before, 3)
    assert {"profiles/restored-0", "profiles/restored-1", "profiles/restored-9"} <= set(view.records())

    replayed(world, STACK, CUSTOMER, restored_from)

    assert view.body(key) == after
    assert [found for found, _ in view.versions() if found == key] == [key]
    assert view.body("feedback/returned.jsonl") == new
    assert {name for name in view.records() if name.startswith("profiles/restored-")} == {
        "profiles/restored-2",
        "profiles/restored-9",
    }


def test_the_subject_secret_of_a_vault_from_before_is_taken_over(world: World) -> None:
    stack = world.stacks[STACK]
    dynamodb, functions = (world.emulator.client(name, stack.region) for name in ("dynamodb", "lambda"))
    kept = {"TableName": f"{stack.prefix}-registry", "Key": {"pk": {"S": f"secret#{CUSTOMER}"}}}
    before = dynamodb.get_item(**kept)["Item"]
    dynamodb.delete_item(**kept)
    answer = functions.invoke(
        FunctionName=f"{stack.prefix}-begin-vault", Payload=json.dumps({"customer": CUSTOMER})
    )
    assert "FunctionError" not in answer
    assert dynamodb.get_item(**kept)["Item"] == before


def test_nobody_removes_evidence(world: World) -> None:
    person, api = somebody(), world.api(STACK, CUSTOMER)
    completed(api, api.request_erasure([person]))
    version = ledger(world)[0]
    which = {"Bucket": evidence_bucket(world), "Key": version["Key"], "VersionId": version["VersionId"]}
    root = world.emulator.client("s3", world.stacks[STACK].region)
    retention = root.get_object_retention(**which)["Retention"]
    assert retention["Mode"] == "COMPLIANCE"
    assert (retention["RetainUntilDate"] - datetime.now(UTC)).days >= 5 * 365 - 1
    with pytest.raises(ClientError, match="AccessDenied"):
        root.delete_object(**which)
    assert ledger(world)[0]["VersionId"] == version["VersionId"]


def test_functions_write_evidence_of_their_kind_and_read_none(world: World) -> None:
    bucket, entry = evidence_bucket(world), ledger(world)[0]
    plan = world.aws(world.function_session(STACK, "plan-run"), "s3")
    with pytest.raises(ClientError, match="AccessDenied"):
        plan.get_object(Bucket=bucket, Key=entry["Key"])
    with pytest.raises(ClientError, match="AccessDenied"):
        plan.list_objects_v2(Bucket=bucket, Prefix="ledger/acme/")
    with pytest.raises(ClientError, match="AccessDenied"):
        plan.put_object(Bucket=bucket, Key="replay/acme/0.json", Body=b"{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        plan.delete_object(Bucket=bucket, Key=entry["Key"])


def test_a_replay_reads_one_customers_ledger(world: World) -> None:
    bucket, entry = evidence_bucket(world), ledger(world)[0]
    session = world.purpose_session(STACK, "replay-erasures", "replay", "globex")
    other = world.aws(session, "s3")
    with pytest.raises(ClientError, match="AccessDenied"):
        other.get_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
    with pytest.raises(ClientError, match="AccessDenied"):
        other.list_object_versions(Bucket=bucket, Prefix="ledger/acme/")
    with pytest.raises(ClientError, match="AccessDenied"):
        other.list_object_versions(Bucket=bucket, Prefix="ledger/")
    own = world.aws(world.purpose_session(STACK, "replay-erasures", "replay", CUSTOMER), "s3")
    assert own.list_object_versions(Bucket=bucket, Prefix="ledger/acme/")["Versions"]
    own.get_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
