"""Reads back from AWS what a contract's end has left, and writes down as evidence what it saw.

Two stages: `scheduled`, when nothing is left but a key that is about to be deleted, and `destroyed`, when the
key is gone and nothing that it sealed can be read by anybody, in no backup either.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError
from privacy.contracts import destruction_mark, inventory
from privacy.contracts import events as contract_events
from privacy.contracts.destroy_vault import (
    KeyDeletionCancelledError,
    clients_left,
    keep_key,
    key_state,
)
from privacy.contracts.destruction_mark import Mark
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

_EVENTS_KEPT: Final = timedelta(days=14)
"""How long the queues of bucket events keep a message, which names an object's key: SQS's own limit."""

_OF_REFUSED: Final = {"versions", "delete-markers", "usable-keys"}

_log: Final = logging.getLogger("privacy")


class SomethingLeftError(StepFailedError):
    """Something was still there after `ROUNDS` rounds. Its text says of which kind, and how much."""


class VersionsRefusedError(StepFailedError):
    """S3 refuses to delete some versions, all else is gone. Its text says with which codes, and how many."""


class ListingIncompleteError(StepFailedError):
    """There was no time to list all that is left of a bucket: nobody knows that it is empty."""


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

    def refused(self, mark: Mark) -> bool:
        """Return whether nothing is left but what S3 refused to delete, and the key that opens it."""
        return bool(mark.refused) and self.left().keys() <= _OF_REFUSED

    def absent(self, mark: Mark) -> list[str]:
        """Return what is gone without a step of this contract's end having met it: something else took it."""
        gone = {
            "bucket": self.files.state == "GONE",
            "table": self.table["state"] == "GONE",
            "key": self.key_state == "Gone",
        }
        return [what for what, is_gone in gone.items() if is_gone and what not in mark.begun]


def witness(step: DestructionStep, requests: RequestStore, remaining: Callable[[], int]) -> str | None:
    """Read back what is left of the vault; where nothing is, put the stage `scheduled` on record.

    `remaining` tells the milliseconds that the function has left. Returns when the key will be gone
    (RFC 3339), or None where something is left. Raises SomethingLeftError where it is so in the last round,
    VersionsRefusedError where S3 keeps it, and ListingIncompleteError.
    """
    seen = _look(step, requests, remaining)
    now = datetime.now(UTC)
    if seen.refused(step.mark):
        _refuse(step, seen, now)
    if left := seen.left():
        kinds = ", ".join(f"{kind}: {number}" for kind, number in left.items())
        _log.warning("something left: customer=%s round=%d %s", step.customer.id, step.round, kinds)
        if step.round + 1 >= ROUNDS:
            raise SomethingLeftError(kinds)
        return None
    if not seen.files.complete:
        raise ListingIncompleteError("the listing was cut short")
    if seen.key_deletion is not None:
        destruction_mark.schedule(step.registry.table, step.customer.id, timestamp(seen.key_deletion))
    else:
        destruction_mark.schedule_without_key(step.registry.table, step.customer.id, timestamp(now))
    mark = destruction_mark.read(step.registry.table, step.customer.id)
    at = mark.destruction.key_deletion if mark is not None else None
    if mark is None or at is None:
        return None  # a hold has taken back the order meanwhile
    exceptions = _exceptions(absent := seen.absent(mark))
    for what in absent:  # an alarm counts these lines
        _log.error("contract end exception: customer=%s %s=not-found", step.customer.id, what)
    # The first order to delete the key has the plain name; each other one has its day, and so its own entry.
    name = "scheduled" if at == mark.first_key_deletion else f"scheduled-{_digits(at)}"
    _write(step, "scheduled", name, now, {**_read_back(step, seen, at, now), "exceptions": exceptions})
    _tell(step, "scheduled", key_deletion=at, exceptions=len(exceptions))
    return at


def _exceptions(absent: Iterable[str]) -> list[dict[str, Any]]:
    """Return what the evidence says of what something else had taken."""
    return [{"what": what, "problem": "not-found"} for what in absent]


def _refuse(step: DestructionStep, seen: _Seen, now: datetime) -> None:
    """Put on record what S3 refuses to delete, and raise VersionsRefusedError.

    However often it is tried: what was put on record before in the same words, is so no second time.
    """
    refused = sorted(step.mark.refused.items())
    codes = ", ".join(f"{code}: {number}" for code, number in refused)
    _log.error("contract end exception: customer=%s versions-refused=%s", step.customer.id, codes)
    exceptions = [{"what": "versions", "problem": code, "count": number} for code, number in refused]
    text = f"{codes}; {seen.files.versions} {seen.files.delete_markers}"
    name = f"refused-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    _write(step, "refused", name, now, {**_left(step, seen), "exceptions": exceptions})
    raise VersionsRefusedError(codes)


