"""Footers with something else than the format says where a visit reads them: the file is damaged."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from privacy.parquet.source import (
    BLOOM,
    CHUNKS,
    COLUMN_INDEX,
    COLUMN_INDEX_BYTES,
    GROUPS,
    KEY_VALUES,
    META,
    OFFSET_INDEX,
)
from privacy.parquet.thrift import BINARY, I64, LIST, STRUCT, List, Struct

from ..support.parquet_files import buyer, stored, table
from .parquet_pages import rebuilt

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"


def _last_chunk(footer: Struct) -> Struct:
    group: Struct = footer[GROUPS][1].values[-1]
    chunk: Struct = group[CHUNKS][1].values[-1]
    return chunk


def _key_value_of_numbers(footer: Struct) -> None:
    footer[KEY_VALUES] = LIST, List(STRUCT, [{1: (BINARY, b"key"), 2: (I64, 12)}])


def _column_index_without_a_length(footer: Struct) -> None:
    _last_chunk(footer)[COLUMN_INDEX] = I64, 4
    _last_chunk(footer).pop(COLUMN_INDEX_BYTES, None)


def _offset_index_that_is_text(footer: Struct) -> None:
    _last_chunk(footer)[OFFSET_INDEX] = BINARY, b"x"


def _bloom_filter_that_is_a_list(footer: Struct) -> None:
    _last_chunk(footer)[META][1][BLOOM] = LIST, List(I64, [1])


@pytest.mark.parametrize(
    "change",
    [
        _key_value_of_numbers,
        _column_index_without_a_length,
        _offset_index_that_is_text,
        _bloom_filter_that_is_a_list,
    ],
)
def test_the_visit_says_so_and_leaves_the_file(world: "World", change: Callable[[Struct], None]) -> None:
    rows = [{"no": n, "buyer": buyer(who), "note": "x"} for n, who in enumerate([ANNA, BOB, BOB, BOB])]
    content = rebuilt(stored(table(*rows), row_group_size=2), footer=change)
    world.put("orders/a", content)
    done = world.erased(ANNA)
    assert done.state == "failed"
    assert "content-damaged" in [problem["reason"] for problem in (done.detail or {})["problems"]]
    assert world.contents("orders/a") == [content]
