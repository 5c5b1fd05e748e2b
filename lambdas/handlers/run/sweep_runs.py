"""Every five minutes: start the runs that nobody started, free the customers whose run died."""

from typing import Final

from privacy.aws.failures import reported
from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.requests.sweep import sweep

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


@reported("sweep")
def handler(_event: object, _context: object) -> dict[str, int]:
    """Sweep every customer of the region; return how many runs were started."""
    return {"started": len(sweep(_registry.customer_ids(), _requests, _lock))}
