"""Files that nobody can attribute: said, counted by every answer, and over when they are mended or gone."""

import bz2
import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from privacy.formats import blocks
from privacy.vault import scratch

from ..support.reindexing import kinds, reindex

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL, DORA = "anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org"
TABLE = "gdpr-eu-west-registry"


def row(email: str, **more: object) -> bytes:
    return json.dumps({"author": {"email": email}, "text": "t", **more}).encode() + b"\n"


def parquet(*people: str, field: str = "buyer", **options: object) -> bytes:
    written = io.BytesIO()
    table = pa.table({field: pa.array([{"email": person} for person in people])})
    pq.write_table(table, written, compression="none", use_dictionary=False, **options)  # type: ignore[arg-type]
    return written.getvalue()


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 0xFF
    return bytes(changed)


def zipped(content: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", content)
    return written.getvalue()


def damaged_group_first() -> bytes:
    """The first row group's page is damaged; Anna's row is in the second, which every reader can read."""
    content = parquet(BOB, CARL, ANNA, BOB, row_group_size=2, write_page_checksum=True)
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    return flipped(content, chunk.data_page_offset + chunk.total_compressed_size - 4)


def summary() -> bytes:
    """What Spark calls `_metadata`: the footers of the files beside it, with their statistics."""
    table = pa.table({"buyer": pa.array([{"email": person} for person in (ANNA, BOB)])})
    footers: list[Any] = []
    with pq.ParquetWriter(io.BytesIO(), table.schema, metadata_collector=footers) as writer:
        writer.write_table(table)
    footers[0].set_file_path("part-0.parquet")
    written = io.BytesIO()
    pq.write_metadata(table.schema, written, footers)
    return written.getvalue()


ANNAS = b"no,email,name,text\n1,anna@example.org,A,x\n"
WIDE = row(BOB) + row(ANNA) * 2000
SEALED = {"x-amz-key-v2": "c2VhbGVk", "x-amz-cek-alg": "AES/GCM/NoPadding"}
KINDS: dict[str, tuple[str, bytes, str]] = {
    "another header": ("answers/a", ANNAS.replace(b"email", b"Email"), "no-field"),
    "semicolons": ("answers/a", ANNAS.replace(b",", b";"), "no-field"),
    "sep=": ("answers/a", b"sep=,\n" + ANNAS, "no-field"),
    "a comment first": ("answers/a", b"# export of May\n" + ANNAS, "no-field"),
    "a comment amid": ("answers/a", b"no,email\n# 1,anna\n1;anna@example.org\n", "unreadable-rows"),
    "UTF-16": ("answers/a", ANNAS.decode().encode("utf-16"), "other-format"),
    "UTF-16 without a mark": ("answers/a", ANNAS.decode().encode("utf-16-le"), "no-field"),
    "semicolons behind a good header": ("dumps2/a", b"email,text\nanna@example.org;x\n", "unreadable-rows"),
    "UTF-16 without a header": ("bare/a", "anna@example.org,x\n".encode("utf-16-le"), "unreadable-rows"),
    "zip without a header": ("bare/a", zipped(b"anna@example.org,x\n" * 9), "other-format"),
    "a JSON array": ("feedback/a", b"[" + row(ANNA).strip() + b"]\n", "unreadable-rows"),
    "a JSON array over lines": (
        "feedback/a", b"[\n" + row(ANNA).strip() + b",\n" + row(BOB) + b"]\n", "unreadable-rows"),
    "no line feeds": ("feedback/a", row(ANNA).strip() + row(BOB).strip() + b"\n", "unreadable-rows"),
    "pretty-printed": ("feedback/a", json.dumps(json.loads(row(ANNA)), indent=2).encode(), "unreadable-rows"),
    "a Latin-1 byte": ("feedback/a", row(ANNA).replace(b'"t"', b'"caf\xe9"'), "unreadable-rows"),
    "a raw tab": ("feedback/a", row(ANNA).replace(b'"t"', b'"a\tb"'), "unreadable-rows"),
    "a renamed field": ("feedback/a", row(BOB) + row(ANNA).replace(b"author", b"writer"), "no-field"),
    "a field renamed below": ("feedback/a", row(ANNA).replace(b"email", b"mail"), "no-field"),
    "gzip in gzip": ("feedback/a", gzip.compress(gzip.compress(row(ANNA))), "other-format"),
    "bzip2": ("feedback/a", bz2.compress(row(ANNA)), "other-format"),
    "zip": ("feedback/a", zipped(row(ANNA)), "other-format"),
    "gzip cut off": ("feedback/a", gzip.compress(WIDE)[:70], "damaged"),
    "gzip damaged": (
        "feedback/a", flipped(gzip.compress(row(BOB)) + gzip.compress(row(ANNA)), -30), "damaged"),
    "zstd cut off": ("feedback/a", zstandard.compress(WIDE)[:60], "damaged"),
    "zstd damaged": (
        "feedback/a", zstandard.compress(row(BOB)) + flipped(zstandard.compress(row(ANNA)), 3), "damaged"),
    "parquet without the column": ("orders/a", parquet(ANNA, field="customer"), "no-field"),
    "parquet, encrypted": ("orders/a", parquet(ANNA)[:-4] + b"PARE", "encrypted"),
    "parquet cut off": ("orders/a", parquet(ANNA)[:-40], "damaged"),
    "parquet, rows of another format": ("orders/a", row(ANNA), "damaged"),
    "Spark's _metadata": ("orders/_metadata", summary(), "summary-file"),
    "a letter without metadata": ("letters/a", b"Dear Anna", "no-subject"),
    "outside every prefix": ("misc/a", b"Anna", "outside-datasets"),
}  # fmt: skip
"""Key, content, and the reason that is noted. Anna is in each of them, and no entry leads to her."""

GOOD = {
    "answers": ANNAS.replace(ANNA.encode(), CARL.encode()),
    "dumps2": b"email,text\ncarl@example.org,x\n",
    "bare": b"carl@example.org,x\n",
    "feedback": row(CARL),
    "orders": parquet(CARL),
    "letters": b"Dear Carl",
}
"""What is sent in their place."""

MORE = [
    {"name": "bare", "format": "csv", "prefix": "bare/", "subject": "email", "personal": {"email": "email"},
     "csv": {"delimiter": ",", "quote": '"', "encoding": "iso-8859-1", "columns": ["email", "text"]}},
    {"name": "dumps2", "format": "csv", "prefix": "dumps2/", "subject": "email",
     "personal": {"email": "email"}},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _more_datasets(world: "World") -> None:
    declare(world, lambda datasets: [*datasets, *MORE])


def declare(world: "World", change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change what the config says of the customer's datasets."""
    key = {"pk": {"S": "customer#acme"}}
    before = json.loads(world.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]["datasets"]["S"])
    world.dynamodb.update_item(
        TableName=TABLE, Key=key, UpdateExpression="SET datasets = :datasets",
        ExpressionAttributeValues={":datasets": {"S": json.dumps(change(before))}},
    )  # fmt: skip
    world.functions.restart()


def accept(world: "World", name: str, **more: object) -> None:
    said = {"unattributed": {"accept": True, "reason": "machines only"}, **more}
    declare(world, lambda all_: [each | said if each["name"] == name else each for each in all_])


@pytest.mark.parametrize("name", KINDS)
def test_every_erasure_counts_it_as_long_as_it_is_there(world: "World", name: str) -> None:
    key, content, reason = KINDS[name]
    world.put(key, content)
    world.put("feedback/other", row(CARL))
    for who in (ANNA, ANNA, CARL):
        done = world.erased(who)
        assert (done.state, done.detail["unattributed_count"]) == ("partial", 1)
        below = world.customer.dataset_of(key) or key.split("/")[0]
        named = done.detail["unattributed"][0].get("dataset")
        assert named == (None if reason == "outside-datasets" else getattr(below, "name", below))
        assert key not in json.dumps(done.detail)
        assert "reason" not in json.dumps(done.detail["unattributed"])
    assert world.contents(key) == [content]
    (note,) = world.notes()
    assert (note["key"]["S"], note["reason"]["S"]) == (key, reason)
    assert ANNA not in json.dumps(note, default=str)


@pytest.mark.parametrize("name", KINDS)
def test_a_mended_upload_or_a_deletion_ends_it(world: "World", name: str) -> None:
    key, content, _ = KINDS[name]
    for how in ("mended", "deleted", "every version deleted"):
        old = world.put(key, content)
        assert world.erased(DORA).state == "partial"
        dataset = key.split("/")[0]
        if how == "mended" and dataset == "misc":
            continue  # nothing can be mended there
        if how == "mended":
            world.put(key, GOOD[dataset], Metadata={"subject": world.ref(CARL)})
        elif how == "deleted" and not key.startswith("misc/"):
            marker = world.s3.delete_object(Bucket=world.customer.bucket, Key=key)["VersionId"]
            world.notify("ObjectRemoved:DeleteMarkerCreated", key, marker)
        else:
            for _, version, _ in world.versions(key):
                world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)
                world.notify("ObjectRemoved:Delete", key, version)
        world.settle()
        done = world.erased(ANNA)
        assert (done.state, done.detail) == ("completed", None), how
        assert world.notes() == [], how
        assert old not in str(world.versions(key)), "what nobody can attribute goes with the erasure"


@pytest.mark.parametrize("name", KINDS)
def test_a_reindex_finds_a_missing_and_a_stale_note(world: "World", name: str) -> None:
    key, content, reason = KINDS[name]
    world.put(key, content, indexed=False)
    world.events.clear()
    found = kinds(world, reindex(world))
    assert found["missing-note"] == 1
    assert world.notes()[0]["reason"]["S"] == reason
    assert kinds(world, reindex(world)) == {}
    assert world.erased(ANNA).state == "partial"
    for _, version, _ in world.versions(key):
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)
    assert kinds(world, reindex(world))["stale-note"] == 1
    assert world.notes() == []


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"outside every prefix"}))
def test_what_the_dataset_accepts_makes_nothing_partial_and_every_answer_repeats_why(
    world: "World", name: str
) -> None:
    key, content, _ = KINDS[name]
    dataset = key.split("/")[0]
    accept(world, dataset)
    world.put(key, content)
    for _ in range(2):
        done = world.erased(CARL)
        assert (done.state, done.detail["unattributed_count"]) == ("completed", 0)
        assert done.detail["unattributed"] == [{"dataset": dataset, "files": 1, "accepted": "machines only"}]


