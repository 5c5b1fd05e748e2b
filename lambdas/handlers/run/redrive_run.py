"""For the operator: have the requests that failed in a run taken up again."""

import re
from typing import Any, Final

from privacy.aws.failures import reported
from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.run.redrive import RedriveRefusedError, redrive_run

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()

_RUN_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@reported("redrive")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, run_id} → {customer, requests, superseded, run_id}: two counts, the new run or null.

    Raises RedriveRefusedError, whose text says which field is wrong and what it has to be.
    """
    customer, run_id = event.get("customer"), event.get("run_id")
    if not isinstance(customer, str) or _registry.customer(customer) is None:
        raise RedriveRefusedError("customer: has to be the id of a customer of this stack")
    if _registry.destruction(customer) is not None:
        raise RedriveRefusedError("customer: its contract is over, and its data is being destroyed")
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise RedriveRefusedError("run_id: has to be the id of a run, as a failed request's run_id gives it")
    redriven = redrive_run(_requests, _lock, customer, run_id)
    return {
        "customer": customer,
        "requests": redriven.requests,
        "superseded": redriven.superseded,
        "run_id": redriven.next_run,
    }
