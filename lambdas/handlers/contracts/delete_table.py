"""Step of a contract's end: delete the vault's table, and the sealed secret that the registry keeps of it."""

from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destroy_vault import delete_sealed_secret, delete_table
from privacy.contracts.destruction_steps import open_destruction


@reported("delete-table")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, done}; until it is done, call again a moment later."""
    step = open_destruction(event)
    done = delete_table(step, step.open("destroy"))
    if done:
        delete_sealed_secret(step)
    return {**step.ids, "done": done}
