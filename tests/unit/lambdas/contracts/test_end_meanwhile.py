"""Something happens before each AWS call of a contract's end: a hold, a renewal, an upload, a deployment.

Nothing is destroyed too early, nothing is left in the end, and nothing of anybody else is touched.
`make test` lets one thing happen before every second call, in turn; `make soak` each of them before each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from tests import properties

from ..support import destroyed_state, snapshots
from ..support.contract_region import ENDED, REGISTRY, Region
from .disturbed import World, disturbed
from .hours import DAY, HOUR, Hours

pytestmark = pytest.mark.faults

CHUNKS = 4
FLOOR = 670
"""Points there are at least: something that happens before some call."""

GONE = {"versions": [], "markers": [], "uploads": [], "items": None, "clients": []}


@dataclass
class End:
    """A contract's end in a region in which hours pass, and whose functions' calls can be disturbed."""

    world: World
    hours: Hours

    @property
    def region(self) -> Region:
        return self.world.region

    def save(self) -> snapshots.Snapshot:
        h = self.hours
        return snapshots.take((h.executions, h.inputs, h.ended, h.later))

    def put_back(self, saved: snapshots.Snapshot) -> None:
        h = self.hours
        h.executions, h.inputs, h.ended, h.later = snapshots.put_back(saved)

    @property
    def frozen(self) -> bool:
        return self.region.registry.destruction("acme") is not None

    def destroyed(self) -> bool:
        destruction = self.region.registry.destruction("acme")
        return destruction is not None and destruction.state == "destroyed"


@pytest.fixture
def end(region: Region, monkeypatch: pytest.MonkeyPatch) -> Iterator[End]:
    hours = Hours(region)
    with hours.passing(), disturbed(region, monkeypatch) as world:
        hours.invoke = world.invoke
        yield End(world, hours)


def hold(end: End) -> None:
    end.region.register("acme", contract_ends=ENDED, hold="litigation, case 1")


def renew(end: End) -> None:
    end.region.register("acme", contract_ends=date(2099, 12, 31))


def upload(end: End) -> None:
    """A program with a signed URL, and one that has passed the API's check."""
    s3, bucket = end.region.aws("s3"), end.region.bucket("acme")
    s3.put_object(Bucket=bucket, Key="feedback/late.jsonl", Body=b"{}")
    s3.put_object(Bucket=bucket, Key="feedback/0.jsonl", Body=b"{}")
    s3.create_multipart_upload(Bucket=bucket, Key="feedback/late-parts")
    end.region.ask("acme")


def deploy(end: End) -> None:
    """A table that was restored, a dataset that was taken out, other days."""
    end.region.register(
        "acme",
        contract_ends=ENDED,
        table=f"{end.region.table('acme')}.r2",
        datasets=[],  # type: ignore[arg-type]  # facts of the entry
        key_deletion_days=30,  # type: ignore[arg-type]
    )


def take_away(end: End) -> None:
    """Lines that somebody removes by force, against what `pulumi up` says."""
    for pk in ("customer#acme", *(f"client#{each}" for each in end.region.clients["acme"])):
        end.region.aws("dynamodb").delete_item(TableName=REGISTRY, Key={"pk": {"S": pk}})


def start_another(end: End) -> None:
    end.hours.start("another")


def watch(end: End) -> None:
    end.hours.pass_by(HOUR)


HAPPENINGS: dict[str, Callable[[End], None]] = {
    each.__name__: each for each in (hold, renew, upload, deploy, take_away, start_another, watch)
}


@dataclass(frozen=True)
class Moment:
    """The moment before a function was called; which one, and which AWS calls it made."""

    saved: snapshots.Snapshot
    function: str
    calls: tuple[str, ...]


def undisturbed(end: End) -> list[Moment]:
    """Carry out an execution until nothing but the key is left; return its moments."""
    moments, execution = [], end.hours.start()
    while execution.waiting_until is None:
        saved = end.save()
        end.world.faults.calls.clear()
        execution.advance(end.world.invoke)
        assert end.world.invoked is not None
        moments.append(Moment(saved, end.world.invoked, tuple(end.world.faults.calls)))
    return moments


