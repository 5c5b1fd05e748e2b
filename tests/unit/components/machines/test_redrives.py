"""What Step Functions redrives: an execution goes on at the state that failed, if nothing caught it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.machines.catalogue import MACHINES
from components.naming import RegionNames

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
REDRIVEN = {"contract-end", "reindex", "replay"}
"""What docs/operating.md tells people to redrive; a run has a function for it, an export is asked anew."""


def states(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every state, also those of maps."""
    for state in machine["States"].values():
        yield state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def test_the_machines_that_people_are_told_to_redrive_are_marked() -> None:
    assert {name for name, spec in MACHINES.items() if spec.redriven} == REDRIVEN


@pytest.mark.parametrize("name", sorted(REDRIVEN))
def test_nothing_catches_an_error_that_a_redrive_would_have_to_find(name: str) -> None:
    spec = MACHINES[name]
    definition = spec.definition(dict.fromkeys(spec.steps, "arn:function"), 2)
    assert not [state for state in states(definition) if "Catch" in state or state["Type"] == "Fail"]


@pytest.mark.parametrize("name", MACHINES)
def test_only_a_map_that_is_redriven_may_redrive_its_batches(name: str) -> None:
    spec = MACHINES[name]
    allowed = json.dumps([statement.actions for statement in spec.rights(NAMES)])
    assert ("states:RedriveExecution" in allowed) == (spec.redriven and spec.distributed)
