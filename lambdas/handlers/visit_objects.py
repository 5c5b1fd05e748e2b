"""A batch of a run's visits: erase and correct in objects and records."""

from typing import Any, Final

from privacy import environment
from privacy.registry import Registry
from privacy.run_steps import Context, open_step
from privacy.visiting import Visitor

_registry: Final = Registry(environment.read(environment.REGISTRY_TABLE))


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, run_id, first, last} → the same with `done`; if not done, `first` is where to go on."""
    step = open_step(_registry, event, "visit")
    first, last = event["first"], event["last"]
    stopped = Visitor(step.vault, step.run_id).visit_batch(first, last, context.get_remaining_time_in_millis)
    if stopped is None:
        return {**step.ids, "first": first, "last": last, "done": True}
    return {**step.ids, "first": stopped, "last": last, "done": False}
