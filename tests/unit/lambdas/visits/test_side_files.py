"""Files beside the data: empty ones, markers of folders, checksums. Nobody is in them."""

import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from privacy.vault import sessions
from privacy.vault.objects import read

from ..support.parquet_files import stored
from ..support.world import DATASETS

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
FORMATS = {
    "parquet": stored(pa.table({"email": [ANNA, BOB]})),
    "jsonl": b'{"email":"anna@example.org"}\n{"email":"bob@example.org"}\n',
    "csv": b"email\nanna@example.org\nbob@example.org\n",
}
EMPTY = ["p/", "p/_SUCCESS", "p/sub_$folder$"]
CHECKSUMS = "p/.part-0.crc"


def checksums(content: bytes) -> bytes:
    """What Hadoop's file system writes beside a file."""
    sums = [zlib.crc32(content[at : at + 512]) for at in range(0, len(content), 512)]
    return b"crc\0" + (512).to_bytes(4) + b"".join(each.to_bytes(4) for each in sums)


def declare(world: "World", name: str, index: str) -> None:
    dataset = {
        "name": "p",
        "format": name,
        "prefix": "p/",
        "subject": "email",
        "personal": {"email": "email"},
    }
    world.declare(*DATASETS, {**dataset, "index": index})


def ended(world: "World", person: str = ANNA) -> tuple[str, Any]:
    request = world.erase(person)
    world.run()
    assert world.deliver() == []
    done = world.request(request)
    return done.state, done.detail


@pytest.mark.parametrize("index", ["scan", "events"])
@pytest.mark.parametrize("name", FORMATS)
def test_nobody_is_in_them(world: "World", name: str, index: str) -> None:
    declare(world, name, index)
    world.put("p/part-0", FORMATS[name])
    beside = {key: world.put(key, b"") for key in EMPTY}
    beside[CHECKSUMS] = world.put(CHECKSUMS, checksums(FORMATS[name]))
    assert ended(world) == ("completed", None)
    assert ANNA.encode() not in b"".join(world.contents("p/part-0"))
    for key, version in beside.items():
        assert world.versions(key) == [(key, version, False)]


@pytest.mark.parametrize("index", ["scan", "events"])
@pytest.mark.parametrize("name", FORMATS)
def test_older_versions_of_a_file_that_was_emptied_go(world: "World", name: str, index: str) -> None:
    declare(world, name, index)
    world.put("p/part-0", FORMATS[name])
    world.put("p/part-0", b"")
    assert ended(world) == ("completed", None)
    assert world.contents("p/part-0") == [b""]


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
def test_older_empty_versions_are_no_reason_to_purge(world: "World", name: str) -> None:
    declare(world, name, "scan")
    content = (
        FORMATS[name].replace(b"anna", b"cara") if name == "jsonl" else stored(pa.table({"email": [BOB]}))
    )
    world.put("p/part-0", b"")
    world.put("p/part-0", content)
    assert ended(world) == ("completed", None)
    assert len(world.versions("p/part-0")) == 2


def test_rows_under_the_name_of_checksums_are_read(world: "World") -> None:
    declare(world, "jsonl", "scan")
    for key in (CHECKSUMS, "p/.crc", "p/part-0.crc"):
        world.put(key, FORMATS["jsonl"])
    assert ended(world) == ("completed", None)
    for key in (CHECKSUMS, "p/.crc", "p/part-0.crc"):
        assert world.contents(key) == [b'{"email":"bob@example.org"}\n']


def test_an_empty_file_that_belongs_to_somebody_as_a_whole_goes(world: "World") -> None:
    world.put("papers/a", b"", Metadata={"subject": world.ref(ANNA)})
    assert ended(world) == ("completed", None)
    assert world.versions("papers/a") == []


def test_a_look_at_the_beginning_leaves_the_content_whole(world: "World") -> None:
    world.put("feedback/a", b"crd and more")
    opened = read(sessions.open_vault(world.customer, "visit"), "feedback/a")
    assert opened is not None
    assert not opened.begins_with(b"crc\0")
    assert next(iter(opened.chunks())) == b"crd and more"
