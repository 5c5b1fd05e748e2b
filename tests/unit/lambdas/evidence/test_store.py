"""What evidence is called, and that it is written once."""

from typing import TYPE_CHECKING

import pytest

from privacy.evidence import store as evidence_store

from ..support.world import EVIDENCE

if TYPE_CHECKING:
    from ..support.world import World

ANNA = "anna@example.org"


def test_a_name_that_is_not_made_of_ids_is_no_name_of_evidence() -> None:
    for name in (ANNA, "../x", "A", "", "a//b", "a b"):
        with pytest.raises(ValueError, match="ids"):
            evidence_store.key_of("ledger", "acme", name)


def test_evidence_is_written_once_and_the_first_stands(world: "World") -> None:
    for number in range(2):
        assert evidence_store.put("replay", "acme", "r-1", {"n": number}) == "replay/acme/r-1.json"
    assert world.evidence("replay") == {"replay/acme/r-1.json": {"n": 0}}
    (version,) = world.s3.list_object_versions(Bucket=EVIDENCE)["Versions"]
    head = world.s3.head_object(Bucket=EVIDENCE, Key=version["Key"])
    assert head["ObjectLockMode"] == "COMPLIANCE"
