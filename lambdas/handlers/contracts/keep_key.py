"""Step of a contract's end that is held: take back the order to delete the vault's key."""

from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destruction_steps import find_destruction
from privacy.contracts.witness import keep


@reported("keep-key")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round, kept}: not kept where the hold was lifted meanwhile."""
    step = find_destruction(event)
    return {**step.ids, "kept": keep(step)}
