"""Compressed files of rows: read whatever their key says, written back as they were compressed."""

import gzip
import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from privacy.formats import compression
from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
ZSTD_NOTE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00note"  # a skippable frame


def row(email: str, text: str = "") -> bytes:
    return json.dumps({"author": {"email": email}, "text": text}).encode() + b"\n"


def members(content: bytes) -> bytes:
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


def frames(content: bytes) -> bytes:
    half = len(content) // 2
    return ZSTD_NOTE + zstandard.compress(content[:half]) + ZSTD_NOTE + zstandard.compress(content[half:])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip of two members": members,
    "gzip with padding": lambda content: gzip.compress(content) + bytes(700),
    "zstd": zstandard.compress,
    "zstd of two frames": frames,
}


def unpack(stored: bytes) -> bytes:
    return (
        gzip.decompress(stored)
        if stored[:2] == b"\x1f\x8b"
        else zstandard.ZstdDecompressor().decompressobj().decompress(stored)
    )


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("key", ["feedback/a.jsonl", "feedback/a.gz", "feedback/a.zst"])
def test_rows_go_from_a_compressed_file_and_the_codec_stays(world: "World", name: str, key: str) -> None:
    stored = PACKED[name](row(BOB, "1") + row(ANNA) + row(BOB, "2"))
    world.put(key, stored)
    request = world.erase(ANNA)
    world.run()
    (left,) = world.contents(key)
    assert unpack(left) == row(BOB, "1") + row(BOB, "2")
    assert (left[:2] == b"\x1f\x8b") == name.startswith("gzip")
    assert world.request(request).state == "completed"


