"""Step of a contract's end: delete the customer's OAuth2 clients."""

from typing import Any

from privacy.aws import clients as aws_clients
from privacy.aws.failures import reported
from privacy.contracts.destroy_vault import delete_clients
from privacy.contracts.destruction_steps import open_destruction


@reported("delete-clients")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round} → {customer, round}."""
    step = open_destruction(event)
    delete_clients(step, aws_clients.cognito())
    return step.ids
