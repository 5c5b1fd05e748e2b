"""Files by every writer at hand: somebody goes, somebody is corrected, all other values are what they were.

Two readers look at each file before and after: Arrow, and one that shares no code with it or with the writer.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privacy.parquet import thrift
from privacy.parquet.source import DATA_PAGE, DICTIONARY_PAGE
from privacy.parquet.thrift import I64, Struct

from ..support.parquet_files import edited, loaded, stored
from .parquet_pages import Page, rebuilt
from .parquet_writers import ROWS, person, read_by_duckdb, read_by_polars, writers

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
WRITERS = writers()


def others(found: dict[int, str], rows: list[int]) -> dict[int, str]:
    return {number: row for number, row in found.items() if number not in rows}


@pytest.mark.parametrize("name", WRITERS)
def test_whoever_wrote_a_file_only_what_was_asked_for_differs(name: str, tmp_path: Path) -> None:
    path, new = tmp_path / "before.parquet", tmp_path / "after.parquet"
    WRITERS[name](path)
    read = read_by_polars if name.startswith("duckdb") else read_by_duckdb
    gone = [n for n in range(ROWS) if n % 31 == 5]
    corrected = [n for n in range(ROWS) if n % 31 == 6]
    content, edits = edited(
        path.read_bytes(), "email", person(5), changes={person(6): [{"name": "Rightly", "score": None}]}
    )
    new.write_bytes(content)
    assert (edits.done.rows_dropped, edits.done.rows_changed) == (len(gone), len(corrected))
    assert edits.done.unparsed_count == 0
    before, after = read(path), read(new)
    assert len(before) == ROWS
    assert after.keys() == before.keys() - set(gone)
    assert others(after, corrected) == others(before, gone + corrected)
    assert all("Rightly" in after[number] for number in corrected)
    assert person(5).encode() not in content
    old, left = pq.read_table(path), pq.read_table(new)
    assert left.schema.equals(old.schema, check_metadata=True)
    stays = pa.array([n for n in range(ROWS) if n not in gone + corrected])
    unchanged = pa.compute.field("no").isin(pa.array(corrected)).__invert__()
    assert left.filter(unchanged).to_pylist() == old.take(stays).to_pylist()


def test_text_that_is_not_utf8_is_an_unreadable_row(world: "World") -> None:
    texts = pa.array([ANNA.encode(), b"b\xffb@example.org", BOB.encode()])
    emails = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    names = pa.array(["A", "?", "B"])
    buyers = pa.StructArray.from_arrays([emails, names], names=["email", "name"])
    world.put("orders/a", stored(pa.table({"buyer": buyers, "note": emails})))
    request = world.erase(ANNA)
    world.run()
    left = loaded(world.read("orders/a"))
    assert left.column("note").cast(pa.binary()).to_pylist() == [b"b\xffb@example.org", BOB.encode()]
    assert pa.compute.struct_field(left.column("buyer"), "name").to_pylist() == ["?", "B"]
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    (entry,) = done.detail["unparsed"]
    assert (entry["row"], entry["reason"]) == (2, "not UTF-8")
    request = world.correct(BOB, [{"dataset": "orders", "set": {"note": "new"}}])
    world.run()
    notes = loaded(world.read("orders/a")).column("note").cast(pa.binary()).to_pylist()
    assert notes == [b"b\xffb@example.org", b"new"]


def test_a_data_page_that_is_noted_in_the_wrong_place_is_found() -> None:
    """DuckDB before 0.10 leaves the dictionary page's header out of the data page's offset."""

    def as_old_duckdb(meta: Struct, pages: list[Page]) -> None:
        if DICTIONARY_PAGE in meta:
            meta[DATA_PAGE] = I64, meta[DATA_PAGE][1] - len(thrift.write(pages[0][0]))

    before = pa.table({"id": [f"p{n % 3}" for n in range(30)], "name": [f"n{n % 2}" for n in range(30)]})
    content = rebuilt(stored(before, row_group_size=10), created_by="DuckDB", meta=as_old_duckdb)
    assert loaded(content).equals(before)
    left, _ = edited(content, "id", "p0")
    assert loaded(left).equals(before.filter(pa.compute.field("id") != "p0"))
    left, _ = edited(content, "id", changes={"p0": [{"name": "new"}]})
    assert loaded(left).column("id").equals(before.column("id"))
