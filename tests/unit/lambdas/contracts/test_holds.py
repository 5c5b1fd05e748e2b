"""What a hold keeps at each stage of a contract's end: the table of docs/operating.md, row by row."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from components.settings.settings import Contract
from components.vaults.lifecycle import lifecycle_rules

from ..support.contract_region import ENDED, NOTHING, Region
from ..support.listing import Pages
from .hours import DAY, HOUR, Hours

OPERATING = Path(__file__).resolve().parents[4] / "docs" / "operating.md"
LATER = date(2099, 12, 31)


@pytest.fixture
def hours(region: Region) -> Iterator[Hours]:
    made = Hours(region)
    with made.passing():
        yield made


def hold(hours: Hours, ends: date = ENDED) -> None:
    hours.region.register("acme", contract_ends=ends, hold="litigation, case 1")


def kept(hours: Hours, before: dict[str, Any]) -> set[str]:
    """What of it is still there, now that days have passed."""
    now = hours.region.contents("acme")
    found = {
        "files": now["versions"] == before["versions"] and bool(now["versions"]),
        "some files": bool(now["versions"]) and now["versions"] != before["versions"],
        "table": now["items"] is not None,
        "clients": now["clients"] == sorted(hours.region.clients["acme"]),
        "key": now["key"] in {"Enabled", "Disabled"},
    }
    return {what for what, is_there in found.items() if is_there}


def before_the_day(hours: Hours) -> None:
    hours.region.register("acme", contract_ends=LATER)
    hold(hours, LATER)


def after_midnight(hours: Hours) -> None:
    """S3 has hidden every file; the rule that would remove what is hidden rests under the hold."""
    s3, bucket = hours.region.aws("s3"), hours.region.bucket("acme")
    for key in {key for key, _, _ in hours.region.contents("acme")["versions"]}:
        s3.delete_object(Bucket=bucket, Key=key)
    hold(hours)
    contract = Contract(starts=date(2025, 1, 1), ends=ENDED, graceDays=0, hold="litigation, case 1")
    rules = {rule.id: rule.status for rule in lifecycle_rules(contract, datetime.now(UTC).date())}
    assert (rules["older-versions"], rules["contract-end"]) == ("Disabled", "Disabled")


def after(step: str) -> Callable[[Hours], None]:
    def come(hours: Hours) -> None:
        hours.start()
        hours.until(step)
        hold(hours)

    return come


def while_emptied(hours: Hours) -> None:
    region, pages, deletions = hours.region, Pages(10), []
    for number in range(300):
        region.aws("s3").put_object(Bucket=region.bucket("acme"), Key=f"feedback/more-{number}", Body=b"x")
    hours.start()
    hours.until("Freeze")

    aws = BaseClient._make_api_call

    def call(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if operation == "DeleteObjects":
            deletions.append(operation)
            if len(deletions) == 2:
                hold(hours)
        if of.meta.service_model.service_name == "s3":
            return pages(of, operation, parameters)
        return aws(of, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        hours.settle()
    assert len(deletions) <= 2 + 8 + 4, "what was under way, and four more pages"


def after_the_order(hours: Hours) -> None:
    hours.start()
    hours.until("ScheduleKeyDeletion")
    hold(hours)


def after_the_keys_end(hours: Hours) -> None:
    hours.start()
    hours.settle()
    hours.region.remove_key("acme")
    hold(hours)


STAGES: dict[str, Callable[[Hours], None]] = {
    "before the day of the destruction": before_the_day,
    "after that midnight, before the freeze": after_midnight,
    "after the freeze": after("Freeze"),
    "while the bucket is emptied": while_emptied,
    "after the bucket was emptied": after("EmptyBucket"),
    "after the table was deleted": after("DeleteTable"),
    "after the clients were deleted": after("DeleteClients"),
    "after the key's deletion was ordered": after_the_order,
    "while the key waits for its end": after("Verify"),
    "after the key's end": after_the_keys_end,
}


def rows() -> dict[str, tuple[set[str], set[str]]]:
    """The table: by its first column what is kept, and what is not any more."""
    section = (
        OPERATING.read_text(encoding="utf-8").partition("### What a hold keeps\n")[2].partition("\n### ")[0]
    )
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in row] for row in table]
    return {
        name: (set(keeps.split(", ")) - {"nothing"}, set(lost.split(", ")) - {"nothing"})
        for name, keeps, lost in cells
    }


def test_the_table_has_every_stage() -> None:
    assert list(rows()) == list(STAGES)
    for keeps, lost in rows().values():
        assert keeps | lost in (
            {"files", "table", "clients", "key"},
            {"some files", "table", "clients", "key"},
        )
        assert keeps & lost <= {"some files"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_hold_keeps_what_the_table_says_and_not_a_day_longer(hours: Hours, stage: str) -> None:
    neighbour, furnished = hours.region.contents("globex"), hours.region.contents("acme")
    STAGES[stage](hours)
    hours.settle()
    hours.pass_by(9 * DAY, DAY / 4)  # longer than a key waits
    keeps, _ = rows()[stage]
    assert kept(hours, furnished) == keeps
    hours.region.register("acme", contract_ends=ENDED)
    hours.pass_by(HOUR)
    if "key" in keeps:
        assert hours.region.contents("acme") == NOTHING
    hours.pass_by(8 * DAY, DAY / 4)
    destruction = hours.region.registry.destruction("acme")
    assert destruction is not None
    assert destruction.state == "destroyed"
    assert hours.region.contents("globex") == neighbour


def test_a_hold_after_the_keys_end_says_that_it_came_too_late(hours: Hours) -> None:
    after_the_keys_end(hours)
    hours.pass_by(HOUR)
    assert hours.last.error == "HoldTooLateError"
    hours.pass_by(9 * DAY, DAY / 4)
    failures = [name for name, ended in hours.ended.items() if ended.error == "HoldTooLateError"]
    hours.pass_by(2 * DAY)
    later = [name for name, ended in hours.ended.items() if ended.error == "HoldTooLateError"]
    assert later == failures, "it is not said for ever"


def test_a_hold_in_the_moment_of_the_order_is_noticed_by_the_next_watch(hours: Hours) -> None:
    """The step has read the contract, KMS is about to be called."""
    aws = BaseClient._make_api_call

    def call(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if operation == "ScheduleKeyDeletion":
            hold(hours)
            hours.pass_by(HOUR)  # even a watch that comes before KMS has answered
        return aws(of, operation, parameters)

    hours.start()
    hours.until("DeleteClients")
    with patch.object(BaseClient, "_make_api_call", call):
        execution = hours.last
        execution.advance(hours.region.invoke)
    assert hours.region.contents("acme")["key"] == "PendingDeletion"
    hours.settle()
    hours.pass_by(HOUR)
    assert hours.region.contents("acme")["key"] == "Disabled"
    hours.pass_by(9 * DAY, DAY / 4)
    assert hours.region.contents("acme")["key"] == "Disabled"


def test_a_hold_that_is_lifted_before_the_watch_comes_costs_nothing(hours: Hours) -> None:
    hours.start()
    hours.settle()
    hold(hours)
    hours.region.register("acme", contract_ends=ENDED)
    hours.pass_by(8 * DAY, DAY / 4)
    destruction = hours.region.registry.destruction("acme")
    assert destruction is not None
    assert destruction.state == "destroyed"
    assert len([key for key in hours.region.evidence() if "scheduled" in key]) == 1
