"""Exports asked for, made and looked at."""

import json
from datetime import UTC, datetime
from typing import Any

from privacy.exports import files as export_files
from privacy.exports.store import Export, ExportStore, Kind
from privacy.identifiers import uuid7
from privacy.requests.caller import Caller
from privacy.requests.run_lock import RunLock

from ..support.world import MACHINE, World

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:gdpr-eu-west-export:acme-1"
ANNA, BOB = "anna@example.com", "bob@example.com"


def row(subject: str) -> bytes:
    return json.dumps({"author": {"email": subject}, "text": "fine"}).encode() + b"\n"


def store(world: World) -> ExportStore:
    return ExportStore(world.requests.table)


def lock(world: World) -> RunLock:
    return RunLock(world.requests.table, MACHINE)


def ask(world: World, at: datetime | None = None) -> str:
    at = at or datetime.now(UTC)
    after, _ = store(world).latest("acme")
    created = store(world).create("acme", uuid7(at), at, None, caller=Caller("acme-dpo", "call"), after=after)
    return str(created.answer["id"])


def step(world: World, export_id: str, **more: str) -> dict[str, Any]:
    return world.call(
        "export_vault", {"customer": "acme", "export_id": export_id, "execution": EXECUTION, **more}
    )


def export(world: World, export_id: str) -> Export:
    found = store(world).get("acme", export_id)
    assert found is not None
    return found


def exported(world: World) -> Export:
    """Ask for an export and have it made."""
    export_id = ask(world)
    assert step(world, export_id) == {"customer": "acme", "export_id": export_id, "next": "done"}
    return export(world, export_id)


def lines(world: World, made: Export, kind: Kind) -> list[dict[str, Any]]:
    """What a completed export holds, which is what its counts say."""
    assert made.state == "completed"
    assert made.written is not None
    bodies = {
        part: world.read(export_files.prefix(made.id) + part.name)
        for part in made.written.parts
        if part.kind == kind
    }
    for part, body in bodies.items():
        assert (len(body), body.count(b"\n")) == (part.size, part.lines)
    found = [json.loads(line) for body in bodies.values() for line in body.splitlines()]
    assert len(found) == (made.written.records if kind == "records" else made.written.files)
    return found


def below_exports(world: World) -> list[str]:
    return [key for key, _, _ in world.versions() if key.startswith("exports/")]


def furnish(world: World) -> None:
    """Records and files of two people, and what is no longer there."""
    for number, subject in enumerate((ANNA, BOB)):
        world.put_record(f"p-{number}", subject, name=f"Ñ {number}", amount=0.1, big=BIG)
    world.put("feedback/a.jsonl", row(ANNA))
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.put("feedback/gone.jsonl", row(BOB))
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/gone.jsonl")
    world.put("archive/ü.jsonl", b'{"by": {"email": "anna@example.com"}}\n')
    world.put_letter("letters/1", ANNA)
    world.s3.put_object(Bucket=world.customer.bucket, Key="dataset-of-old/x", Body=b"")


BIG = 12345678901234567890
RECORDS = [
    {"dataset": "profiles", "record_id": f"p-{n}", "fields": {"name": f"Ñ {n}", "amount": 0.1, "big": BIG}}
    for n in range(2)
]
FILES = [
    ("archive", "archive/ü.jsonl"),
    (None, "dataset-of-old/x"),
    ("feedback", "feedback/a.jsonl"),
    ("letters", "letters/1"),
]


def assert_whole(world: World, made: Export) -> None:
    records = sorted(lines(world, made, "records"), key=lambda line: str(line["record_id"]))
    assert all(line.pop("updated_at") for line in records)
    assert records == RECORDS
    files = lines(world, made, "files")
    assert [(line["dataset"], line["key"]) for line in files] == FILES
    for line in files:
        newest = world.s3.head_object(Bucket=world.customer.bucket, Key=line["key"])
        assert (line["version_id"], line["etag"]) == (newest["VersionId"], newest["ETag"])
        assert line["size"] == newest["ContentLength"]
    assert made.written is not None
    assert made.written.size == sum(line["size"] for line in files)


def assert_over(world: World) -> None:
    """Nothing is left that only an export which is being made needs."""
    assert lock(world).active_run("acme") is None
    assert [item for item in world.items() if item["pk"]["S"].startswith("export#")] == []
