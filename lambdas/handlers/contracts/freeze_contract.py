"""Step of a contract's end: freeze the customer, after one more look at the contract."""

from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.failures import reported
from privacy.contracts import destruction_mark
from privacy.contracts import events as contract_events
from privacy.contracts.destroy_vault import check_owner
from privacy.contracts.destruction_steps import (
    ContractChangedError,
    DestructionInputError,
    EntryChangedError,
    Found,
    look_up,
)
from privacy.contracts.freeze import freeze
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import timestamp
from privacy.vault.sessions import open_vault

_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


@reported("freeze")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer, round, execution} → {customer, round, done}; until it is done, call again."""
    found, now = look_up(event), datetime.now(UTC)
    reason = found.reason_to_stop(now)
    if reason is not None:
        raise ContractChangedError(reason)
    if found.mark is None or found.mark.vault is None:
        _mark(found, now)
    table = found.registry.table
    # An execution that began before this step was told of it, has none.
    if (execution := event.get("execution")) is not None:
        destruction_mark.take_up(table, found.id, execution)
    return {"customer": found.id, "round": event["round"], "done": freeze(_requests, _lock, found.id, now)}


def _mark(found: Found, now: datetime) -> None:
    """Set the mark, from which there is no way back, with what the registry leads to at this moment."""
    customer = found.customer
    if found.entry is None:
        raise DestructionInputError("customer has a mark of an earlier version and no lines: put them back")
    check_owner(found.registry, open_vault(customer, "witness"))
    if found.mark is None:
        # Told before: if this fails, nothing was touched.
        contract_events.put(
            contract_events.CONTRACT_ENDED,
            {
                "customer": customer.id,
                "contract_ends": customer.contract_ends.isoformat(),
                "destruction": timestamp(customer.destruction),
            },
        )
    earlier = found.mark is not None
    if not destruction_mark.begin(found.registry.table, found.entry, now, earlier=earlier):
        raise EntryChangedError("the customer's entry has changed")
