"""A run and all around it, with each AWS call going wrong once in each way: the end is always the same."""

import gzip
import json
from collections.abc import Callable

import pytest

from ..region import client
from ..support import stored_state
from ..support.faults import Fault, thinned
from ..support.faulty_region import Region, Step
from ..support.scenarios import (
    ANNA,
    BOB,
    CARL,
    DORA,
    ERASE_ANNA,
    INDEX,
    SETTLE,
    Scenario,
    differences,
    disturbed,
    post,
    row,
    undisturbed,
)

pytestmark = pytest.mark.faults

LARGE = b"".join(row(DORA, "x" * 900) for _ in range(25))


def furnish(region: Region) -> None:
    """Both customers have data about the same people under the same keys."""
    for customer in stored_state.CUSTOMERS:
        region.put(customer, "feedback/a.jsonl", row(ANNA) + row(BOB))
        mixed = row(BOB) + row(ANNA) + b"not json\n" + row(DORA)
        region.put(customer, "feedback/a.jsonl", mixed, Tagging="a=1")
        region.put(customer, "feedback/a.jsonl.bak", row(DORA))
        for _ in range(2):
            region.put(customer, "letters/1", b"dear sirs", Metadata={"subject": region.ref(customer, ANNA)})
        region.put_record(customer, "1", ANNA, name="Anna")
        region.put_record(customer, "2", BOB, name="Rob")


def furnish_more(region: Region) -> None:
    large = row(ANNA) + LARGE + row(ANNA) + LARGE
    region.put("acme", "feedback/large.jsonl", large, ContentType="application/x-ndjson", Metadata={"a": "b"})
    region.put("acme", "feedback/packed.jsonl", gzip.compress(row(ANNA) + row(BOB), mtime=0))
    region.put("acme", "feedback/stale.jsonl", LARGE + LARGE)
    region.put("acme", "feedback/stale.jsonl", row(ANNA))
    region.deliver_all()
    region.delete_version("acme", "feedback/stale.jsonl")
    region.put("acme", "feedback/hidden.jsonl", row(ANNA))
    region.hide("acme", "feedback/hidden.jsonl")


def furnish_without_index(region: Region) -> None:
    """Files that are walked, and archived ones: known to the index, and never looked into."""
    more = [
        {"name": "dumps", "format": "jsonl", "prefix": "dumps/", "subject": "author.email",
         "personal": {"author.email": "email"}, "as_of": "at", "index": "scan"},
        {"name": "cellar", "format": "jsonl", "prefix": "cellar/", "subject": "author.email",
         "personal": {"author.email": "email"}, "archived": "restore"},
    ]  # fmt: skip
    client("dynamodb").update_item(
        TableName=stored_state.REGISTRY,
        Key={"pk": {"S": "customer#acme"}},
        UpdateExpression="SET datasets = :datasets",
        ExpressionAttributeValues={":datasets": {"S": json.dumps([*stored_state.DATASETS, *more])}},
    )
    region.put("acme", "dumps/current.jsonl", row(BOB) + row(ANNA))
    region.put("acme", "dumps/older.jsonl", row(BOB))
    region.put("acme", "dumps/older.jsonl", row(ANNA))
    region.put("acme", "dumps/older.jsonl", row(BOB))
    for _ in range(2):
        region.put("acme", "dumps/others.jsonl", row(BOB))
    region.put("acme", "cellar/unread.jsonl", row(BOB) + row(ANNA), StorageClass="GLACIER")
    region.put("acme", "feedback/a.jsonl", row(ANNA) + b"not json\n")
    region.progress.messages = [
        message for message in region.progress.messages
        if not message["s3"]["object"]["key"].startswith("dumps/")
    ]  # fmt: skip


def furnish_little(region: Region) -> None:
    for customer in stored_state.CUSTOMERS:
        region.put(customer, "feedback/b.jsonl", row(BOB))


def restore(region: Region) -> None:
    """Somebody puts back what there was before everything."""
    furnish_little(region)
    region.put_record("acme", "2", BOB, name="Rob")


def overwrite(region: Region) -> None:
    region.put("acme", "feedback/b.jsonl", row(BOB) + row(ANNA) + b"not json\n")


def overwrite_legibly(region: Region) -> None:
    region.put("acme", "feedback/b.jsonl", row(BOB) + row(ANNA) + row(DORA))


def upload(region: Region) -> None:
    region.put("acme", "feedback/new.jsonl", row(ANNA) + row(CARL))
    region.put("acme", "letters/a b+c", b"dear sirs", Metadata={"subject": region.ref("acme", ANNA)})


