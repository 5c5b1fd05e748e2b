"""Last step of a contract's end, days later: see that the key is gone, and with it all that it sealed."""

from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destruction_steps import open_destruction
from privacy.contracts.witness import confirm


@reported("confirm-key-deletion")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, gone, look_at}: while it is not gone, look again then."""
    step = open_destruction(event)
    look_at = confirm(step)
    return {**step.ids, "gone": look_at is None, "look_at": look_at}