SCANNED = {name: each for name, each in KINDS.items() if name != "outside every prefix"}


@pytest.mark.parametrize("name", SCANNED)
def test_a_scanned_dataset_never_says_completed_either(world: "World", name: str) -> None:
    key, content, _ = SCANNED[name]
    declare(
        world,
        lambda all_: [
            each | {"index": "scan"} if each["name"] == key.split("/")[0] else each for each in all_
        ],
    )
    world.put(key, content, indexed=False)
    world.events.clear()
    for _ in range(2):
        assert world.erased(ANNA).state != "completed"
        done = world.erased(DORA)
        assert (done.state, done.detail["unattributed_count"]) == ("partial", 1)
    assert content in world.contents(key)
    assert world.notes() == []


def test_who_stands_before_the_damaged_part_is_found_and_not_called_done(world: "World") -> None:
    world.put("orders/a", damaged_group_first())
    assert world.partition(ANNA) == ["object#orders/a"]
    assert world.erased(ANNA).state == "failed"
    (note,) = world.notes()
    assert (note["reason"]["S"], note["rows"]["N"], note["line"]["N"]) == ("damaged", "2", "1")
    assert world.erased(CARL).state == "partial"


def test_a_row_that_cannot_be_read_stays_noted_when_its_file_is_rewritten(world: "World") -> None:
    world.put("feedback/a", row(ANNA) + row(ANNA).strip() + b",\n" + row(BOB))
    for who in (ANNA, ANNA, BOB, CARL):
        assert world.erased(who).state == "partial"
        assert kinds(world, reindex(world)) == {}
    assert world.contents("feedback/a") == [row(ANNA).strip() + b",\n"]


