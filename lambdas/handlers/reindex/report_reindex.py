"""Step of a reindex after its comparisons: every difference becomes evidence."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.customers.registry import Registry
from privacy.reindex.report import report_reindex
from privacy.reindex.steps import open_reindex

_registry: Final = Registry.from_environment()


@reported("report")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, reindex_id, dry_run} → the same with `done` and, if done, `counts`; if not, call again."""
    step = open_reindex(_registry, event, "close")
    counts = report_reindex(step, context.get_remaining_time_in_millis)
    return {**step.ids, "done": counts is not None, "counts": counts or {}}
