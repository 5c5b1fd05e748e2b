"""The comparison of what a visit writes with what it read lets through what was noted, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.formats.positions import Splice
from privacy.formats.proof import UnprovenError, Untouched
from tests.properties import examples

ROWS = st.lists(st.tuples(st.binary(min_size=1, max_size=6), st.sampled_from(["stays", "goes", "changes"])))


def cut(content: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(content) + 1) for place in places} | {len(content)})
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@examples(200)
@given(rows=ROWS, read=st.lists(st.integers(0, 99)), written=st.lists(st.integers(0, 99)), data=st.data())
def test_whatever_the_pieces_one_wrong_byte_is_noticed(
    rows: list[tuple[bytes, str]], read: list[int], written: list[int], data: st.DataObject
) -> None:
    becomes = {"stays": lambda row: row, "goes": lambda _: b"", "changes": lambda row: b"new " + row}
    old = b"".join(row for row, _ in rows)
    new = b"".join(becomes[what](row) for row, what in rows)
    splices, place = [], 0
    for row, what in rows:
        if what != "stays":
            splices.append(Splice(place, len(row), len(becomes[what](row))))
        place += len(row)

    def compared(content: bytes) -> bytes:
        untouched = Untouched()
        for _ in untouched.read(cut(old, read)):
            continue
        for splice in splices:
            untouched.expect(splice)
        return b"".join(untouched.written(cut(content, written)))

    assert compared(new) == new
    stays = [number for number, (_, what) in enumerate(rows) if what == "stays"]
    if not stays:
        return
    number = data.draw(st.sampled_from(stays))
    start = sum(len(becomes[what](row)) for row, what in rows[:number])
    for wrong in (b"", rows[number][0][1:], rows[number][0] + b"\xff", bytes([rows[number][0][0] ^ 1])):
        other = new[:start] + wrong + new[start + len(rows[number][0]) :]
        if other != new:
            with pytest.raises(UnprovenError):
                compared(other)