def remove_what_was_uploaded(region: Region) -> None:
    for key in ("feedback/new.jsonl", "feedback/b.jsonl"):
        region.delete_version("acme", key)


ALIEN = b"PK\x03\x04 whose this is, nobody can tell\n"


def upload_what_nobody_can_attribute(region: Region) -> None:
    for key in ("mended", "deleted", "hidden"):
        region.put("acme", f"feedback/{key}.jsonl", ALIEN)
    region.put("acme", "letters/without-subject", b"dear sirs")
    region.put("acme", "stray/a", b"below no dataset's prefix")
    region.put("acme", "feedback/b.jsonl", row(BOB) + row(ANNA))


def mend_what_nobody_could_attribute(region: Region) -> None:
    region.put("acme", "feedback/mended.jsonl", row(DORA))
    region.hide("acme", "feedback/hidden.jsonl")
    for key in ("feedback/deleted.jsonl", "letters/without-subject", "stray/a"):
        region.delete_version("acme", key)


def hold_back(region: Region) -> None:
    region.progress.held, region.progress.messages = region.progress.messages, []


def release(region: Region) -> None:
    region.progress.messages += region.progress.held
    region.progress.held = []


def lose_the_run(region: Region) -> None:
    """Somebody stops the run's execution by hand."""
    assert region.running is not None
    region.running.status = "ABORTED"


def mend(region: Region) -> None:
    region.progress.mended = True


def planned(region: Region) -> bool:
    return any("Plan" in execution.done for execution in region.progress.executions.values())


ERASE_BOB = post("erasure of Bob", "erasure", subjects=[BOB])
CORRECT_BOB = post(
    "correction of Bob", "correction", subject=BOB,
    changes=[
        {"dataset": "feedback", "set": {"author.name": "Bob"}},
        {"dataset": "profiles", "set": {"name": "Bob"}},
    ],
)  # fmt: skip
CORRECT_DORA = post(
    "correction of Dora", "correction", subject=DORA,
    changes=[{"dataset": "feedback", "set": {"author.name": "Dora"}}],
)  # fmt: skip


