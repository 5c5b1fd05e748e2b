"""Every five minutes: start the runs that nobody started, free the customers whose run died."""

from typing import Final

from privacy import environment
from privacy.aws.failures import reported
from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.requests.sweep import sweep

_registry: Final = Registry(environment.read(environment.REGISTRY_TABLE))
_requests: Final = RequestStore(environment.read(environment.REQUEST_TABLE))
_lock: Final = RunLock(
    environment.read(environment.REQUEST_TABLE), environment.read(environment.RUN_STATE_MACHINE_ARN)
)


@reported("sweep")
def handler(_event: object, _context: object) -> dict[str, int]:
    """Sweep every customer of the region; return how many runs were started."""
    return {"started": len(sweep(_registry.customer_ids(), _requests, _lock))}
