"""Reads back from AWS what a contract's end has left, and writes down as evidence what it saw.

Two stages: `scheduled`, when nothing is left but a key that is about to be deleted, and `destroyed`, when the
key is gone and nothing that it sealed can be read by anybody, in no backup either.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError
from privacy.contracts import destruction_mark, inventory
from privacy.contracts import events as contract_events
from privacy.contracts.destroy_vault import KeyDeletionCancelledError, clients_left, key_state
from privacy.contracts.destruction_steps import DestructionStep
from privacy.evidence import store as evidence_store
from privacy.requests.store import RequestStore
from privacy.timestamps import timestamp

KIND: Final = "contract-end"

ROUNDS: Final = 5
"""How often a destruction is begun again because something was written meanwhile."""

LOOK_AGAIN: Final = timedelta(hours=6)
"""KMS deletes a key within a day after its date (its Developer Guide, "Deleting AWS KMS keys")."""

_TABLE_BACKUP: Final = timedelta(days=35)
"""How long DynamoDB keeps the last backup of a deleted table that had point-in-time recovery."""

_log: Final = logging.getLogger("privacy")


class SomethingLeftError(StepFailedError):
    """Something was still there after `ROUNDS` rounds. Its text says of which kind, and how much."""


def witness(step: DestructionStep, requests: RequestStore, remaining: Callable[[], int]) -> str | None:
    """Look at everything; return when the key will be gone (RFC 3339), or None where something is left.

    Raises SomethingLeftError in the last round, KeyDeletionCancelledError where the key is not to go.
    """
    customer = step.customer
    vault = step.open("witness")
    files = inventory.of_bucket(vault, remaining)
    table = inventory.of_table(vault)
    state, key_deletion = key_state(vault)
    left = {
        "versions": files.versions,
        "delete-markers": files.delete_markers,
        "unfinished-uploads": files.unfinished_uploads,
        "tables": int(table["state"] != "GONE"),
        "clients": clients_left(step, aws_clients.cognito()),
        "open-requests": len(requests.pending(customer.id, 1, waiting=True)),
        "usable-keys": int(state not in {"PendingDeletion", "Gone"}),
    }
    some = {kind: number for kind, number in left.items() if number}
    if some:
        kinds = ", ".join(f"{kind}: {number}" for kind, number in some.items())
        _log.warning("something left: customer=%s round=%d %s", customer.id, step.round, kinds)
        if step.round + 1 >= ROUNDS:
            raise SomethingLeftError(kinds)
        return None
    now = datetime.now(UTC)
    at = timestamp(key_deletion or now)
    destruction_mark.schedule(step.registry.table, customer.id, at)
    _record(
        step,
        "scheduled",
        {
            "deleted_at_least": destruction_mark.deleted(step.registry.table, customer.id),
            "read_back": {
                "bucket": {"name": customer.bucket, **asdict(files)},
                "table": {"name": customer.table, **table},
                "clients": 0,
                "key": {"arn": customer.key_arn, "state": state, "deletion": at},
            },
            "clients_deleted": len(customer.clients),
            # The key goes no later than the backup, which nobody can read without it.
            "backup_kept_by_dynamodb_until": timestamp(now + _TABLE_BACKUP),
            "backup_unreadable_from": at,
        },
        now,
        key_deletion=at,
    )
    return at


def confirm(step: DestructionStep) -> str | None:
    """Return None where the key is gone (which is then on record), or when to look again (RFC 3339).

    Raises KeyDeletionCancelledError where somebody took back the order to delete it.
    """
    customer = step.customer
    state, key_deletion = key_state(step.open("witness"))
    now = datetime.now(UTC)
    if state == "PendingDeletion":
        return timestamp(max(key_deletion or now, now + LOOK_AGAIN))
    if state != "Gone":
        raise KeyDeletionCancelledError(f"the key's state is {state}")
    _record(step, "destroyed", {"key": {"arn": customer.key_arn, "state": state}}, now)
    destruction_mark.finish(step.registry.table, customer.id)
    return None


def _record(step: DestructionStep, stage: str, seen: dict[str, Any], now: datetime, **told: str) -> None:
    """Write the stage down as evidence, and tell of it: the first record of a stage counts."""
    customer = step.customer
    began = "".join(filter(str.isdigit, step.destruction.since))
    evidence_store.put(
        KIND,
        customer.id,
        f"{began}/{stage}",
        {
            "customer": customer.id,
            "stage": stage,
            "contract": {
                "starts": customer.contract_starts.isoformat(),
                "ends": customer.contract_ends.isoformat(),
                "grace_days": customer.grace_days,
                "due": timestamp(customer.destruction),
            },
            "frozen_at": step.destruction.since,
            "seen_at": timestamp(now),
            **seen,
        },
    )
    contract_events.put(contract_events.DATA_DESTROYED, {"customer": customer.id, "stage": stage, **told})
    _log.info("contract end: customer=%s stage=%s", customer.id, stage)
