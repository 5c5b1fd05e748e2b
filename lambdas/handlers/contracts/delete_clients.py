"""Step of a contract's end: delete the customer's OAuth2 clients."""

from typing import Any

from privacy import aws_clients
from privacy.destruction_steps import open_destruction
from privacy.step_failures import reported
from privacy.vault_destruction import delete_clients


@reported("delete-clients")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round}."""
    step = open_destruction(event)
    delete_clients(step, aws_clients.cognito())
    return step.ids
