"""A part of a reindex: compare objects with the index, and put the index right."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.customers.registry import Registry
from privacy.index.indexer import Indexer
from privacy.reindex.batch import compare_between
from privacy.reindex.comparer import Comparer
from privacy.reindex.steps import open_reindex
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


@reported("compare")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, reindex_id, dry_run, first, last} → the same with `done`; if not done, call again."""
    step = open_reindex(_registry, event, "reindex")
    comparer = Comparer(Indexer(step.vault, _requests, _lock), step.comparisons, step.dry_run)
    first, last = event["first"], event["last"]
    done = compare_between(comparer, first, last, context.get_remaining_time_in_millis)
    return {**step.ids, "first": first, "last": last, "done": done}
