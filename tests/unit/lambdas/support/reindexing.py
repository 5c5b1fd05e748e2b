"""Reindexes carried out, what they report, and the index as it should be."""

import json
from collections import Counter
from typing import Any

from components.machines.reindex import ReindexSteps, reindex_definition
from privacy.identifiers import uuid7
from privacy.vault import items as vault_items

from .parquet_files import buyer, stored, table
from .state_machine import Execution, TaskFailedError
from .world import EVIDENCE, World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"
STEPS = ReindexSteps(
    plan="plan_reindex", compare="reindex_objects", report="report_reindex", clear="clear_reindex"
)
HOUR = 3_600_000
Difference = dict[str, Any]


def row(*people: str) -> bytes:
    return b"".join(json.dumps({"author": {"email": each}}).encode() + b"\n" for each in people)


def reindex(
    world: World,
    *,
    milliseconds: int = HOUR,
    name: str | None = None,
    started: str | None = None,
    **asked: object,
) -> dict[str, Any]:
    """Carry out a whole execution; return its output."""
    given = {"customer": "acme", **asked}
    execution = Execution.start(reindex_definition(STEPS, 2), name or uuid7(), given)
    execution.started = started or execution.started

    def invoke(function: str, event: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            return world.call(function, event, milliseconds)
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    output: dict[str, Any] = {}
    while execution.status == "RUNNING":
        output = execution.frames[0].data
        execution.advance(invoke)
    assert execution.status == "SUCCEEDED"
    return output


def reported(world: World, done: dict[str, Any]) -> list[Difference]:
    """The differences of a reindex as its evidence has them."""
    found: list[Difference] = []
    for number in range(done["counts"]["pages"]):
        key = f"reindex/acme/{done['reindex_id']}-{number:05d}.json"
        page = json.loads(world.s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read())
        found += page["differences"]
    return found


def kinds(world: World, done: dict[str, Any]) -> dict[str, int]:
    counted = Counter(difference["kind"] for difference in reported(world, done))
    assert counted == done["counts"]["differences"]
    return dict(counted)


def index(world: World) -> list[dict[str, Any]]:
    """All that the table says about objects that is used.

    So without the times of the writing and of the event, and without positions in versions that are no base.
    """
    bases = {item["pk"]["S"]: item.get("base") for item in world.items() if item["sk"]["S"] == "indexed"}

    def unused(item: dict[str, Any]) -> set[str]:
        times = {"indexed_at", "uploaded_at"}
        if "object" not in item:
            return times
        base = bases.get(vault_items.object_pk(item["object"]["S"]))
        return times if item["version_id"] == base else {*times, "at"}

    return sorted(
        (
            {name: value for name, value in item.items() if name not in unused(item)}
            for item in world.items()
            if item["sk"]["S"].startswith("object#") or item["sk"]["S"] == "indexed"
        ),
        key=lambda item: (item["pk"]["S"], item["sk"]["S"]),
    )


def fresh(world: World) -> list[dict[str, Any]]:
    """The index that comes of events of everything that is there now, oldest first; it is put in place."""
    for item in index(world):
        world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})
    waiting, world.events = world.events, []
    answer = world.s3.list_object_versions(Bucket=world.customer.bucket)
    for version in reversed(answer.get("Versions", [])):
        record = world.notify("ObjectCreated:Put", version["Key"], version["VersionId"])
        assert world.deliver(record) == []
    world.events = waiting
    return index(world)


def orders(*people: str) -> bytes:
    rows = [{"no": number, "buyer": buyer(each)} for number, each in enumerate(people)]
    return stored(table(*rows), row_group_size=1)


def delete(world: World, key: str, version: str) -> None:
    """Delete a version without telling anybody."""
    world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)


def change(world: World, pk: str, sk: str, **attributes: dict[str, str]) -> None:
    (item,) = [i for i in world.items() if (i["pk"]["S"], i["sk"]["S"]) == (pk, sk)]
    world.dynamodb.put_item(TableName=world.customer.table, Item={**item, **attributes})


def lose_entries(world: World) -> None:
    for item in index(world):
        if item["sk"]["S"] == "object#feedback/a.jsonl":
            world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})


def lose_everything(world: World) -> None:
    for item in index(world):
        world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})


def add_an_entry_of(world: World, who: str, *, like: str) -> None:
    (item,) = [
        item
        for item in world.items()
        if item["pk"]["S"] == f"subject#{world.ref(like)}" and item["sk"]["S"] == "object#feedback/a.jsonl"
    ]
    pk = {"S": f"subject#{world.ref(who)}"}
    world.dynamodb.put_item(TableName=world.customer.table, Item={**item, "pk": pk})
