"""What the steps of a reindex have in common: whose index it is about, and whether to put it right."""

import re
from dataclasses import dataclass
from typing import Any, Final

from privacy.aws.failures import StepFailedError
from privacy.customers.registry import Registry, UnknownCustomerError
from privacy.reindex.items import Comparisons
from privacy.vault.sessions import Vault, open_vault

_EXECUTION_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")  # it becomes a part of the evidence's keys


class MalformedInputError(StepFailedError):
    """What somebody gave the execution is no input of a reindex. Its text names the field and the fix."""


class FrozenError(StepFailedError):
    """The customer's data is being destroyed: there is no index to put right any more."""


@dataclass(frozen=True, slots=True)
class ReindexStep:
    """A reindex and the opened vault of its customer; `dry_run` where nothing is to be put right."""

    vault: Vault
    reindex_id: str
    dry_run: bool

    @property
    def comparisons(self) -> Comparisons:
        """What the reindex has to compare and has found."""
        return Comparisons(self.vault, self.reindex_id)

    @property
    def ids(self) -> dict[str, Any]:
        """What every step passes on."""
        return {"customer": self.vault.customer.id, "reindex_id": self.reindex_id, "dry_run": self.dry_run}


def unique_id(name: str, started: str | None) -> str:
    """Return an id for an execution of this name, which Step Functions lets people use again after 90 days.

    `started` is when it was started, as Step Functions writes moments; None where the workflow is of before
    it told. Evidence of an earlier execution would stand in the way of a later one's, and what it had written
    down would be taken for the later one's.
    """
    return f"{name}-{''.join(filter(str.isdigit, started))[:17]}" if started else name


def open_reindex(registry: Registry, event: dict[str, Any], purpose: str) -> ReindexStep:
    """Open the vault of the customer that the state machine names.

    Raises UnknownCustomerError, FrozenError, and MalformedInputError where what somebody typed in is no
    input.
    """
    customer_id, dry_run = event.get("customer"), event.get("dry_run", False)
    if not isinstance(customer_id, str):
        raise MalformedInputError('customer is missing: start with {"customer": "<id>"}')
    if not isinstance(dry_run, bool):
        raise MalformedInputError("dry_run is neither true nor false: give one of them, or leave it out")
    if not _EXECUTION_NAME.fullmatch(event["reindex_id"]):
        raise MalformedInputError("the execution's name has more than a-z, 0-9 and -: start one with another")
    customer = registry.customer(customer_id)
    if customer is None:
        raise UnknownCustomerError
    if registry.destruction(customer_id) is not None:
        raise FrozenError("the customer's contract is over, and its data is being destroyed")
    return ReindexStep(open_vault(customer, purpose), event["reindex_id"], dry_run)
