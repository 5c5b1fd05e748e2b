"""What visits make of files that nobody can attribute, or not all of, and of their notes."""

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from privacy.identifiers import uuid7
from privacy.visits.batch import VisitsFailedError

from ..support.reindexing import row

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL, DORA = "anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org"
PARQUET = {"name": "p", "format": "parquet", "prefix": "p/", "subject": "email",
           "personal": {"email": "email", "name": "name"}}  # fmt: skip


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
