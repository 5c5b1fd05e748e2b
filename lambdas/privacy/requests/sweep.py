"""The sweep: starts runs that nobody started, frees customers whose run died, rejects what came too late."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws.failures import StepFailedError, error_name
from privacy.requests.contract_over import reject_open
from privacy.requests.run_lock import CONTRACT_END, RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import timestamp

SETTLING: Final = timedelta(seconds=60)
"""A younger lock is left alone: the function that took it may not have started the execution yet."""

SOON: Final = timedelta(days=7)
"""How long before its due date a request that has not ended is worth an alarm: time to mend what keeps it."""

_LOOKED_AT: Final = 100
"""The oldest requests that have not ended are looked at: they are the first to be due, or nearly."""

_log: Final = logging.getLogger("privacy")


class SweepIncompleteError(StepFailedError):
    """Some customers could not be swept; the others were. Carries only how many."""


def sweep(
    customers: Iterable[str],
    requests: RequestStore,
    lock: RunLock,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[str]:
    """Sweep every customer; return those for whom a run was started. Logs whose requests are due soon.

    Raises SweepIncompleteError at the end where AWS refused for some of them, so that it is noticed.
    """
    started, failed = [], 0
    for customer in customers:
        try:
            if _sweep(customer, requests, lock):
                started.append(customer)
            _tell_what_is_due_soon(customer, requests, clock() + SOON)
        except (ClientError, BotoCoreError) as error:
            failed += 1
            _log.error("not swept: customer=%s error=%s", customer, error_name(error))
    if failed:
        raise SweepIncompleteError(f"{failed} customers")
    return started


def _sweep(customer: str, requests: RequestStore, lock: RunLock) -> bool:
    active = lock.active_run(customer)
    if active is not None:
        if active.run_id == CONTRACT_END:
            reject_open(requests, customer, datetime.now(UTC))
            return False
        if datetime.now(UTC) - active.started_at < SETTLING or lock.is_running(customer, active):
            return False
        _log.warning("run ended without giving its lock back: customer=%s run=%s", customer, active.run_id)
        lock.release_run(customer, active.run_id)
    if not requests.pending(customer, limit=1):
        return False
    return lock.start_run(customer) is not None


def _tell_what_is_due_soon(customer: str, requests: RequestStore, until: datetime) -> None:
    """Log it where requests that have not ended are due: an alarm counts these lines."""
    due = [
        request for request in requests.pending(customer, _LOOKED_AT) if request.due_at <= timestamp(until)
    ]
    if due:
        first = min(request.due_at for request in due)
        _log.warning("requests due soon: customer=%s open=%d first_due=%s", customer, len(due), first)
