"""Last step of a contract's end, days later: see that the key is gone, and with it all that it sealed."""

from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.failures import reported
from privacy.contracts.destruction_steps import find_destruction
from privacy.contracts.witness import LOOK_AGAIN, confirm
from privacy.requests.contract_over import reject_open
from privacy.requests.store import RequestStore
from privacy.timestamps import timestamp

_requests: Final = RequestStore.from_environment()


@reported("confirm-key-deletion")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, gone, held, look_at}.

    While the key is not gone, look again then. Where it is `held`, the key is to be kept, and nothing else.
    """
    step = find_destruction(event)
    reject_open(_requests, step.customer.id, datetime.now(UTC))
    if step.held:
        later = timestamp(datetime.now(UTC) + LOOK_AGAIN)
        return {**step.ids, "gone": False, "held": True, "look_at": later}
    look_at = confirm(step)
    return {**step.ids, "gone": look_at is None, "held": False, "look_at": look_at}
