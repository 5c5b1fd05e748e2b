"""Step of a contract's end: freeze the customer, after one more look at the contract."""

from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.failures import StepFailedError, reported
from privacy.contracts import events as contract_events
from privacy.contracts.destruction_steps import find_customer, reason_to_stop
from privacy.contracts.freeze import freeze
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import timestamp

_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


class ContractChangedError(StepFailedError):
    """Held or renewed in the moment before the freeze: nothing was touched. Its text is the reason."""


@reported("freeze")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, done}; until it is done, call again."""
    registry, customer = find_customer(event)
    now = datetime.now(UTC)
    destruction = registry.destruction(customer.id)
    reason = reason_to_stop(customer, destruction, now)
    if reason is not None:
        raise ContractChangedError(reason)
    if destruction is None:
        # Told before the freeze, from which there is no way back: if this fails, nothing was touched.
        contract_events.put(
            contract_events.CONTRACT_ENDED,
            {
                "customer": customer.id,
                "contract_ends": customer.contract_ends.isoformat(),
                "destruction": timestamp(customer.destruction),
            },
        )
    done = freeze(registry.table, _requests, _lock, customer.id, now)
    return {"customer": customer.id, "round": event["round"], "done": done}