RUNNING = frozenset({"plan_run", "visit_objects", "verify_run", "complete_run"})
SCENARIOS = {
    "requests and their run": Scenario(
        (Step(furnish), Step(furnish_more), INDEX, ERASE_ANNA, CORRECT_BOB, SETTLE),
        {"erasure of Anna": "partial", "correction of Bob": "partial"},
        start=3, chunks=4, floor=900,
    ),
    "a request during a run": Scenario(
        (Step(furnish_little), INDEX, ERASE_ANNA, Step(until=planned), ERASE_BOB, SETTLE),
        {"erasure of Anna": "completed", "erasure of Bob": "completed"},
        start=4, functions=frozenset({"create_erasure_request", "complete_run"}),
    ),
    "the first request of all": Scenario(
        (ERASE_ANNA, SETTLE), {"erasure of Anna": "completed"},
        functions=frozenset({"create_erasure_request"}),
    ),
    "uploads, late ones, and removals": Scenario(
        (
            Step(furnish_little), INDEX, Step(overwrite), INDEX,
            Step(upload), Step(hold_back), ERASE_ANNA, SETTLE, Step(release), SETTLE,
            Step(remove_what_was_uploaded), SETTLE,
        ),
        {"erasure of Anna": "partial"}, follow_ups=2, follow_ups_end="partial",
        functions=frozenset({"index_objects"}), chunks=2, floor=400,
    ),
    "a late arrival in somebody else's visit": Scenario(
        (
            Step(furnish_little), INDEX, Step(overwrite), Step(hold_back), ERASE_ANNA, SETTLE,
            ERASE_BOB, SETTLE, Step(release), SETTLE,
        ),
        {"erasure of Anna": "completed", "erasure of Bob": "partial"},
        start=6, functions=frozenset({"visit_objects", "index_objects"}), floor=150,
    ),
    "files without an index, and archived ones": Scenario(
        (Step(furnish_without_index), INDEX, ERASE_ANNA, SETTLE),
        {"erasure of Anna": "partial"},
        start=1, functions=frozenset({"index_objects", "plan_run", "visit_objects", "complete_run"}),
        chunks=2, floor=300,
    ),
    "a changed object indexed in its visit, and visited by positions": Scenario(
        (
            Step(furnish_little), INDEX, Step(overwrite_legibly), Step(hold_back), ERASE_BOB, SETTLE,
            Step(release), SETTLE, CORRECT_DORA, SETTLE, ERASE_ANNA, SETTLE,
        ),
        {
            "erasure of Bob": "completed", "correction of Dora": "completed",
            "erasure of Anna": "completed",
        },
        start=4, functions=frozenset({"visit_objects", "index_objects"}), floor=150,
    ),
    "what nobody can attribute, and what becomes of it": Scenario(
        (
            Step(upload_what_nobody_can_attribute), INDEX, ERASE_ANNA, SETTLE,
            Step(mend_what_nobody_could_attribute), INDEX, ERASE_BOB, SETTLE,
        ),
        {"erasure of Anna": "partial", "erasure of Bob": "completed"},
        start=1, functions=frozenset({"index_objects", "plan_run", "visit_objects", "complete_run"}),
        chunks=2, floor=400,
    ),
    "a run that is abandoned": Scenario(
        (Step(furnish), INDEX, ERASE_ANNA, SETTLE), {"erasure of Anna": "failed"},
        functions=frozenset({"complete_run"}),
        broken=lambda function, _event: "ClientError" if function == "verify_run" else None,
    ),
    "a run that is abandoned and redriven": Scenario(
        (
            Step(furnish), INDEX, ERASE_ANNA, CORRECT_BOB, SETTLE, Step(mend), Step(Region.redrive), SETTLE,
        ),
        {"erasure of Anna": "partial", "correction of Bob": "partial"}, redriven=True,
        functions=frozenset({"complete_run", "redrive_run"}),
        broken=lambda function, _event: "ClientError" if function == "verify_run" else None,
    ),
    "a replay after a restoration": Scenario(
        (
            Step(furnish_little), INDEX, ERASE_BOB, SETTLE, Step(restore), INDEX,
            Step(lambda region: region.start_replay("acme")), SETTLE,
        ),
        {"erasure of Bob": "completed"}, follow_ups=1,
        start=7, functions=RUNNING | {"replay_erasures"}, chunks=2, floor=200,
    ),
    "a run that is stopped": Scenario(
        (Step(furnish), INDEX, ERASE_ANNA, Step(until=planned), Step(lose_the_run), SETTLE),
        {"erasure of Anna": "partial"},
        start=4, functions=frozenset({"sweep_runs"}),
    ),
}  # fmt: skip


@pytest.fixture
def region(faulty: Region) -> Region:
    return faulty


@pytest.mark.parametrize(
    ("name", "chunk"), [(name, chunk) for name, s in SCENARIOS.items() for chunk in range(s.chunks)]
)
def test_a_call_that_goes_wrong_changes_nothing_in_the_end(
    region: Region, name: str, chunk: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    scenario = SCENARIOS[name]
    moments = undisturbed(region, scenario)
    end = region.view()
    assert end["ends"] == scenario.all_ends
    known = frozenset({*(moment.view for moment in moments), repr(end)})

    places = [moment for moment in moments if moment.calls and scenario.disturbs(moment)]
    assert {moment.function for moment in places} == scenario.functions
    points = [
        (moment, number, fault)
        for moment in places
        for number, operation in enumerate(moment.calls)
        for fault in Fault
        if fault.applies_to(operation, number)
    ]
    assert len(points) >= scenario.floor
    points = thinned(points)
    covered, deviations = 0, []
    for moment, number, fault in points[chunk :: scenario.chunks]:
        what = f"{fault.name} at call {number} ({moment.calls[number]}) of {moment.function}"
        other = disturbed(region, moment, number, fault, known)
        if other is not None:
            deviations.append(f"{what}: {differences(end, other)}")
        if stored_state.values_without_request() and not fault.kills:
            deviations.append(f"{what}: a correction's values are kept for nothing")
        covered += 1
    record_testsuite_property(f"fault points: {name}, {chunk}", covered)
    assert not deviations, "\n".join(deviations)
    assert covered == len(range(chunk, len(points), scenario.chunks))


def test_the_neighbour_is_left_alone(region: Region) -> None:
    moments = undisturbed(region, SCENARIOS["requests and their run"])
    end = region.view()
    region.restore(moments[SCENARIOS["requests and their run"].start].snapshot)
    start = region.view()
    assert start["tables"]["vault-zenith"] == end["tables"]["vault-zenith"] != []
    ours, theirs = ({k: v for k, v in view["objects"].items() if "zenith" in k} for view in (start, end))
    assert ours == theirs != {}
