"""What identifies people in the data: how long it may be, and what it may look like."""

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import yaml

from privacy.api import contract
from privacy.customers.references import MAX_IDENTIFIER

from ..support.parquet_files import stored
from ..support.world import DATASETS

if TYPE_CHECKING:
    from ..support.world import World

BOB = "bob@example.org"
DIGEST = "ab" * 32
LONGEST = "a" * (MAX_IDENTIFIER - 12) + "@example.org"
TOO_LONG = "a" + LONGEST

ROWS: dict[str, Any] = {
    "jsonl": lambda *people: b"".join(b'{"email":"%s"}\n' % person.encode() for person in people),
    "csv": lambda *people: "\n".join(["email", *people, ""]).encode(),
    "parquet": lambda *people: stored(pa.table({"email": list(people)})),
}


def declare(world: "World", name: str) -> None:
    dataset = {
        "name": "p",
        "format": name,
        "prefix": "p/",
        "subject": "email",
        "personal": {"email": "email"},
    }
    world.declare(*DATASETS, dataset)


def ended(world: "World", person: str) -> tuple[str, int]:
    request = world.erase(person)
    world.run()
    assert world.deliver() == []
    done = world.request(request)
    return done.state, (done.detail or {}).get("unparsed_count", 0)


def people(content: bytes, name: str) -> str:
    """What a file says, also where it is packed."""
    if name == "parquet":
        return str(pa.parquet.read_table(io.BytesIO(content)).to_pylist())
    return content.decode()


def test_the_api_takes_what_the_readers_take() -> None:
    document = yaml.safe_load(contract.DOCUMENT.with_name("openapi.json").read_text())
    assert document["components"]["schemas"]["Identifier"]["maxLength"] == MAX_IDENTIFIER


@pytest.mark.parametrize("name", ROWS)
def test_the_longest_identifier_is_found(world: "World", name: str) -> None:
    declare(world, name)
    world.put("p/a", ROWS[name](LONGEST, BOB))
    assert ended(world, LONGEST) == ("completed", 0)
    assert LONGEST not in people(world.read("p/a"), name)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_nobody_can_ask_for_is_reported(world: "World", name: str) -> None:
    declare(world, name)
    world.put("p/a", ROWS[name](TOO_LONG, BOB))
    assert ended(world, BOB) == ("partial", 1)
    left = people(world.read("p/a"), name)
    assert TOO_LONG in left
    assert BOB not in left


@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_white_space_around_an_identifier_does_not_count(world: "World", name: str) -> None:
    declare(world, name)
    world.put("p/a", ROWS[name](BOB + " " * 600, "carl@example.org"))
    assert ended(world, BOB) == ("completed", 0)
    assert BOB not in people(world.read("p/a"), name)


@pytest.mark.parametrize("key", ["letters/a", "papers/a"])
def test_an_identifier_that_looks_like_a_reference_is_found(world: "World", key: str) -> None:
    world.put(key, b"dear", Metadata={"subject": DIGEST})
    world.put_letter("letters/bob", BOB)
    assert ended(world, DIGEST) == ("completed", 0)
    assert world.versions(key) == []
    assert world.versions("letters/bob")
    assert ended(world, BOB) == ("completed", 0)
    assert world.versions("letters/bob") == []
    world.deliver(*world.events)
    assert not [item for item in world.items() if "object" in item]


def test_an_object_whose_subject_came_late_goes_whichever_way_it_was_named(world: "World") -> None:
    world.put("letters/a", b"dear", indexed=False, Metadata={"subject": DIGEST})
    world.put_letter("letters/bob", BOB, indexed=False)
    request = world.erase(DIGEST, BOB)
    world.run()
    assert world.request(request).state == "completed"
    assert world.deliver() == []
    while world.requests.pending("acme", 1):
        world.run()
    assert not [key for key, _, _ in world.versions() if key.startswith("letters/")]
