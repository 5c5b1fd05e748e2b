"""Evidence of a contract's end says what is so: what was not there, what was ordered anew."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ..support.contract_region import ENDED, NOTHING, Region
from .hours import DAY, HOUR, Hours, registry_item


@pytest.fixture
def hours(region: Region) -> Iterator[Hours]:
    made = Hours(region)
    with made.passing():
        yield made


def stages(region: Region) -> dict[str, dict[str, Any]]:
    """What is on record, by its name; not why an execution destroyed nothing."""
    found = region.evidence().items()
    return {
        key.rpartition("/")[2].removesuffix(".json"): each for key, each in found if "/stopped/" not in key
    }


def delete_bucket(region: Region) -> None:
    s3, bucket = region.aws("s3"), region.bucket("acme")
    listed = s3.list_object_versions(Bucket=bucket)
    for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def delete_table(region: Region) -> None:
    dynamodb, table = region.aws("dynamodb"), region.table("acme")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)


def delete_key(region: Region) -> None:
    region.remove_key("acme")


DELETED = {"bucket": delete_bucket, "table": delete_table, "key": delete_key}


@pytest.mark.parametrize("before", [None, "Check", "Freeze"])
@pytest.mark.parametrize("what", DELETED)
def test_what_was_not_there_is_an_exception_and_keeps_nothing_else(
    region: Region, what: str, before: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    execution = region.start()
    if before is not None:
        region.until(execution, before)
    DELETED[what](region)
    region.carry_out(execution)
    region.carry_out(execution)  # a key that is gone already is not waited for
    assert stages(region)["scheduled"]["exceptions"] == [{"what": what, "problem": "not-found"}]
    assert f"contract end exception: customer=acme {what}=not-found" in caplog.text
    if what != "bucket":
        left = region.contents("acme")
        assert left["versions"] == []
        assert left["items"] is None
    assert region.aws("cognito-idp").list_user_pool_clients(UserPoolId=region.pool)["UserPoolClients"]
    region.remove_key("acme")
    region.carry_out(execution)
    assert execution.status == "SUCCEEDED"
    gone = [{"what": "key", "problem": "not-found"}] if what == "key" else []
    assert stages(region)["destroyed"]["exceptions"] == gone


def test_what_its_own_steps_have_destroyed_is_no_exception(hours: Hours) -> None:
    """However often it is started: what the first execution did, the next does not find."""
    hours.start()
    hours.settle()
    for number in range(3):
        hours.start(f"again-{number}")
        hours.settle()
    hours.pass_by(8 * DAY, DAY / 4)
    hours.start("once more")
    hours.settle()
    assert set(stages(hours.region)) == {"scheduled", "destroyed"}
    assert all(each["exceptions"] == [] for each in stages(hours.region).values())


def test_a_bucket_that_goes_after_it_was_emptied_is_told_and_no_exception(region: Region) -> None:
    execution = region.until(region.start(), "DeleteClients")
    delete_bucket(region)
    region.carry_out(execution)
    scheduled = stages(region)["scheduled"]
    assert scheduled["exceptions"] == []
    assert scheduled["read_back"]["bucket"]["state"] == "GONE"


def test_a_deletion_that_is_ordered_anew_has_its_own_entry(hours: Hours) -> None:
    region, kms = hours.region, hours.region.aws("kms")
    hours.start()
    hours.settle()
    hours.pass_by(timedelta(hours=30))
    kms.cancel_key_deletion(KeyId=region.keys["acme"].rpartition("/")[2])
    hours.start("by hand")
    hours.settle()
    first, second = sorted(stages(region).values(), key=lambda each: str(each["seen_at"]))
    assert first["backup_unreadable_from"] < second["backup_unreadable_from"]
    mark = registry_item("destruction#acme")
    assert mark["key_deletion"]["S"] == second["backup_unreadable_from"]
    due = second["backup_unreadable_from"].replace("-", "").replace(":", "").replace("T", "").rstrip("Z")
    assert set(stages(region)) == {"scheduled", f"scheduled-{due}"}
    hours.pass_by(8 * DAY, DAY / 4)
    assert stages(region)["destroyed"]["key"]["state"] == "Gone"


def test_a_deletion_that_somebody_ordered_anew_by_hand_has_its_own_entry(hours: Hours) -> None:
    region, kms = hours.region, hours.region.aws("kms")
    hours.start()
    hours.settle()
    key = region.keys["acme"].rpartition("/")[2]
    kms.cancel_key_deletion(KeyId=key)
    hours.pass_by(2 * DAY)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=20)
    hours.pass_by(6 * DAY)
    (anew,) = [each for name, each in stages(region).items() if name.startswith("scheduled-")]
    assert anew["key"]["deletion"] == registry_item("destruction#acme")["key_deletion"]["S"]
    hours.pass_by(16 * DAY)
    assert "destroyed" in stages(region)


def test_a_hold_that_kept_the_key_is_on_record_and_so_is_the_order_after_it(hours: Hours) -> None:
    region = hours.region
    hours.start()
    hours.settle()
    promised = stages(region)["scheduled"]["backup_unreadable_from"]
    region.register("acme", contract_ends=ENDED, hold="litigation, case 2026-114")
    hours.pass_by(HOUR)
    (kept,) = [each for each in stages(region).values() if each["stage"] == "key-kept"]
    assert kept["key"]["deletion_cancelled"] == promised
    assert "2026-114" not in str(stages(region)), "why it is held is nobody's business here"
    region.register("acme", contract_ends=ENDED)
    hours.pass_by(HOUR)
    anew = [name for name, each in stages(region).items() if each["stage"] == "scheduled"]
    assert len(anew) == 2
    hours.pass_by(8 * DAY, DAY / 4)
    assert "destroyed" in stages(region)


def test_a_listing_that_was_cut_short_is_no_empty_bucket(region: Region) -> None:
    execution = region.until(region.start(), "ScheduleKeyDeletion")
    region.aws("s3").create_multipart_upload(Bucket=region.bucket("acme"), Key="feedback/late")
    region.milliseconds = lambda: 59_000
    assert region.carry_out(execution).status == "FAILED"
    assert region.evidence() == {}
    region.milliseconds = lambda: 900_000
    region.carry_out(region.start())
    assert region.contents("acme") == NOTHING


def test_uploads_that_nobody_could_count_in_time_are_not_taken_for_none(region: Region) -> None:
    for number in range(3):
        region.aws("s3").create_multipart_upload(Bucket=region.bucket("acme"), Key=f"feedback/{number}")
    times = iter([900_000, 59_000])
    region.milliseconds = lambda: next(times, 59_000)
    execution = region.start(dry_run=True)
    seen: dict[str, Any] = {}
    while execution.status == "RUNNING":
        execution.advance(region.invoke)
        seen = execution.frames[0].data if execution.frames else seen
    assert seen["bucket"]["complete"] is False


def test_many_unfinished_uploads_are_aborted_call_by_call(region: Region) -> None:
    for number in range(20):
        region.aws("s3").create_multipart_upload(Bucket=region.bucket("acme"), Key=f"feedback/u{number}")
    execution = region.until(region.start(), "Freeze")
    left = iter([900_000] * 5)
    region.milliseconds = lambda: next(left, 1_000)
    execution.advance(region.invoke)
    assert 0 < len(region.contents("acme")["uploads"]) < 22
    region.milliseconds = lambda: 900_000
    region.carry_out(execution)
    assert region.contents("acme") == NOTHING
