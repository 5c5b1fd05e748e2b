"""Asking for an export: one at a time, and not more than a few are kept."""

import logging
from datetime import UTC, datetime
from typing import Any, Final

from privacy.api import problems
from privacy.api.http import Call
from privacy.api.problems import ProblemError
from privacy.aws.retries import ATTEMPTS, pause
from privacy.exports.machine import ExportMachine
from privacy.exports.store import AnotherExportError, ExportStore
from privacy.identifiers import uuid7
from privacy.requests.idempotency import Idempotency
from privacy.requests.store import RequestBusyError

MOST_KEPT: Final = 10
"""Completed exports that can still be fetched: each is a copy of all records, for seven days. One a
day, and some more."""

_log: Final = logging.getLogger("privacy")


def create_export(
    store: ExportStore, machine: ExportMachine, call: Call, idempotency: Idempotency | None
) -> dict[str, Any]:
    """Put an export on record and return it as the API shows it; of several calls at once one alone makes it.

    Raises ProblemError (409) where one is running or MOST_KEPT can still be fetched,
    IdempotencyKeyReusedError where the key came with another call, RequestBusyError where others kept getting
    in the way.
    """
    customer = call.customer.id
    for attempt in range(ATTEMPTS):
        now = datetime.now(UTC)
        after, latest = store.latest(customer)
        if latest is not None and machine.checked(customer, latest, now).state == "running":
            # It may be this very call's, which was sent twice and came before itself.
            if (first := store.replay(customer, idempotency)) is not None:
                return first
            detail = f"Wait until it has ended: it is the export {latest.id}."
            raise ProblemError(problems.EXPORT_RUNNING, detail)
        kept = store.kept(customer, now)
        if len(kept) >= MOST_KEPT:
            if (first := store.replay(customer, idempotency)) is not None:
                return first
            detail = f"Fetch the latest one, {kept[0].id}, or ask again at {kept[-1].fetch_until}."
            raise ProblemError(problems.TOO_MANY_EXPORTS, detail)
        try:
            created = store.create(customer, uuid7(now), now, idempotency, caller=call.caller, after=after)
        except AnotherExportError:
            pause(attempt)
            continue
        if not created.replayed:
            _log.info(
                "export asked for: customer=%s export=%s %s", customer, created.answer["id"], call.caller
            )
        return created.answer
    raise RequestBusyError
