"""Last step of a run, also of one that failed: end its requests and start the next run."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.run.complete import complete_run
from privacy.run.steps import open_step

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


@reported("complete")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, run_id} → {customer, run_id, next_run}: the id of the run it started, or null.

    A run that failed comes with the `error` and the `step` that it ended with.
    """
    run = open_step(_registry, event, "close")
    next_run = complete_run(
        run.vault, _requests, _lock, run.run_id, error=event.get("error"), step=event.get("step")
    )
    return {**run.ids, "next_run": next_run}
