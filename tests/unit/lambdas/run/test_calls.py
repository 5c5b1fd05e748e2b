"""What a run asks of S3 and DynamoDB: an object costs one read, one write, one delete, one listing."""

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from moto.s3 import models as moto_s3

from benchmarks.costs.calls import Call, counts, recorded
from privacy.identifiers import uuid7
from privacy.vault import objects as vault_objects
from privacy.vault import rewrite
from privacy.visits import objects as object_visits

if TYPE_CHECKING:
    from ..support.world import World

VAULT = "gdpr-eu-west-vault-acme-123456789012-eu-west-1"
ANNA, BOB = "anna@example.org", "bob@example.org"
PART = 16 * 1024


def row(person: str, text: str = "") -> bytes:
    return b'{"author": {"email": "%s", "name": "?"}, "text": "%s"}\n' % (person.encode(), text.encode())


def of_a_run(world: "World") -> list[Call]:
    """Carry out a run, and return its calls. The customer's secret is known before, as in a warm function."""
    world.ref(ANNA)
    run_id = uuid7()
    with recorded() as calls:
        planned = world.plan(run_id)
        world.visit(planned)
        world.call("verify_run", {"customer": "acme", "run_id": run_id})
        world.complete(run_id)
    assert world.requests.pending("acme", 10) == []
    return calls


@pytest.fixture(autouse=True)
def _without_walks(world: "World") -> None:
    """What is asked for a dataset that has no index is its own matter: every run walks it."""
    table, key = "gdpr-eu-west-registry", {"pk": {"S": "customer#acme"}}
    datasets = json.loads(world.dynamodb.get_item(TableName=table, Key=key)["Item"]["datasets"]["S"])
    indexed = [dataset for dataset in datasets if dataset.get("index") != "scan"]
    world.dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET datasets = :indexed",
        ExpressionAttributeValues={":indexed": {"S": json.dumps(indexed)}},
    )


def in_the_vault(calls: list[Call]) -> dict[str, int]:
    """Count the calls about the customer's bucket: a run's one entry in the ledger goes to another.

    And but for the one listing with which a run that erases looks for objects outside the datasets.
    """
    ours = [call for call in calls if call.sent.get("Bucket") == VAULT]
    looks = [call for call in ours if "Delimiter" in call.sent]
    assert len(looks) <= 1
    return counts([call for call in ours if call not in looks], "s3")


def keys_named(calls: list[Call]) -> set[str]:
    return {call.sent[name] for call in calls for name in ("Key", "Prefix")
            if call.service == "s3" and call.sent.get("Bucket") == VAULT and call.sent.get(name)
            and "Delimiter" not in call.sent}  # fmt: skip


def test_a_file_costs_one_read_one_write_one_delete_and_one_listing(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.put("feedback/b.jsonl", row(BOB))
    request = world.erase(ANNA)
    calls = of_a_run(world)
    assert world.request(request).state == "completed"
    assert in_the_vault(calls) == {
        "GetObject": 1, "PutObject": 1, "DeleteObjects": 1, "ListObjectVersions": 1,
    }  # fmt: skip
    in_order = [call.operation for call in calls if call.service == "s3"]
    # The ledger; what lies outside the datasets; the file.
    assert in_order == [
        "PutObject",
        "ListObjectVersions",
        "GetObject",
        "PutObject",
        "DeleteObjects",
        "ListObjectVersions",
    ]
    assert keys_named(calls) == {"feedback/a.jsonl"}


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("feedback/a.jsonl.gz", gzip.compress(row(ANNA) + row(BOB), mtime=0)),
        ("answers/a.csv", b"email,name,text\r\nanna@example.org,Anna,hello\r\nbob@example.org,Bob,\r\n"),
        ("mails/a.jsonl", b'{"recipients": [{"email": "anna@example.org"}]}\n'),
    ],
)
def test_other_formats_cost_the_same(world: "World", key: str, content: bytes) -> None:
    world.put(key, content)
    world.erase(ANNA)
    assert in_the_vault(of_a_run(world)) == {
        "GetObject": 1, "PutObject": 1, "DeleteObjects": 1, "ListObjectVersions": 1,
    }  # fmt: skip


