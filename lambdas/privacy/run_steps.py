"""What the steps of a run have in common: whose run it is."""

from dataclasses import dataclass
from typing import Any

from privacy.registry import Registry
from privacy.vault import Vault, open_vault


class UnknownCustomerError(Exception):
    """The run is about a customer that the registry does not know."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """A run and the opened vault of its customer."""

    vault: Vault
    run_id: str

    @property
    def ids(self) -> dict[str, str]:
        """The ids that every step passes on."""
        return {"customer": self.vault.customer.id, "run_id": self.run_id}


def open_step(registry: Registry, event: dict[str, Any], purpose: str) -> RunStep:
    """Open the vault of the customer that the state machine names. Raises UnknownCustomerError."""
    customer = registry.customer(event["customer"])
    if customer is None:
        raise UnknownCustomerError
    return RunStep(open_vault(customer, purpose), event["run_id"])