def happens(end: End, number: int, act: Callable[[End], None]) -> bool:
    """Let it happen before a call of the function that is next; return whether the customer was frozen."""
    frozen: list[bool] = []

    def meanwhile() -> None:
        frozen.append(end.frozen)
        act(end)

    end.world.faults.before(number, meanwhile)
    end.hours.executions["by-the-schedule"].advance(end.world.invoke)
    assert end.world.faults.struck
    return frozen[0]


def exceptions(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document.get("exceptions", [])
    return found


def judged(end: End, happening: str, *, frozen: bool) -> str | None:
    """Go on to the end after something has happened; return what is wrong there, or None.

    `frozen` says whether the customer was when it happened.
    """
    region, hours = end.region, end.hours
    if happening == "hold":
        hours.pass_by(2 * HOUR)
        before = region.contents("acme")
        hours.pass_by(8 * DAY, DAY / 2)
        after = region.contents("acme")
        if after != before:
            return "something was destroyed under a hold"
        if after["key"] not in {"Enabled", "Disabled"}:
            return f"the key is not kept: {after['key']}"
        region.register("acme", contract_ends=ENDED)
        hours.pass_by(HOUR)
    else:
        hours.settle()
        if happening == "take_away" and not end.frozen:
            return None  # nobody knows the customer any more
        hours.pass_by(2 * HOUR)
    if happening == "renew" and not end.frozen:
        return None
    left = region.contents("acme")
    if happening == "deploy" and not frozen:
        left["items"] = None  # what was deployed when it was frozen is what goes: a table that is not there
        if [{"what": "table", "problem": "not-found"}] not in map(exceptions, region.evidence().values()):
            return "nobody says that the table was not there"
    if {name: left[name] for name in GONE} != GONE:
        return f"something is left: {left}"
    if region.requests.pending("acme", 1, waiting=True):
        return "a request is open"
    hours.pass_by(34 * DAY, DAY)  # the longest that a key waits, and its end
    return None if end.destroyed() else f"never destroyed: {region.registry.destruction('acme')}"


def points_of(moments: list[Moment]) -> list[tuple[Moment, int, str]]:
    calls = [(moment, number) for moment in moments for number in range(len(moment.calls))]
    points = [(moment, number, happening) for moment, number in calls for happening in HAPPENINGS]
    assert len(points) >= FLOOR, len(points)
    if properties.soaking():
        return points
    turns = list(HAPPENINGS)
    return [(moment, number, turns[turn % len(turns)]) for turn, (moment, number) in enumerate(calls[::2])]


def too_late(moment: Moment, number: int, happening: str) -> bool:
    """Whether it comes when all has been read back: on AWS the bucket's policy refuses an upload then."""
    if happening != "upload" or moment.function != "verify_destruction":
        return False
    return "ListObjectVersions" in moment.calls[:number]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_happens_before_a_call_nothing_goes_too_early_and_nothing_is_left(
    end: End, chunk: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    neighbour = destroyed_state.neighbour(end.region)
    untouched = end.region.contents("acme")
    moments = undisturbed(end)
    wrong, covered = [], 0
    for moment, number, happening in points_of(moments)[chunk::CHUNKS]:
        if too_late(moment, number, happening):
            continue
        end.put_back(moment.saved)
        frozen = happens(end, number, HAPPENINGS[happening])
        told = judged(end, happening, frozen=frozen)
        if told is None and happening in {"renew", "take_away"} and not end.frozen:
            now = end.region.contents("acme")
            told = None if now == untouched else "something was destroyed before the freeze"
        if told is not None:
            at = f"{happening} before call {number} ({moment.calls[number]}) of {moment.function}"
            wrong.append(f"{at}: {told}")
        if destroyed_state.neighbour(end.region) != neighbour:
            wrong.append(f"{happening} at {number} of {moment.function}: somebody else's is not as it was")
        covered += 1
    record_testsuite_property(f"happenings at a contract's end, {chunk}", covered)
    assert not wrong, "\n".join(wrong)
