"""Step of a run after its visits: read back what is left."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.customers.registry import Registry
from privacy.requests.store import RequestStore
from privacy.run.steps import open_step
from privacy.run.verify import verify_run

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()


@reported("verify")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, run_id} → the same with the number of problems found."""
    step = open_step(_registry, event, "verify")
    return {**step.ids, "problems": verify_run(step.vault, _requests, step.run_id)}