@pytest.mark.parametrize("name", PACKED)
def test_a_compressed_file_that_needs_no_change_is_not_written(world: "World", name: str) -> None:
    stored = PACKED[name](row(BOB))
    world.put("feedback/a", row(ANNA))
    version = world.put("feedback/a", stored)
    world.erase(ANNA)
    world.run()
    assert world.versions() == [("feedback/a", version, False)]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_damaged_file_is_reported_and_left_alone(world: "World", pack: Callable[[bytes], bytes]) -> None:
    # Random enough not to shrink: the readable part has whole rows, the first of them Anna's.
    content = row(ANNA) + b"".join(row(BOB, str(hash((n, BOB)))) for n in range(60_000))
    stored = pack(content)
    first = world.put("feedback/a", row(ANNA))
    damaged = stored[: len(stored) // 2]
    second = world.put("feedback/a", damaged)
    world.put("feedback/b", row(ANNA) + row(BOB))
    request = world.erase(ANNA)
    world.run()

    assert {version for _, version, _ in world.versions("feedback/a")} == {first, second}
    assert damaged in world.contents("feedback/a")
    assert world.contents("feedback/b") == [row(BOB)]
    assert "object#feedback/a" in world.partition(ANNA)
    done = world.request(request)
    assert done.state == "failed"
    assert done.detail is not None
    assert "content-damaged" in {problem["reason"] for problem in done.detail["problems"]}

    # Sent again whole, the next request goes through.
    world.put("feedback/a", stored)
    request = world.erase(ANNA)
    world.run()
    assert [unpack(left) for left in world.contents("feedback/a")] == [content.removeprefix(row(ANNA))]
    assert world.request(request).state == "completed"


@examples(30)
@given(
    content=st.binary(max_size=3000),
    name=st.sampled_from([*PACKED, "plain"]),
    size=st.integers(1, 4000),
    repeated=st.sampled_from([1, 1, 500]),
)
def test_what_is_unpacked_does_not_depend_on_how_the_stream_is_cut(
    content: bytes, name: str, size: int, repeated: int
) -> None:
    content = b"{" + content * repeated
    stored = PACKED[name](content) if name in PACKED else content
    codec, pieces = compression.unpacked(
        stored[start : start + size] for start in range(0, len(stored), size)
    )
    assert codec == name.split()[0]
    assert b"".join(pieces) == content
    packer = compression.packer(codec)
    again, pieces = compression.unpacked([packer.compress(content) + packer.flush()])
    assert (again, b"".join(pieces)) == (codec, content)


@examples(30)
@given(
    content=st.binary(max_size=2000),
    pack=st.sampled_from([gzip.compress, zstandard.compress]),
    lost=st.integers(1, 2000),
    size=st.integers(1, 4000),
)
def test_a_file_that_ends_too_early_never_looks_whole(
    content: bytes, pack: Callable[[bytes], bytes], lost: int, size: int
) -> None:
    stored = pack(content)
    stored = stored[: max(len(stored) - lost, 5)]
    _, pieces = compression.unpacked(stored[start : start + size] for start in range(0, len(stored), size))
    with pytest.raises(compression.DamagedContentError, match="ends too early"):
        list(pieces)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_flipped_bits_and_trailing_garbage_are_damage(pack: Callable[[bytes], bytes]) -> None:
    stored = pack(b"".join(b"%d\n" % (n * n) for n in range(20_000)))
    middle = len(stored) // 2
    for bad in (
        stored[:middle] + bytes([stored[middle] ^ 0xFF]) + stored[middle + 1 :],
        stored + b"garbage!",
    ):
        _, pieces = compression.unpacked([bad])
        with pytest.raises(compression.DamagedContentError, match="damaged"):
            list(pieces)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_content_that_unpacks_to_a_multiple_comes_in_bounded_pieces(pack: Callable[[bytes], bytes]) -> None:
    _, pieces = compression.unpacked([pack(bytes(100_000_000))])
    sizes = [len(piece) for piece in pieces]
    assert sum(sizes) == 100_000_000
    assert max(sizes) <= 20_000_000


def flipped(stored: bytes, place: int) -> bytes:
    changed = bytearray(stored)
    changed[place] ^= 0xFF
    return bytes(changed)


_SUMMED = zstandard.ZstdCompressor(write_checksum=True)
DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "gzip, checksum": lambda rows: flipped(gzip.compress(rows), -8),
    "gzip, something behind it": lambda rows: gzip.compress(rows) + b"behind",
    "gzip, second member": lambda rows: gzip.compress(rows) + flipped(gzip.compress(b"lost"), -8),
    "zstd, checksum": lambda rows: flipped(_SUMMED.compress(rows), -1),
    "zstd, something behind it": lambda rows: zstandard.compress(rows) + b"\n",
    "zstd, second frame": lambda rows: _SUMMED.compress(rows) + flipped(_SUMMED.compress(b"lost"), -1),
    "zstd, second block": lambda rows: flipped(zstandard.compress(rows.ljust(131_072) + _NOISE), -9),
}
_NOISE = b"".join(b"%d " % (n * n) for n in range(30_000))


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("name", DAMAGED)
def test_all_that_stands_before_the_damage_comes_out(name: str, size: int) -> None:
    rows = row(BOB) + row(ANNA)
    stored = DAMAGED[name](rows)
    _, pieces = compression.unpacked(stored[start : start + size] for start in range(0, len(stored), size))
    found: list[bytes] = []
    with pytest.raises(compression.DamagedContentError, match="damaged"):
        found.extend(pieces)
    assert b"".join(found).startswith(rows)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_with_the_person_before_the_damage_is_not_done(world: "World", name: str) -> None:
    world.put("feedback/a", DAMAGED[name](row(BOB) + row(ANNA)))
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "failed"


def test_a_gzip_file_does_not_grow_by_being_written_again() -> None:
    chance = random.Random(1)
    words = [str(chance.randrange(10_000)) for _ in range(300)]
    content = b"".join(
        row(f"{number}@example.org", " ".join(chance.choices(words, k=40))) for number in range(5000)
    )
    packer = compression.packer("gzip")
    packed = bytes(packer.compress(content)) + packer.flush()
    assert gzip.decompress(packed) == content
    assert len(packed) <= 1.05 * len(gzip.compress(content, 6))
