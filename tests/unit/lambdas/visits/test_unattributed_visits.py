"""What visits make of files that nobody can attribute, or not all of, and of their notes."""

import gzip
import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from privacy.api import unattributed_files
from privacy.formats import blocks
from privacy.identifiers import uuid7
from privacy.parquet.source import PATH
from privacy.parquet.thrift import Struct
from privacy.vault import scratch, sessions
from privacy.visits.batch import VisitsFailedError

from ..parquet.parquet_pages import Page, rebuilt
from ..parquet.test_proof import one_value_more
from ..support import world as worlds
from ..support.parquet_files import stored
from ..support.reindexing import kinds, reindex, row

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL, DORA = "anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org"
PARQUET = {"name": "p", "format": "parquet", "prefix": "p/", "subject": "email",
           "personal": {"email": "email", "name": "name"}}  # fmt: skip


def scanned(world: "World", *names: str, **more: object) -> None:
    world.declare(*[d | ({"index": "scan", **more} if d["name"] in names else {}) for d in worlds.DATASETS])


ACCEPTED = {"unattributed": {"accept": True, "reason": "machines only"}}
SEALED = {"x-amz-key-v2": "c2VhbGVk", "x-amz-cek-alg": "AES/GCM/NoPadding"}


def test_one_damaged_file_of_a_scanned_dataset_is_counted_to_everybody(world: "World") -> None:
    scanned(world, "feedback")
    damaged = gzip.compress(row(*[BOB] * 9))[:-9]
    world.put("feedback/a", damaged)
    world.put("feedback/b", row(ANNA, CARL))
    for who in (ANNA, ANNA, DORA):
        done = world.erased(who)
        counted = (done.state, (done.detail or {})["unattributed"])
        assert counted == ("partial", [{"dataset": "feedback", "files": 1}])
    assert (world.contents("feedback/a"), world.contents("feedback/b")) == ([damaged], [row(CARL)])
    assert world.erased(BOB).state == "failed"
    scanned(world, "feedback", **ACCEPTED)
    done = world.erased(DORA)
    assert done.state == "completed"
    assert (done.detail or {})["unattributed"] == [
        {"dataset": "feedback", "files": 1, "accepted": "machines only"}
    ]


def test_lines_and_files_that_are_too_large_in_scanned_datasets_are_counted(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned(world, "feedback", "orders")
    monkeypatch.setattr(blocks, "MAX_LINE_BYTES", 200_000)
    world.put("feedback/a", b"[" + b"1," * 200_000 + b"1]\n")
    monkeypatch.setattr(scratch, "_SPARE_BYTES", 1 << 60)
    world.put("orders/a", damaged_with_unused_values())
    done = world.erased(DORA)
    assert (done.state, (done.detail or {})["unattributed_count"]) == ("partial", 2)


@pytest.mark.parametrize("index", ["events", "scan"])
def test_a_client_that_encrypts_for_itself_may_have_anything_in_it(world: "World", index: str) -> None:
    columns = {"delimiter": ",", "quote": '"', "encoding": "iso-8859-1", "columns": ["id", "text"]}
    world.declare({"name": "bare", "format": "csv", "prefix": "bare/", "subject": "id",
                   "personal": {"id": "id"}, "csv": columns, "index": index})  # fmt: skip
    sealed = bytes(range(48, 90)) + b",x\n"
    world.put("bare/a", b"anna,x\nbob,x\n")
    world.put("bare/a", sealed, Metadata=SEALED)
    for who in ("anna", "dora", "anna"):
        done = world.erased(who)
        assert (done.state, (done.detail or {})["unattributed_count"]) == ("partial", 1)
    assert world.contents("bare/a") == [sealed]


def test_values_that_cannot_be_taken_out_are_for_the_customer_to_mend(world: "World") -> None:
    world.declare(PARQUET)
    names = pa.array(["Anna", "B", "C", "D"]).dictionary_encode()
    written = stored(pa.table({"email": [BOB, CARL] * 2, "name": names, "x": [1, 2, 3, 4]}), row_group_size=2)

    def odd(meta: Struct, pages: list[Page]) -> None:
        if meta[PATH][1].values == [b"x"]:
            one_value_more(meta, pages)

    world.put("p/a", rebuilt(written, meta=odd))
    assert world.notes()[0]["reason"]["S"] == "unused-values"
    for _ in range(3):
        done = world.erased(DORA)
        counted = (done.state, (done.detail or {})["unattributed"])
        assert counted == ("partial", [{"dataset": "p", "files": 1}])
    (listed,) = unattributed_files.page(sessions.open_vault(world.customer, "list"), None, None, 9).files
    assert (listed["reason"], listed["mend"]) == ("unused-values", unattributed_files.MEND["unused-values"])
    assert kinds(world, reindex(world)) == {}
    world.put("p/a", stored(pa.table({"email": [BOB], "name": ["B"]})))
    assert (world.erased(DORA).state, world.notes()) == ("completed", [])


def test_a_visit_that_ended_before_it_carried_the_note_on(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a", row(ANNA) + b"bad anna@example.org\n" + row(CARL))
    real: Any = world.dynamodb._make_api_call

    def throttled(operation: str, arguments: dict[str, Any]) -> object:
        if operation == "PutItem" and arguments["Item"]["pk"] == {"S": "unattributed"}:
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, operation)
        return real(operation, arguments)

    request, run, before = world.erase(ANNA), uuid7(), world.versions()
    planned = world.plan(run)
    with monkeypatch.context() as patch:
        patch.setattr(world.dynamodb, "_make_api_call", throttled)
        with pytest.raises(VisitsFailedError):
            world.visit(planned)
    world.complete(run, error="States.Timeout", step="visit")
    world.notify_differences(before)
    world.settle()
    assert world.request(request).state == "failed"
    assert [world.erased(who).state for who in (ANNA, ANNA, DORA)] == ["partial"] * 3


def test_how_many_lines_lack_a_column_is_still_told_when_one_of_them_went(world: "World") -> None:
    world.put("transfers/a", b"payer,Payee,note\nanna@example.org,x,1\n" + b"carl@example.org,y,1\n" * 5)
    before = int(world.notes()[0]["rows"]["N"])
    world.erased(ANNA)
    assert int(world.notes()[0]["rows"]["N"]) == before - 1


def damaged_with_unused_values() -> bytes:
    """The first row group's names are damaged; all others have a dictionary with more than their rows."""
    names = pa.array(["Anna", "B", "C", "D", "E", "F"]).dictionary_encode()
    written = io.BytesIO()
    table = pa.table({"email": [BOB, CARL] * 3, "name": names})
    pq.write_table(table, written, row_group_size=2, compression="none", write_page_checksum=True)
    content = bytearray(written.getvalue())
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    content[chunk.dictionary_page_offset + chunk.total_compressed_size - 2] ^= 0xFF
    return bytes(content)


def test_a_damaged_file_with_unused_values_is_nobody_elses_failure(world: "World") -> None:
    world.declare(PARQUET)
    world.put("p/a", damaged_with_unused_values())
    (note,) = world.notes()
    assert (note["reason"]["S"], "unused" in note) == ("damaged", True)
    assert world.erased(DORA).state == "partial"
