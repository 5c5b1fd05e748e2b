"""A visit, or a comparison, that goes on after its run has ended leaves nothing, and takes nothing new."""

from typing import TYPE_CHECKING, Any

import pytest

from privacy.identifiers import uuid7
from privacy.reindex.items import Comparisons
from privacy.vault import sessions
from privacy.visits import batch
from privacy.visits import records as record_visits
from privacy.visits.items import Visits

if TYPE_CHECKING:
    from ..support.world import World

ANNA = "anna@example.org"


def kept(world: "World", kind: str) -> list[dict[str, Any]]:
    return [item for item in world.items() if item["pk"]["S"].startswith(f"{kind}#")]


def end(world: "World", run: str) -> None:
    world.call("verify_run", {"customer": "acme", "run_id": run})
    world.complete(run)


def test_a_visit_that_is_done_after_its_run_leaves_no_item(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a", b'{"author":{"email":"anna@example.org"}}\n')
    world.erase(ANNA)
    run = uuid7()
    planned = world.plan(run)
    visit_object = batch.visit_object

    def slowly(*arguments: Any) -> object:  # noqa: ANN401
        outcome = visit_object(*arguments)
        world.complete(run, error="States.Timeout", step="visit")
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(batch, "visit_object", slowly)
        world.visit(planned)
    assert kept(world, "run") == []


@pytest.mark.parametrize("asked", ["erasure", "correction"])
def test_a_visit_of_records_takes_nothing_that_came_after_its_run(
    world: "World", asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another attempt did all of it; the run ended, and the person came back."""
    world.put_record("r1", ANNA, name="as it was")
    if asked == "erasure":
        world.erase(ANNA)
    else:
        world.correct(ANNA, [{"dataset": "profiles", "set": {"name": "right"}}])
    run = uuid7()
    planned = world.plan(run)
    visit_records = record_visits.visit_records

    def late(*arguments: Any) -> object:  # noqa: ANN401
        with monkeypatch.context() as inner:
            inner.setattr(batch, "visit_records", visit_records)
            world.visit(planned)
        end(world, run)
        world.put_record("r1", ANNA, name="new")
        return visit_records(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "visit_records", late)
        with pytest.raises(Exception, match="1 of the visits"):
            world.visit(planned)
    (record,) = [item for item in world.items() if "record_id" in item]
    assert record["fields"]["S"] == '{"name":"new"}'
    assert kept(world, "run") == []
    assert len(kept(world, "record")) == 1


def test_a_verification_of_a_run_that_is_over_leaves_no_item(world: "World") -> None:
    opened = sessions.open_vault(world.customer, "verify")
    Visits(opened, uuid7()).note_request_problem(uuid7(), None)
    assert kept(world, "run") == []


def test_a_comparison_of_a_reindex_that_is_over_leaves_no_item(world: "World") -> None:
    world.put("feedback/a", b'{"author":{"email":"anna@example.org"}}\n')
    comparisons = Comparisons(sessions.open_vault(world.customer, "reindex"), uuid7())
    comparisons.write(["feedback/a"])
    (comparison,) = comparisons.between("0", "f")
    comparisons.remove(list(comparisons.sort_keys()))
    comparisons.begin(comparison)
    comparisons.note_failure(comparison, "ClientError")
    comparisons.mark_done(comparison)
    assert kept(world, "reindex") == []
