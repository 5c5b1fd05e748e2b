"""Step of a reindex after its comparisons: every difference becomes evidence."""

from typing import Any, Final

from privacy import environment
from privacy.registry import Registry
from privacy.reindex_report import report_reindex
from privacy.reindex_steps import open_reindex
from privacy.run_steps import Context
from privacy.step_failures import reported

_registry: Final = Registry(environment.read(environment.REGISTRY_TABLE))


@reported("report")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, reindex_id, dry_run} → the same with `done` and, if done, `counts`; if not, call again."""
    step = open_reindex(_registry, event, "close")
    counts = report_reindex(step, context.get_remaining_time_in_millis)
    return {**step.ids, "done": counts is not None, "counts": counts or {}}