def test_the_last_row_that_could_not_be_read_goes_and_its_note_too(world: "World") -> None:
    world.put("mails/a", b'{"recipients": [{"email": "anna@example.org"}, {"email": ["x"]}]}\n')
    assert len(world.notes()) == 1
    assert world.erased(ANNA).state == "completed"
    assert world.notes() == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_events_in_any_order_leave_the_same_note(world: "World", order: tuple[int, ...]) -> None:
    for bodies, left in (
        ([b"[1]\n", row(BOB), b"[2]\n"], ["current"]),
        ([row(BOB), b"[1]\n", row(CARL)], ["older"]),
        ([b"[1]\n", b"[2]\n", row(BOB)], ["older"]),
    ):
        key = f"feedback/{left}{bodies[0]!r}"
        for body in bodies:
            world.put(key, body, indexed=False)
        events, world.events = world.events, []
        for number in order:
            assert world.deliver(events[number]) == []
        mine = [note for note in world.notes() if note["key"]["S"] == key]
        assert ["older" if "superseded" in note else "current" for note in mine] == left
        assert not {"missing-note", "stale-note"} & kinds(world, reindex(world)).keys()


def test_a_version_that_comes_back_from_behind_another_is_noted_again(world: "World") -> None:
    world.put("feedback/a", b"[1]\n")
    newer = world.put("feedback/a", b"[2]\n")
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a", VersionId=newer)
    assert world.deliver(world.notify("ObjectRemoved:Delete", "feedback/a", newer)) == []
    world.events.clear()
    assert kinds(world, reindex(world)) == {}
    assert world.erased(ANNA).state == "partial"


