"""What the steps of a run have in common: whose run it is, and which requests it has taken."""

from dataclasses import dataclass
from typing import Any, Final

from privacy.customers.registry import Registry, UnknownCustomerError
from privacy.requests.request import Request
from privacy.requests.store import RequestStore
from privacy.vault.sessions import Vault, open_vault
from privacy.visits.items import Visits

MAX_REQUESTS: Final = 1000
"""A run takes no more requests; the rest goes with the next run, which starts when it ends."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """A run and the opened vault of its customer."""

    vault: Vault
    run_id: str

    @property
    def visits(self) -> Visits:
        """The run's visits."""
        return Visits(self.vault, self.run_id)

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


def taken(requests: RequestStore, customer: str, run_id: str) -> list[Request]:
    """Return the requests that the run has taken and that have not ended, oldest first."""
    # A follow-up of a late arrival sorts by the time of its upload, and so may come in among the run's own.
    return [r for r in requests.pending(customer, 2 * MAX_REQUESTS) if r.run_id == run_id]
