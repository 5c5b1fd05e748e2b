"""First step of a reindex: write down which objects to compare."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.customers.registry import Registry
from privacy.reindex.plan import batches, plan_reindex
from privacy.reindex.steps import open_reindex, unique_id

_registry: Final = Registry.from_environment()


@reported("plan-reindex")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{reindex_id, started, input: {customer, dry_run?}} → {customer, reindex_id, dry_run, done, batches}.

    With the moment at which it was started the id is one that no other reindex has, whatever its name.
    """
    reindex_id = unique_id(event["reindex_id"], event.get("started"))
    step = open_reindex(_registry, {**event["input"], "reindex_id": reindex_id}, "reindex")
    objects = plan_reindex(step.vault, step.reindex_id, context.get_remaining_time_in_millis)
    if objects is None:
        return {**step.ids, "done": False}
    return {**step.ids, "done": True, "batches": batches(objects)}