def test_what_is_too_long_or_too_large_is_noted(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_LINE_BYTES", 200_000)
    world.put("feedback/a", row(BOB) + b"[" + b"1," * 200_000 + b"1]\n")
    assert world.partition(BOB) == ["object#feedback/a"]
    monkeypatch.setattr(scratch, "_SPARE_BYTES", 1 << 60)
    world.put("orders/a", parquet(ANNA))
    assert sorted(note["reason"]["S"] for note in world.notes()) == ["line-too-long", "too-large"]
    assert world.erased(ANNA).state == "partial"


def test_a_client_that_encrypts_for_itself_is_told_so(world: "World") -> None:
    world.put("bare/a", bytes(range(32, 127)) * 3, Metadata=SEALED)
    assert [note["reason"]["S"] for note in world.notes()] == ["encrypted"]
    assert world.erased(ANNA).state == "partial"


def test_nobody_is_in_an_empty_object_or_in_rows_that_say_so(world: "World") -> None:
    for key in ("orders/", "orders/_SUCCESS", "feedback/", "letters/", "answers/empty", "misc/"):
        world.put(key, b"")
    world.put("feedback/nobody", b'{"author": null}\n{"author": {"email": null}}\n{}\n\n')
    world.put("answers/nobody", b"no,email,name\n1,,x\n")
    world.put("mails/nobody", b'{"recipients": []}\n')
    assert world.notes() == []
    assert world.erased(ANNA).state == "completed"


def test_a_correction_counts_the_datasets_that_it_names(world: "World") -> None:
    world.put("answers/a", ANNAS.replace(b"email", b"Email"))
    for dataset, field, state in (("feedback", "author.name", "completed"), ("answers", "name", "partial")):
        request = world.correct(ANNA, [{"dataset": dataset, "set": {field: "Anna"}}])
        world.settle()
        assert world.request(request).state == state
    request = world.correct(ANNA, [{"dataset": "profiles", "set": {"name": "Anna"}}])
    world.settle()
    assert world.request(request).state == "completed"


def test_what_a_dataset_leaves_behind_that_is_taken_out_of_the_config_is_told(world: "World") -> None:
    world.put("feedback/a/b", row(CARL))
    assert world.erased(ANNA).state == "completed"
    declare(world, lambda all_: [each for each in all_ if each["name"] != "feedback"])
    done = world.erased(ANNA)
    assert (done.state, done.detail["unattributed"]) == ("partial", [{"files": 1}])
    declare(world, lambda all_: [*all_, {**MORE[1], "name": "deep", "prefix": "feedback/a/"}])
    world.s3.put_object(Bucket=world.customer.bucket, Key="feedback/b/c", Body=b"x")
    assert world.erased(ANNA).detail["unattributed"] == [{"files": 1}, {"dataset": "deep", "files": 1}]


def test_a_mended_declaration_is_enough_with_a_reindex(world: "World") -> None:
    world.put("answers/a", ANNAS.replace(b"email", b"Email"))
    declare(world, lambda all_: [
        each | {"subject": "Email"} if each["name"] == "answers" else each for each in all_])  # fmt: skip
    mended = [replace(d, subjects=("Email",)) if d.name == "answers" else d for d in world.customer.datasets]
    world.customer = replace(world.customer, datasets=tuple(mended))
    assert kinds(world, reindex(world)) == {"missing-entry": 1, "stale-note": 1}
    assert world.erased(ANNA).state == "completed"
    assert ANNA.encode() not in b"".join(world.contents("answers/a"))


def test_text_in_utf_8_where_utf_16_is_declared_is_another_format(world: "World") -> None:
    world.put("sheets/a", b"Email\tText\tAt\nanna@example.org\tx\t2026-01-01\n")
    assert world.notes()[0]["reason"]["S"] == "other-format"
    world.put("sheets/b", codecs.BOM_UTF16_LE + "Email\tText".encode("utf-16-le")[:-1])
    assert [note["reason"]["S"] for note in world.notes() if note["key"]["S"] == "sheets/b"] == ["damaged"]
