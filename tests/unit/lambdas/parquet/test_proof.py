"""What a visit wrote of a parquet file is proven before the older version goes, or it is not written."""

import io
import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privacy.formats.proof import UnprovenError
from privacy.parquet.thrift import FALSE, I32, I64, Struct

from ..support.parquet_files import buyer, edited, loaded, stored, table
from .parquet_pages import Page, rebuilt, without_dictionary_header

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
OLD_MR = "parquet-mr version 1.2.8 (build 0123456789abcdef)"
OLD_ARROW = "parquet-cpp version 1.5.1-SNAPSHOT"


def as_old_parquet_mr(content: bytes) -> bytes:
    return rebuilt(content, created_by=OLD_MR, meta=without_dictionary_header)


def people(rows: int) -> pa.Table:
    return pa.table(
        {
            "email": [f"p{n % 40}@example.org" for n in range(rows)],
            "name": [f"Person {n % 40}" for n in range(rows)],
            "no": pa.array(range(rows), pa.int64()),
        }
    )


def test_chunks_whose_noted_size_is_too_small_are_copied_whole() -> None:
    before = people(400)
    content = as_old_parquet_mr(stored(before, row_group_size=100, compression="snappy"))
    assert loaded(content).equals(before)
    left, _ = edited(content, "no", "150")
    rows = [n for n in range(400) if n != 150]
    assert loaded(left).equals(before.take(rows))
    left, _ = edited(content, "no", changes={"150": [{"name": "Right"}]})
    names = before.column("name").to_pylist()
    names[150] = "Right"
    assert loaded(left).equals(before.set_column(1, "name", pa.array(names)))


def as_old_arrow(content: bytes) -> bytes:
    """Pages as Arrow before 3.0 wrote them: compressed, but with a flag that says they are not."""

    def packed(_group: int, _leaf: int, pages: list[Page]) -> list[Page]:
        found = []
        for header, body in pages:
            if 8 in header:
                details: Struct = header[8][1]
                levels = details[5][1] + details[6][1]
                if details.get(7) == (FALSE, FALSE):
                    body = body[:levels] + pa.Codec("snappy").compress(body[levels:], asbytes=True)
                    header[3] = I32, len(body)
                details[7] = FALSE, FALSE
            found.append((header, body))
        return found

    return rebuilt(content, created_by=OLD_ARROW, pages=packed)


def test_a_reader_that_goes_by_who_wrote_the_file_reads_what_is_written() -> None:
    noise = random.Random(1)
    before = people(2000).append_column("noise", pa.array([noise.getrandbits(62) for _ in range(2000)]))
    content = as_old_arrow(
        stored(
            before, row_group_size=1000, data_page_version="2.0", compression="snappy", use_dictionary=False
        )
    )
    assert loaded(content).equals(before)
    left, _ = edited(content, "no", "1500")
    assert loaded(left).equals(before.take([n for n in range(2000) if n != 1500]))
    assert pq.read_metadata(io.BytesIO(left)).created_by == OLD_ARROW


def one_value_more(meta: Struct, _pages: list[Page]) -> None:
    meta[5] = I64, meta[5][1] + 1


def test_pages_that_do_not_add_up_to_their_column_are_not_written_again(world: "World") -> None:
    rows = [{"no": n, "buyer": buyer(who), "note": "x"} for n, who in enumerate([ANNA, BOB, BOB, BOB])]
    content = stored(table(*rows), row_group_size=2)

    def second_group(meta: Struct, pages: list[Page]) -> None:
        seen.append(meta)
        if len(seen) == 8:  # the second group's note
            one_value_more(meta, pages)

    seen: list[Struct] = []
    odd = rebuilt(content, meta=second_group)
    world.put("orders/a", content)
    world.put("orders/a", odd)
    world.put("orders/b", content)
    request = world.erase(ANNA)
    world.run()
    assert sorted(world.contents("orders/a")) == sorted([content, odd])
    assert ANNA not in str(loaded(world.read("orders/b")).to_pydict())
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    (problem,) = done.detail["problems"]
    assert (problem["dataset"], problem["reason"]) == ("orders", "not-proven")
    again = world.erase(ANNA)
    world.run()
    assert world.request(again).state == "partial"


def as_wide_decimals(table: pa.Table) -> bytes:
    """Decimals in more bytes than their digits need, as Hive and DuckDB before 0.10 write them."""

    def decimal(footer: Struct) -> None:
        amount = footer[2][1].values[-1]
        amount |= {6: (I32, 5), 7: (I32, 2), 8: (I32, 8)}

    return rebuilt(stored(table, write_page_index=True), footer=decimal)


def test_decimals_of_any_width_keep_it(world: "World") -> None:
    amounts = pa.array([bytes(8) + b"\1", b"\xff" * 9, None], pa.binary(9))
    buyers = pa.array([buyer(ANNA), buyer(BOB), buyer(BOB)])
    content = as_wide_decimals(pa.table({"buyer": buyers, "note": ["a", "b", "c"], "amount": amounts}))
    assert loaded(content).column("amount").to_pylist() == [Decimal("0.01"), Decimal("-0.01"), None]
    world.put("orders/a", content)
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    (left,) = world.contents("orders/a")
    assert loaded(left).column("amount").to_pylist() == [Decimal("-0.01"), None]
    assert pq.read_schema(io.BytesIO(left)).equals(pq.read_schema(io.BytesIO(content)))
    # What a new value looks like in there, Arrow does not know.
    request = world.correct(BOB, [{"dataset": "orders", "set": {"amount": 2}}])
    world.run()
    assert world.contents("orders/a") == [left]
    assert world.request(request).state == "partial"


def test_a_new_timestamp_leaves_those_of_others_that_arrow_cannot_tell() -> None:
    """Arrow reads INT96 in nanoseconds, which end in 2262."""
    moments = pa.array([0, 253_402_214_400_000_000], pa.timestamp("us"))
    content = stored(pa.table({"id": [1, 2], "at": moments}), use_deprecated_int96_timestamps=True)
    with pytest.raises(UnprovenError):
        edited(content, "id", changes={"1": [{"at": "2026-05-01T10:00:00"}]})


def test_not_a_number_keeps_its_bits() -> None:
    """R tells a missing number from one that is none by these."""
    spelled = [0x7FF00000000007A2, 0x7FF8000000000000, 0x3FF0000000000000, 0, -(2**63)]
    table = pa.table({"id": pa.array(range(10)), "x": [1.5, 2.5, 3.5, 4.5, 5.5] * 2})

    def with_bits(_group: int, leaf: int, pages: list[Page]) -> list[Page]:
        body = b"".join(number.to_bytes(8, "little", signed=True) for number in spelled)
        return [(pages[0][0], body), *pages[1:]] if leaf == 1 else pages

    content = rebuilt(stored(table, compression="none", write_statistics=False), pages=with_bits)
    left, _ = edited(content, "id", "5")
    there = loaded(left).column("x").combine_chunks().view(pa.int64()).to_pylist()
    assert there == spelled + spelled[1:]
