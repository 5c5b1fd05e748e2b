"""Reads back from AWS what a contract's end has left, and writes down as evidence what it saw.

Two stages: `scheduled`, when nothing is left but a key that is about to be deleted, and `destroyed`, when the
key is gone and nothing that it sealed can be read by anybody, in no backup either.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError
from privacy.contracts import destruction_mark, inventory
from privacy.contracts import events as contract_events
from privacy.contracts.destroy_vault import KeyDeletionCancelledError, clients_left, key_state
from privacy.contracts.destruction_steps import DestructionStep
from privacy.contracts.inventory import Files
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read back from AWS: `clients` and `open_requests` are how many are left."""

    files: Files
    table: dict[str, Any]
    sealed_secrets: int
    key_state: str
    key_deletion: datetime | None
    clients: int
    open_requests: int

    def left(self) -> dict[str, int]:
        """Return how much is left, by kind; nothing where all that should be gone is gone."""
        numbers = {
            "versions": self.files.versions,
            "delete-markers": self.files.delete_markers,
            "unfinished-uploads": self.files.unfinished_uploads,
            "tables": int(self.table["state"] != "GONE"),
            "sealed-secrets": self.sealed_secrets,
            "clients": self.clients,
            "open-requests": self.open_requests,
            "usable-keys": int(self.key_state not in {"PendingDeletion", "Gone"}),
        }
        return {kind: number for kind, number in numbers.items() if number}


def witness(step: DestructionStep, requests: RequestStore, remaining: Callable[[], int]) -> str | None:
    """Read back what is left of the vault; where nothing is, put the stage `scheduled` on record.

    `remaining` tells the milliseconds that the function has left. Returns when the key will be gone
    (RFC 3339), or None where something is left. Raises SomethingLeftError where it is so in the last round.
    """
    seen = _look(step, requests, remaining)
    if left := seen.left():
        kinds = ", ".join(f"{kind}: {number}" for kind, number in left.items())
        _log.warning("something left: customer=%s round=%d %s", step.customer.id, step.round, kinds)
        if step.round + 1 >= ROUNDS:
            raise SomethingLeftError(kinds)
        return None
    now = datetime.now(UTC)
    at = timestamp(seen.key_deletion or now)
    destruction_mark.schedule(step.registry.table, step.customer.id, at)
    _record(step, "scheduled", _read_back(step, seen, at, now), now, key_deletion=at)
    return at


def _look(step: DestructionStep, requests: RequestStore, remaining: Callable[[], int]) -> _Seen:
    vault = step.open("witness")
    files = inventory.of_bucket(vault, remaining)
    table = inventory.of_table(vault)
    state, key_deletion = key_state(vault)
    return _Seen(
        files=files,
        table=table,
        sealed_secrets=int(step.registry.sealed_secret(step.customer.id) is not None),
        key_state=state,
        key_deletion=key_deletion,
        clients=clients_left(step, aws_clients.cognito()),
        open_requests=len(requests.pending(step.customer.id, 1, waiting=True)),
    )


def _read_back(step: DestructionStep, seen: _Seen, at: str, now: datetime) -> dict[str, Any]:
    """Return what the evidence of the stage `scheduled` says; `at` is when the key will be gone."""
    customer = step.customer
    return {
        "deleted_at_least": destruction_mark.deleted(step.registry.table, customer.id),
        "read_back": {
            "bucket": {"name": customer.bucket, **asdict(seen.files)},
            "table": {"name": customer.table, **seen.table},
            "sealed_secrets": seen.sealed_secrets,
            "clients": seen.clients,
            "key": {"arn": customer.key_arn, "state": seen.key_state, "deletion": at},
        },
        "clients_deleted": len(customer.clients),
        # The key goes no later than the backup, which nobody can read without it.
        "backup_kept_by_dynamodb_until": timestamp(now + _TABLE_BACKUP),
        "backup_unreadable_from": at,
    }


def confirm(step: DestructionStep) -> str | None:
    """Look whether the key is gone; if so, put the stage `destroyed` on record and return None.

    Otherwise returns when to look again (RFC 3339).

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
