"""Last step of a contract's end, days later: see that the key is gone, and with it all that it sealed."""

from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.failures import reported
from privacy.contracts.destruction_steps import open_destruction
from privacy.contracts.witness import confirm
from privacy.requests.contract_over import reject_open
from privacy.requests.store import RequestStore

_requests: Final = RequestStore.from_environment()


@reported("confirm-key-deletion")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, gone, look_at}: while it is not gone, look again then."""
    step = open_destruction(event)
    reject_open(_requests, step.customer.id, datetime.now(UTC))
    look_at = confirm(step)
    return {**step.ids, "gone": look_at is None, "look_at": look_at}
