"""Exports: everything of the customer once, whatever happens meanwhile, and never longer than an erasure."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

from privacy.aws.failures import StepFailedError
from privacy.exports import write as export_write
from privacy.vault import sessions

from .exporting import (
    EXECUTION,
    ask,
    assert_over,
    assert_whole,
    below_exports,
    export,
    exported,
    furnish,
    lines,
    step,
)

if TYPE_CHECKING:
    from ..support.world import World


def test_an_export_has_every_record_and_lists_every_file_as_it_is(world: "World") -> None:
    furnish(world)
    made = exported(world)
    assert_whole(world, made)
    assert_over(world)


def test_it_can_be_fetched_for_as_long_as_s3_keeps_it(world: "World") -> None:
    before = datetime.now(UTC)
    furnish(world)
    made = exported(world)
    assert made.fetch_until is not None
    until = datetime.fromisoformat(made.fetch_until)
    oldest = min(
        world.s3.head_object(Bucket=world.customer.bucket, Key=key)["LastModified"]
        for key in below_exports(world)
    )
    assert until <= oldest + timedelta(days=7)
    assert until >= before + timedelta(days=7, seconds=-1)
    assert (made.state_at(until - timedelta(seconds=1)), made.state_at(until)) == ("completed", "expired")


def test_it_is_sealed_with_the_vaults_own_key(world: "World") -> None:
    furnish(world)
    exported(world)
    for key in below_exports(world):
        head = world.s3.head_object(Bucket=world.customer.bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", world.customer.key_arn)


def test_a_vault_without_anything_has_an_export_without_anything(world: "World") -> None:
    made = exported(world)
    assert (lines(world, made, "records"), lines(world, made, "files")) == ([], [])
    assert below_exports(world) == []


def test_an_export_lists_no_export(world: "World") -> None:
    furnish(world)
    exported(world)
    assert_whole(world, exported(world))


def patient(times: int) -> Callable[[], int]:
    """The milliseconds left: enough, so many times, then too few."""
    left = chain(repeat(900_000, times), repeat(59_999))
    return lambda: next(left)


def test_a_call_goes_on_where_the_time_of_the_one_before_was_short(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        world.put_record(f"p-{number}", f"{number}@example.com", text="x" * 100_000)
        world.s3.put_object(Bucket=world.customer.bucket, Key=f"papers/{number}", Body=b"x")
    monkeypatch.setattr(export_write, "PART_BYTES", 2_000_000)
    handler = world.functions.module("export_vault").handler
    export_id, calls, answer = ask(world), 0, {"next": "more"}
    while answer["next"] == "more":
        calls += 1
        event = {"customer": "acme", "export_id": export_id, "execution": EXECUTION}
        answer = handler(event, SimpleNamespace(get_remaining_time_in_millis=patient(3)))
        assert set(answer) <= {"customer", "export_id", "next"}
    assert calls > 2
    made = export(world, export_id)
    names = {f"p-{number}" for number in range(60)}
    records = lines(world, made, "records")
    assert (len(records), {line["record_id"] for line in records}) == (60, names)
    assert {line["key"] for line in lines(world, made, "files")} == {f"papers/{n}" for n in range(60)}
    assert made.written is not None
    assert len(made.written.parts) > 3
    assert all(part.size < 4_000_000 for part in made.written.parts), "memory stays flat"


_CALL = BaseClient._make_api_call


@pytest.mark.parametrize("lost", ["the call", "its answer"])
def test_whichever_call_goes_wrong_the_export_is_whole(
    world: "World", monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    furnish(world)
    number = wrong = 0

    def call(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        nonlocal number
        number += 1
        if number == wrong and lost == "the call":
            raise ReadTimeoutError(endpoint_url="x")
        answer = _CALL(client, operation, parameters)
        if number == wrong:
            raise ReadTimeoutError(endpoint_url="x")
        return answer

    while number >= wrong:
        wrong += 1
        export_id = ask(world)
        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", call)
            number = 0
            for _ in range(4):
                try:
                    answer = step(world, export_id)
                except StepFailedError:
                    sessions.forget()
                    continue
                break
        assert answer["next"] == "done"
        assert_whole(world, export(world, export_id))
        assert_over(world)
    assert wrong > 10
