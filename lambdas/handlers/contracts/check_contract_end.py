"""First step of a contract's end: read the contract again, and stop where nothing is to be destroyed."""

from datetime import UTC, datetime
from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destruction_steps import DestructionInputError, find_customer, reason_to_stop
from privacy.contracts.witness import KIND
from privacy.evidence import store as evidence_store
from privacy.timestamps import timestamp


@reported("check-contract-end")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{input: {customer, dry_run?}} → {customer, round, dry_run, proceed, reason, due}.

    `reason` says why nothing is destroyed (`held`, `not-due`), which is kept as evidence, or is null.
    """
    dry_run = event["input"].get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise DestructionInputError("dry_run is neither true nor false: give one of them, or leave it out")
    registry, customer = find_customer(event["input"])
    now = datetime.now(UTC)
    reason = reason_to_stop(customer, registry.destruction(customer.id), now)
    due = timestamp(customer.destruction)
    if reason is not None and not dry_run:
        evidence_store.put(
            KIND,
            customer.id,
            f"stopped/{now:%Y%m%d%H%M%S}",
            {"customer": customer.id, "at": timestamp(now), "reason": reason, "due": due},
        )
    return {
        "customer": customer.id,
        "round": 0,
        "dry_run": dry_run,
        "proceed": reason is None,
        "reason": reason,
        "due": due,
    }
