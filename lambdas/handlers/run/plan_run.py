"""First step of a run: take the pending requests and write down what to visit."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.customers.registry import Registry
from privacy.requests.store import RequestStore
from privacy.run.plan import batches, plan_run
from privacy.run.steps import open_step

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()


@reported("plan")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, run_id} → the same with the number of visits and the batches to visit them in."""
    step = open_step(_registry, event, "plan")
    visits = plan_run(step.vault, _requests, step.run_id)
    return {**step.ids, "visits": visits, "batches": batches(visits)}
