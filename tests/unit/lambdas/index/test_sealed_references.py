"""Files whose metadata say in a sealed form whose they are: found, erased and compared like any other."""

import logging
from typing import TYPE_CHECKING

import pytest

from ..support.reindexing import kinds, lose_everything, reindex

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
ANOTHER_VAULTS = "sealed-reference-1." + "A" * 80


def test_files_sealed_and_files_with_a_plain_reference_are_one_persons(world: "World") -> None:
    world.put("letters/sealed", b"dear sirs", Metadata={"subject": world.sealed(ANNA)})
    world.put("letters/sealed again", b"dear sirs", Metadata={"subject": world.sealed(" Anna@Example.org")})
    world.put("letters/of before", b"dear sirs", Metadata={"subject": world.ref(ANNA)})
    other = world.put("letters/other", b"dear sirs", Metadata={"subject": world.sealed(BOB)})
    assert world.partition(ANNA) == [
        "object#letters/of before",
        "object#letters/sealed",
        "object#letters/sealed again",
    ]
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert world.versions() == [("letters/other", other, False)]


def test_a_file_that_comes_late_is_erased_by_its_sealed_reference(world: "World") -> None:
    world.put("letters/1", b"dear sirs", indexed=False, Metadata={"subject": world.sealed(ANNA)})
    world.erase(ANNA)
    world.run()
    assert world.deliver() == []
    world.run()
    assert world.versions() == []


def test_a_reindex_opens_what_was_sealed(world: "World") -> None:
    world.put("letters/1", b"dear sirs", Metadata={"subject": world.sealed(ANNA)})
    assert kinds(world, reindex(world)) == {}
    lose_everything(world)
    assert kinds(world, reindex(world)) == {"missing-entry": 1, "unmarked-version": 1}
    assert world.partition(ANNA) == ["object#letters/1"]


def test_a_seal_that_does_not_open_is_said_and_never_taken_for_nobody(
    world: "World", caplog: pytest.LogCaptureFixture
) -> None:
    world.put_letter("letters/1", ANNA)
    with caplog.at_level(logging.INFO):
        kept = world.put("letters/1", b"dear sirs", Metadata={"subject": ANOTHER_VAULTS})
    assert "subjects=0 rows=0 unreadable=1" in caplog.text
    request = world.erase(ANNA)
    world.run()
    assert world.versions() == [("letters/1", kept, False)]
    found = world.request(request)
    assert (found.state, (found.detail or {})["unparsed_count"]) == ("partial", 1)
    assert "upload it again" in (found.detail or {})["unparsed"][0]["reason"]


@pytest.mark.parametrize("text", ["sealed-reference-2.abc", "sealed-reference-1", "SEALED-REFERENCE-1.abc"])
def test_a_sealed_reference_of_another_kind_is_nobodys_identifier(world: "World", text: str) -> None:
    world.put("letters/1", b"dear sirs", Metadata={"subject": text})
    assert world.partition(text) == []
    assert [world.erased(ANNA).state for _ in range(2)] == ["partial", "partial"]
