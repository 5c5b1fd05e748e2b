"""A reindex with each of its AWS calls going wrong once in each way: the end is always the same."""

import copy
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from components.machines.reindex import ReindexSteps, reindex_definition
from privacy import environment
from privacy.reindex import comparer
from privacy.reindex import plan as reindex_plan
from privacy.reindex import report as reindex_report
from privacy.vault import items as vault_items

from ..support import faulty_region, stored_state
from ..support.faults import Fault, thinned
from ..support.faulty_region import Region, Step
from ..support.scenarios import (
    ANNA,
    BOB,
    CARL,
    ERASE_ANNA,
    INDEX,
    SETTLE,
    Scenario,
    differences,
    disturbed,
    row,
    undisturbed,
)
from ..support.state_machine import Execution

pytestmark = pytest.mark.faults

FUNCTIONS = ("plan_reindex", "reindex_objects", "report_reindex", "clear_reindex")
DEFINITION = reindex_definition(
    ReindexSteps(
        plan="plan_reindex", compare="reindex_objects", report="report_reindex", clear="clear_reindex"
    ),
    2,
)
CHUNKS = 4
_AWS = BaseClient._make_api_call


def furnish(region: Region) -> None:
    for customer in stored_state.CUSTOMERS:
        region.put(customer, "feedback/a.jsonl", row(BOB))
        region.put(customer, "feedback/gone.jsonl", row(BOB))
        region.put(customer, "letters/1", b"dear sirs", Metadata={"subject": region.ref(customer, BOB)})


def lose_uploads(region: Region) -> None:
    region.put("acme", "feedback/late.jsonl", row(ANNA) + row(CARL))
    region.put("acme", "feedback/a.jsonl", row(BOB) + row(BOB) + row(CARL))
    region.progress.messages.clear()


def damage(region: Region) -> None:
    """Remove an object without telling anybody, and let the index say what is wrong."""
    region.delete_version("acme", "feedback/gone.jsonl")
    region.progress.messages.clear()
    table, dynamodb = "vault-acme", boto3.client("dynamodb")
    carls = vault_items.subject_pk(region.ref("acme", CARL))
    for item in stored_state.items(table):
        if item["sk"]["S"] == "object#letters/1":
            dynamodb.put_item(TableName=table, Item={**item, "pk": {"S": carls}})
            dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})


def start(region: Region) -> None:
    """Start a reindex by hand, as people do."""
    definition = copy.deepcopy(DEFINITION)
    region.progress.executions["reindex-1"] = Execution.start(definition, "reindex-1", {"customer": "acme"})


SCENARIO = Scenario(
    (
        Step(furnish), INDEX, Step(lose_uploads), ERASE_ANNA, SETTLE, Step(damage), Step(start), SETTLE,
    ),
    {"erasure of Anna": "completed"},
    start=7, functions=frozenset(FUNCTIONS), follow_ups=1,
)  # fmt: skip


class Evidence:
    """Answers for the evidence bucket, and keeps what is put there with what the region remembers."""

    def __init__(self, region: Region) -> None:
        self.region = region

    def __call__(self, client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        if parameters.get("Bucket") != "evidence":
            return _AWS(client, operation, parameters)
        assert (operation, parameters["IfNoneMatch"]) == ("PutObject", "*")
        kept = self.region.progress.outcomes
        if parameters["Key"] in kept:
            kind = client.exceptions.from_code("PreconditionFailed")
            raise kind({"Error": {"Code": "PreconditionFailed", "Message": "-"}}, operation)
        kept[parameters["Key"]] = [parameters["Key"], parameters["Body"].decode()]
        return {}


@pytest.fixture
def evidenced(faulty: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
    monkeypatch.setenv(environment.EVIDENCE_BUCKET, "evidence")
    monkeypatch.setattr(reindex_plan, "BATCH_VISITS", 2)
    monkeypatch.setattr(reindex_report, "PAGE", 4)
    # One repair after the other: the number of a call then always means the same call.
    monkeypatch.setattr(comparer, "_PARALLEL", 1)
    faulty.faults.services["s3"] = Evidence(faulty)
    for name in FUNCTIONS:
        faulty.functions[name] = faulty_region.compiled(name)
    return faulty


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_call_that_goes_wrong_changes_neither_the_index_nor_the_report(
    evidenced: Region, chunk: int
) -> None:
    moments = undisturbed(evidenced, SCENARIO)
    end = evidenced.view()
    assert end["ends"] == [*SCENARIO.ends.items(), ("follow-up", "completed")]
    report = [text for text in end["outcomes"] if text.startswith('["reindex/acme/')]
    assert len(report) == 4  # three pages and the counts
    for kind in ("missing-entry", "wrong-entry", "superfluous-entry", "unmarked-version", "vanished-object"):
        assert any(kind in text for text in report)
    known = frozenset({*(moment.view for moment in moments), repr(end)})

    places = [moment for moment in moments if moment.calls and SCENARIO.disturbs(moment)]
    assert {moment.function for moment in places} == set(FUNCTIONS)
    points = [
        (moment, number, fault)
        for moment in places
        for number, operation in enumerate(moment.calls)
        for fault in Fault
        if fault.applies_to(operation, number)
    ]
    assert len(points) >= 500
    points = thinned(points)
    deviations = []
    for moment, number, fault in points[chunk::CHUNKS]:
        other = disturbed(evidenced, moment, number, fault, known)
        if other is not None:
            what = f"{fault.name} at call {number} ({moment.calls[number]}) of {moment.function}"
            deviations.append(f"{what}: {differences(end, other)}")
    assert not deviations, "\n".join(deviations)


def test_the_neighbour_is_left_alone(evidenced: Region) -> None:
    moments = undisturbed(evidenced, SCENARIO)
    end = evidenced.view()
    evidenced.restore(moments[SCENARIO.start].snapshot)
    before = evidenced.view()
    assert before["tables"]["vault-zenith"] == end["tables"]["vault-zenith"] != []
