"""What emptying a bucket asks of S3: one listing and one deletion a page, few pages in memory at a time."""

import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from benchmarks.costs.calls import counts, recorded
from privacy.contracts import empty_bucket

from ..support.contract_region import NOTHING, Region
from ..support.listing import Pages

PAGE = 10


@pytest.fixture
def pages() -> Iterator[Pages]:
    answer = Pages(PAGE)

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
        return answer(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        yield answer


def furnish(region: Region, versions: int) -> None:
    """Give the customer so many versions besides the nine that it has."""
    s3, bucket = region.aws("s3"), region.bucket("acme")
    for number in range(versions):
        s3.put_object(Bucket=bucket, Key=f"feedback/more-{number // 2}.jsonl", Body=b"x")


@pytest.mark.parametrize("more", [0, 41, 42, 60])
@pytest.mark.usefixtures("pages")
def test_a_page_costs_one_listing_and_one_deletion(region: Region, more: int) -> None:
    furnish(region, more)
    execution = region.start()
    while "Freeze" not in execution.done:
        execution.advance(region.invoke)
    with recorded() as calls:
        execution.advance(region.invoke)
    assert execution.done[-1] == "EmptyBucket"
    full = -(-(more + 9) // PAGE)
    assert counts(calls, "s3") == {
        "AbortMultipartUpload": 2,
        "DeleteObjects": full,
        "GetBucketTagging": 1,
        "ListMultipartUploads": 1,
        "ListObjectVersions": full,
    }
    assert region.contents("acme")["versions"] == []


@pytest.mark.usefixtures("pages")
def test_the_rest_costs_the_same_whatever_there_was(region: Region) -> None:
    furnish(region, 30)
    execution = region.start()
    while "EmptyBucket" not in execution.done:
        execution.advance(region.invoke)
    with recorded() as calls:
        region.carry_out(execution)
    assert region.contents("acme") == NOTHING
    # Of S3: what is left, which is nothing, and the evidence.
    assert counts(calls, "s3") == {"ListMultipartUploads": 1, "ListObjectVersions": 1, "PutObject": 1}
    assert counts(calls, "kms") == {"DescribeKey": 2, "ListResourceTags": 1, "ScheduleKeyDeletion": 1}
    assert counts(calls, "cognito-idp") == {"DeleteUserPoolClient": 2, "DescribeUserPoolClient": 2}
    of_tables = counts(calls, "dynamodb")
    assert (of_tables["UpdateTable"], of_tables["DeleteTable"]) == (1, 1)


def test_listing_goes_ahead_by_no_more_pages_than_are_deleted_at_once(
    region: Region, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 deletes nothing before emptying has come to a halt: that is when most pages are in memory."""
    furnish(region, 15 * PAGE)
    may_end, counting = threading.Semaphore(0), threading.Lock()
    listed = ended = most = 0
    wait = empty_bucket.wait

    def slow(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
        nonlocal listed, ended, most
        if operation == "DeleteObjects":
            may_end.acquire()
        answer = pages(client, operation, parameters)
        with counting:
            ended += operation == "DeleteObjects"
            listed += operation == "ListObjectVersions"
            most = max(most, listed - ended)
        if operation == "ListObjectVersions" and not answer["IsTruncated"]:
            may_end.release(100)
        return answer

    def waited(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is
        may_end.release()
        return wait(*given, **more)

    monkeypatch.setattr(empty_bucket, "wait", waited)
    execution = region.start()
    while "Freeze" not in execution.done:
        execution.advance(region.invoke)
    with patch.object(BaseClient, "_make_api_call", slow):
        execution.advance(region.invoke)
    assert region.contents("acme")["versions"] == []
    assert listed == 16
    assert most == empty_bucket.DELETIONS_AT_ONCE + 1
