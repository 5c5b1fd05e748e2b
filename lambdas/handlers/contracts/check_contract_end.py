"""First step of a contract's end: read the contract again, and stop where nothing is to be destroyed."""

from datetime import UTC, datetime
from typing import Any

from privacy.aws.failures import reported
from privacy.contracts.destruction_steps import DestructionInputError, look_up
from privacy.contracts.witness import KIND
from privacy.evidence import store as evidence_store
from privacy.timestamps import timestamp


@reported("check-contract-end")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{input: {customer, dry_run?}} → {customer, round, dry_run, proceed, keep_key, reason, due}.

    `reason` says why nothing is destroyed (`held`, `not-due`), which is kept as evidence, or is null.
    `keep_key` says that it is held, and that an order to delete the key is to be taken back.
    """
    dry_run = event["input"].get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise DestructionInputError("dry_run is neither true nor false: give one of them, or leave it out")
    found = look_up(event["input"])
    now = datetime.now(UTC)
    reason = found.reason_to_stop(now)
    due = timestamp(found.customer.destruction)
    if reason is not None and not dry_run:
        evidence_store.put(
            KIND,
            found.id,
            f"stopped/{now:%Y%m%d%H%M%S}",
            {"customer": found.id, "at": timestamp(now), "reason": reason, "due": due},
        )
    return {
        "customer": found.id,
        "round": 0,
        "dry_run": dry_run,
        "proceed": reason is None,
        "keep_key": reason == "held" and found.mark is not None and found.mark.destruction.key_ordered,
        "reason": reason,
        "due": due,
    }
