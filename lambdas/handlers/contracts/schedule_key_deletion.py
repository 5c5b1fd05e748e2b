"""Step of a contract's end: order the deletion of the vault's key."""

from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destroy_vault import schedule_key_deletion
from privacy.contracts.destruction_steps import open_destruction


@reported("schedule-key-deletion")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round}."""
    step = open_destruction(event)
    schedule_key_deletion(step, step.open("destroy"))
    return step.ids
