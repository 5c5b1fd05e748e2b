"""A batch of a run's visits: erase and correct in objects and records."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.customers.registry import Registry
from privacy.run.steps import open_step
from privacy.visits.batch import Visitor

_registry: Final = Registry.from_environment()


@reported("visit")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, run_id, first, last} → the same with `done`; if not done, first and last are what is left.

    With `backward` the last comes first. With an `error`, which the batch was given up with, nothing is
    visited: it is noted on what is not done.
    """
    step = open_step(_registry, event, "visit")
    visitor, first, last = Visitor(step.visits), event["first"], event["last"]
    if "error" in event:
        visitor.note_abandoned(first, last, event["error"])
        return {**step.ids, "first": first, "last": last, "done": True}
    # A visit that takes its function down with it stops those behind it. So the last attempts come from the
    # other end, and all but that one get done.
    # Runs that began under the definition before this one tell the number of the attempt instead.
    backward = event.get("backward", event.get("attempt", 0) % 2 == 1)
    remaining = context.get_remaining_time_in_millis
    left = visitor.visit_batch(first, last, remaining, backward=backward)
    if left is None:
        return {**step.ids, "first": first, "last": last, "done": True}
    return {**step.ids, "first": left[0], "last": left[1], "done": False}