def keep(step: DestructionStep) -> bool:
    """Take back the order to delete the key because a hold stands; return whether one does.

    That a `scheduled` stage is no longer so, is put on record. Raises HoldTooLateError.
    """
    if not step.is_held():
        return False
    now = datetime.now(UTC)
    deletion = keep_key(step.open("keep"))
    at = timestamp(deletion) if deletion is not None else step.mark.destruction.key_deletion
    if at is not None:
        told = {"key": {"arn": step.customer.key_arn, "deletion_cancelled": at}}
        _write(step, "key-kept", f"key-kept-{_digits(at)}", now, told)
    destruction_mark.keep_key(step.registry.table, step.customer.id, now)
    return True


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


def _left(step: DestructionStep, seen: _Seen) -> dict[str, Any]:
    """Return what a stage says that has looked at all of the vault."""
    customer = step.customer
    return {
        "deleted_at_least": step.mark.deleted,
        "read_back": {
            "bucket": {"name": customer.bucket, **asdict(seen.files)},
            "table": {"name": customer.table, **seen.table},
            "sealed_secrets": seen.sealed_secrets,
            "clients": seen.clients,
            "key": {"arn": customer.key_arn, "state": seen.key_state},
        },
    }


def _read_back(step: DestructionStep, seen: _Seen, at: str, now: datetime) -> dict[str, Any]:
    """Return what the evidence of the stage `scheduled` says; `at` is when the key will be gone."""
    left = _left(step, seen)
    left["read_back"]["key"]["deletion"] = at
    return {
        **left,
        "clients_deleted": len(step.customer.clients),
        # The key goes no later than the backup, which nobody can read without it.
        "backup_kept_by_dynamodb_until": timestamp(now + _TABLE_BACKUP),
        "backup_unreadable_from": at,
        "events_kept_by_sqs_until": timestamp(now + _EVENTS_KEPT),
    }


def confirm(step: DestructionStep) -> str | None:
    """Look whether the key is gone; if so, put the stage `destroyed` on record and return None.

    Otherwise returns when to look again (RFC 3339). A deletion that was ordered anew meanwhile is put on
    record with its own day. Raises KeyDeletionCancelledError where somebody took back the order.
    """
    customer, table = step.customer, step.registry.table
    state, key_deletion = key_state(step.open("witness"))
    now = datetime.now(UTC)
    key = {"arn": customer.key_arn, "state": state}
    if state == "PendingDeletion" and key_deletion is not None:
        at = timestamp(key_deletion)
        if at != step.mark.destruction.key_deletion:
            seen = {"key": {**key, "deletion": at}, "backup_unreadable_from": at}
            _write(step, "scheduled", f"scheduled-{_digits(at)}", now, seen)
            _tell(step, "scheduled", key_deletion=at)
            destruction_mark.schedule(table, customer.id, at)
        return timestamp(max(key_deletion, now + LOOK_AGAIN))
    if state != "Gone":
        raise KeyDeletionCancelledError(f"the key's state is {state}")
    exceptions = _exceptions({"key"} - step.mark.begun)
    _write(step, "destroyed", "destroyed", now, {"key": key, "exceptions": exceptions})
    _tell(step, "destroyed", exceptions=len(exceptions))
    destruction_mark.finish(table, customer.id)
    return None


def _write(step: DestructionStep, stage: str, name: str, now: datetime, seen: Mapping[str, Any]) -> None:
    """Write a stage down as evidence: the first record of a name counts."""
    customer, since = step.customer, step.mark.destruction.since
    evidence_store.put(
        KIND,
        customer.id,
        f"{_digits(since)}/{name}",
        {
            "customer": customer.id,
            "stage": stage,
            "contract": {
                "starts": customer.contract_starts.isoformat(),
                "ends": customer.contract_ends.isoformat(),
                "grace_days": customer.grace_days,
                "due": timestamp(customer.destruction),
            },
            "frozen_at": since,
            "seen_at": timestamp(now),
            **seen,
        },
    )
    _log.info("contract end: customer=%s stage=%s", customer.id, stage)


def _tell(step: DestructionStep, stage: str, **more: str | int) -> None:
    contract_events.put(
        contract_events.DATA_DESTROYED, {"customer": step.customer.id, "stage": stage, **more}
    )


def _digits(moment: str) -> str:
    return "".join(filter(str.isdigit, moment))
