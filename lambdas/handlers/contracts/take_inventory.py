"""Dry run of a contract's end: what would go, with counts and bytes."""

from typing import Any

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.contracts import inventory
from privacy.contracts.destruction_steps import look_up
from privacy.vault.sessions import open_vault


@reported("inventory")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, reason, due} → the same with what `bucket`, `table`, `key` and `clients` hold."""
    customer = look_up(event).customer
    found = inventory.of_vault(open_vault(customer, "witness"), context.get_remaining_time_in_millis)
    return {"customer": customer.id, "reason": event["reason"], "due": event["due"], **found}