def test_a_correction_costs_the_same(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    request = world.correct(ANNA, [{"dataset": "feedback", "set": {"author.name": "Anna"}}])
    calls = of_a_run(world)
    assert world.request(request).state == "completed"
    assert in_the_vault(calls) == {
        "GetObject": 1, "PutObject": 1, "DeleteObjects": 1, "ListObjectVersions": 1,
    }  # fmt: skip


def test_older_versions_cost_a_delete_and_a_listing_more(world: "World") -> None:
    for _ in range(5):
        world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.erase(ANNA)
    assert in_the_vault(of_a_run(world)) == {
        "GetObject": 1, "PutObject": 1, "DeleteObjects": 2, "ListObjectVersions": 2,
    }  # fmt: skip


def test_a_large_object_costs_its_parts(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "PART_BYTES", PART)
    monkeypatch.setattr(moto_s3, "S3_UPLOAD_PART_MIN_SIZE", PART)
    world.put("feedback/a.jsonl", row(ANNA) + b"".join(row(BOB, "x" * 900) for _ in range(40)))
    world.erase(ANNA)
    assert in_the_vault(of_a_run(world)) == {
        "GetObject": 1, "CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1,
        "DeleteObjects": 1, "ListObjectVersions": 1,
    }  # fmt: skip


def test_a_whole_object_is_not_read_and_is_listed_before_and_after(world: "World") -> None:
    world.put_letter("letters/1", ANNA)
    world.put_letter("letters/2", BOB)
    world.erase(ANNA)
    calls = of_a_run(world)
    assert in_the_vault(calls) == {"HeadObject": 1, "DeleteObjects": 1, "ListObjectVersions": 2}
    assert keys_named(calls) == {"letters/1"}


def test_records_cost_s3_nothing_and_one_transaction_each(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    world.put_record("2", ANNA, name="Anna")
    world.put_record("3", BOB, name="Bob")
    world.erase(ANNA)
    calls = of_a_run(world)
    assert in_the_vault(calls) == {}
    assert sum(_is_about_records(call) for call in calls) == 2


def _is_about_records(call: Call) -> bool:
    return call.operation == "TransactWriteItems" and any(
        write.get("Delete", {}).get("Key", {}).get("pk", {}).get("S", "").startswith("record#")
        for write in call.sent["TransactItems"]
    )


def test_who_is_nowhere_costs_s3_nothing(world: "World") -> None:
    world.put("feedback/a.jsonl", row(BOB))
    world.erase(ANNA)
    assert in_the_vault(of_a_run(world)) == {}


def test_only_an_erasure_looks_for_files_of_no_dataset_once_for_all_that_it_is_asked(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.erase(ANNA)
    world.erase(BOB)
    assert sum("Delimiter" in call.sent for call in of_a_run(world)) == 1
    world.correct(ANNA, [{"dataset": "feedback", "set": {"author.name": "Anna"}}])
    assert not any("Delimiter" in call.sent for call in of_a_run(world))


def test_subjects_who_share_objects_cost_one_rewrite_of_each(world: "World") -> None:
    """`make costs` counts a thousand subjects in a hundred objects."""
    people = [f"person{number}@example.org" for number in range(100)]
    keys = [f"feedback/{number}.jsonl" for number in range(10)]
    for number, key in enumerate(keys):
        # Each person is in two of the files.
        mine = people[number * 10 : number * 10 + 10] + people[number * 10 - 10 : number * 10 or None]
        world.put(key, b"".join(map(row, mine)) + row(BOB))
    for start in range(0, 100, 25):
        world.erase(*people[start : start + 25])
    calls = of_a_run(world)
    assert in_the_vault(calls) == {
        "GetObject": 10, "PutObject": 10, "DeleteObjects": 10, "ListObjectVersions": 10,
    }  # fmt: skip
    assert {key: world.contents(key) for key in keys} == {key: [row(BOB)] for key in keys}


def of_the_tables(world: "World", *, requests: int = 1, subjects: int = 1, objects: int = 1) -> Counter[str]:
    """How often a run of so many erasures, each of so many subjects in the same new files, calls them."""
    people = [[f"{n}-{m}@example.org" for m in range(subjects)] for n in range(requests)]
    for _ in range(objects):
        world.put(f"feedback/{uuid7()}.jsonl", b"".join(row(p) for several in people for p in several))
    for several in people:
        world.erase(*several)
    return Counter(counts(of_a_run(world), "dynamodb"))


def test_the_tables_are_called_no_more_than_needed(world: "World") -> None:
    of_the_tables(world)  # the functions know the customer from now on
    one = of_the_tables(world)
    assert one == {
        "Query": 15, "GetItem": 4, "BatchGetItem": 4, "BatchWriteItem": 3,
        "UpdateItem": 4, "PutItem": 1, "DeleteItem": 2, "TransactWriteItems": 1,
    }  # fmt: skip
    # Who its subjects are, for the plan and for verification; to take it; to end it.
    more = of_the_tables(world, requests=2)
    assert more - one == {
        "GetItem": 2, "Query": 2, "UpdateItem": 1, "DeleteItem": 1, "TransactWriteItems": 1,
    }  # fmt: skip
    # What the subject has, and what is left; its entry goes.
    assert of_the_tables(world, subjects=2) - one == {"Query": 2, "DeleteItem": 1}
    # Entries, whether it is indexed, and whether something of it is noted; what the visit is about to do, and
    # did; which version is indexed now; the entry goes.
    more = of_the_tables(world, objects=2)
    assert more - one == {"BatchGetItem": 1, "GetItem": 2, "UpdateItem": 2, "PutItem": 1, "DeleteItem": 1}


def test_somebody_elses_newer_version_is_visited_and_never_deleted_unread(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    request = world.erase(ANNA)
    purge, waiting = vault_objects.purge, [row(BOB, "new") + row(ANNA)]

    def overwritten_first(vault: object, key: str, gone: list[str]) -> None:
        while waiting:
            world.put(key, waiting.pop(), indexed=False)
        purge(vault, key, gone)  # type: ignore[arg-type]

    monkeypatch.setattr(vault_objects, "purge", overwritten_first)
    of_a_run(world)
    assert world.request(request).state == "completed"
    assert world.contents("feedback/a.jsonl") == [row(BOB, "new")]


def test_a_visit_counts_what_it_removed_before_and_after_somebody_else_wrote(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.erase(ANNA)
    versions, waiting = vault_objects.versions, [row(BOB, "new") + row(ANNA)]

    def overwritten_first(vault: object, key: str) -> list[vault_objects.Version]:
        while waiting:
            world.put(key, waiting.pop(), indexed=False)
        return versions(vault, key)  # type: ignore[arg-type]

    monkeypatch.setattr(object_visits.vault_objects, "versions", overwritten_first)
    planned = world.plan(uuid7())
    world.visit(planned)
    (visit,) = [item for item in world.items() if item["sk"]["S"] == "visit#00000000"]
    # The file as it was, what the visit wrote in its place, and what somebody wrote over that.
    assert '"versions_removed":3' in visit["outcome"]["S"]
    assert '"read_back":false' in visit["outcome"]["S"]
