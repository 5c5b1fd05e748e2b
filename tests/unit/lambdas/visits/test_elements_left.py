"""`remove: element`: people who cannot be taken out of a row stay findable, and every erasure says so."""

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from privacy.identifiers import uuid7
from privacy.visits.items import Visits

from ..support.parquet_files import stored

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"

TITLE_TWICE = b'{"members":["anna@example.org","bob@example.org"],"title":"a","title":"b"}\n'
NOT_ALL_SINGLE = b'{"members":["anna@example.org",["x"]],"title":"a"}\n'
PLAIN = b'{"members":["anna@example.org","bob@example.org"],"title":"c"}\n'


def members(*people: str) -> list[dict[str, str]]:
    return [{"email": person} for person in people]


def field_twice() -> bytes:
    """A file whose list of members is there twice."""
    kind = pa.list_(pa.struct([("email", pa.string())]))
    columns = [pa.array([members(ANNA, BOB)], kind), pa.array([members(BOB)], kind)]
    return stored(pa.Table.from_arrays(columns, names=["members", "members"]))


LEFT = [
    pytest.param("threads/a", TITLE_TWICE, TITLE_TWICE, id="member of the row twice"),
    pytest.param("threads/a", NOT_ALL_SINGLE, NOT_ALL_SINGLE, id="element that is no identifier"),
    pytest.param(
        "threads/a",
        PLAIN + TITLE_TWICE,
        b'{"members":["bob@example.org"],"title":"c"}\n' + TITLE_TWICE,
        id="one row of two",
    ),
    pytest.param("groups/a", field_twice(), field_twice(), id="parquet"),
]


def erased(world: "World", *people: str) -> tuple[str, int]:
    """The state of an erasure, and how many rows it reports."""
    request = world.erase(*people)
    world.run()
    assert world.deliver() == []
    done = world.request(request)
    return done.state, (done.detail or {}).get("unparsed_count", 0)


@pytest.mark.parametrize(("key", "body", "after"), LEFT)
def test_who_cannot_be_taken_out_is_reported_each_time(
    world: "World", key: str, body: bytes, after: bytes
) -> None:
    world.put(key, body)
    assert erased(world, ANNA) == ("partial", 1)
    assert world.contents(key) == [after]
    assert world.partition(ANNA) == ["erased", f"object#{key}"]
    assert erased(world, ANNA) == ("partial", 1)
    assert erased(world, ANNA, BOB)[0] == "partial"
    assert world.partition(ANNA) == ["erased", f"object#{key}"]


@pytest.mark.parametrize(("key", "body", "after"), LEFT)
def test_a_visit_that_is_made_again_leaves_the_same(
    world: "World", key: str, body: bytes, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt ends before it is noted that the visit is done."""
    world.put(key, body)
    request, run = world.erase(ANNA), uuid7()
    planned = world.plan(run)
    with monkeypatch.context() as patch:
        patch.setattr(Visits, "mark_done", lambda *_: 1 / 0)
        with pytest.raises(Exception, match="failed"):
            world.visit(planned)
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": run})
    world.complete(run)
    assert world.request(request).state == "partial"
    assert world.contents(key) == [after]
    assert world.partition(ANNA) == ["erased", f"object#{key}"]


@pytest.mark.parametrize(("key", "body"), [("threads/a", TITLE_TWICE), ("groups/a", field_twice())])
def test_a_mended_file_is_erased_from_and_the_entry_goes(world: "World", key: str, body: bytes) -> None:
    world.put(key, body)
    assert erased(world, ANNA) == ("partial", 1)
    mended = PLAIN if key.startswith("threads") else stored(pa.table({"members": [members(ANNA, BOB)]}))
    world.put(key, mended)
    assert erased(world, ANNA) == ("completed", 0)
    assert world.partition(ANNA) == ["erased"]
    assert ANNA.encode() not in b"".join(world.contents(key))


def test_a_missing_entry_of_a_reported_object_does_not_hide_what_else_is_left(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only entries of objects whose visits say so may stay."""
    world.put("threads/a", TITLE_TWICE)
    world.put("threads/b", PLAIN)
    with monkeypatch.context() as patch:
        patch.setattr("privacy.index.entries.drop_entries", lambda *_: None)
        assert erased(world, ANNA)[0] == "failed"
