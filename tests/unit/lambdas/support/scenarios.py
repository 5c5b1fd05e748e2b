"""Scenarios that are played in a region, undisturbed and with one call of them going wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import faulty_region, stored_state
from .faults import Fault
from .faulty_region import Region, Step

ANNA, BOB, CARL, DORA = stored_state.PEOPLE
MOST_STEPS = 100


def row(person: str, text: str = "") -> bytes:
    return b'{"author": {"email": "%s", "name": "?"}, "text": "%s"}\n' % (person.encode(), text.encode())


def post(label: str, operation: str, **body: object) -> Step:
    return Step(lambda region: region.post(label, operation, body))


SETTLE = Step(until=lambda region: region.progress.quiet)
INDEX = Step(until=lambda region: not region.progress.messages)
ERASE_ANNA = post("erasure of Anna", "erasure", subjects=[ANNA])


@dataclass(frozen=True)
class Moment:
    """The moment before the undisturbed scenario went on; the function called then, and its calls."""

    snapshot: bytes
    view: str
    position: int
    function: str | None
    calls: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """What happens, how the requests end, and which functions' calls go wrong from which step on."""

    steps: tuple[Step, ...]
    ends: dict[str, str]
    follow_ups: int = 0
    follow_ups_end: str = "completed"
    start: int = 0
    functions: frozenset[str] = frozenset(faulty_region.FUNCTIONS) - {"redrive_run", "replay_erasures"}
    broken: Callable[[str, Any], str | None] = lambda _function, _event: None
    redriven: bool = False
    chunks: int = 1
    floor: int = 45

    def disturbs(self, moment: Moment) -> bool:
        return moment.position >= self.start and moment.function in self.functions

    @property
    def all_ends(self) -> list[tuple[str, str]]:
        failures = [(label, "failed") for label in self.ends] if self.redriven else []
        return (
            sorted([*self.ends.items(), *failures]) + [("follow-up", self.follow_ups_end)] * self.follow_ups
        )


def undisturbed(region: Region, scenario: Scenario) -> list[Moment]:
    """Play the scenario to its end and return all of its moments."""
    region.scenario, region.broken = scenario.steps, scenario.broken
    moments = []
    while not region.over:
        snapshot, view, position = region.snapshot(), repr(region.view()), region.progress.position
        region.faults.calls.clear()
        region.invoked = None
        region.advance()
        moments.append(Moment(snapshot, view, position, region.invoked, tuple(region.faults.calls)))
    return moments


def disturbed(
    region: Region, moment: Moment, number: int, fault: Fault, known: frozenset[str]
) -> dict[str, Any] | None:
    """Go on from the moment with one fault; return what is there in the end, or None if that is no other.

    Once nothing tells the region any more from the undisturbed one at some moment, they go the same way.
    """
    region.restore(moment.snapshot)
    region.faults.choose(number, fault)
    for _ in range(MOST_STEPS):
        region.advance()
        assert region.faults.struck
        view = region.view()
        if repr(view) in known:
            return None
        if region.over:
            break
    return view


def differences(one: Any, other: Any) -> Any:  # noqa: ANN401 - views and their parts
    if isinstance(one, dict):
        names = one.keys() | other.keys()
        return {n: differences(one.get(n), other.get(n)) for n in names if one.get(n) != other.get(n)}
    if isinstance(one, list) and isinstance(other, list):
        return {"missing": [x for x in one if x not in other], "extra": [x for x in other if x not in one]}
    return one, other
