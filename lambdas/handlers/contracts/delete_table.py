"""Step of a contract's end: delete the vault's table."""

from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destroy_vault import delete_table
from privacy.contracts.destruction_steps import open_destruction


@reported("delete-table")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, done}; until it is done, call again a moment later."""
    step = open_destruction(event)
    return {**step.ids, "done": delete_table(step, step.open("destroy"))}
