"""Redriving a run: its requests that ended failed are pending again, and the next run takes them.

For the operator, once the cause is mended. The next run skips what the failed one did, and does the rest.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from privacy.aws.failures import StepFailedError
from privacy.requests.request import Request
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.run.request_values import REDRIVE_SECONDS
from privacy.timestamps import parse_timestamp

_log: Final = logging.getLogger("privacy")


class RedriveRefusedError(StepFailedError):
    """There is nothing to redrive, or no telling what. The text says why and repeats no value."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive comes to.

    `requests` counts those that are pending again, or that an earlier redrive of the same run made pending;
    `superseded` the corrections that stay failed. `next_run` is the run that was started for them; None where
    one is active, whose end starts the next.
    """

    requests: int
    superseded: int
    next_run: str | None


def redrive_run(
    requests: RequestStore,
    lock: RunLock,
    customer: str,
    run_id: str,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Redriven:
    """Make the requests that ended failed in this run pending again, and start a run.

    A correction stays failed where another one, or an erasure, about the same subject has been made since and
    has not failed: its older values would overwrite newer ones, or come back. Can be done again at any point,
    with the same answer.

    Raises RedriveRefusedError, and changes nothing, where no request failed in the run, or too long ago.
    """
    concerned = [
        request
        for request in requests.of_run(customer, run_id)
        if request.state == "failed" or request.redriven_from == run_id
    ]
    if not concerned:
        raise RedriveRefusedError(
            "run_id: no request of the customer ended failed in this run, so there is nothing to redrive; "
            "a failed request names its run as run_id (GET /v1/requests?state=failed)"
        )
    failed = [request for request in concerned if request.state == "failed" and request.run_id == run_id]
    if any(_too_late(request, clock()) for request in failed):
        raise RedriveRefusedError(
            f"run_id: the run failed more than {REDRIVE_SECONDS // 86400} days ago, and what its requests "
            "need is gone; have the customer make them again"
        )
    superseded = _superseded(requests, customer, failed)
    for request in failed:
        if request.id not in superseded and requests.reopen(customer, request.id, run_id):
            _log.info("request redriven: customer=%s request=%s run=%s", customer, request.id, run_id)
    # After the markers: a run that ends meanwhile sees them, or leaves the lock to this one.
    started = lock.start_run_or_leave_to_sweep(customer) if requests.pending(customer, 1) else None
    return Redriven(len(concerned) - len(superseded), len(superseded), started)


def _too_late(request: Request, now: datetime) -> bool:
    ended = parse_timestamp(request.completed_at) if request.completed_at else now
    return (now - ended).total_seconds() > REDRIVE_SECONDS


def _superseded(requests: RequestStore, customer: str, failed: list[Request]) -> set[str]:
    corrections = [request for request in failed if request.type == "correction"]
    if not corrections:
        return set()
    latest: dict[str, str] = {}
    for later in requests.since(customer, min(request.id for request in corrections)):
        # A follow-up, or a repeated erasure, is about what a first one had left.
        first = later.follows is None and later.restored_from is None
        if later.state != "failed" and first:
            for ref in requests.refs(customer, later.id):
                latest[ref] = max(later.id, latest.get(ref, ""))
    return {
        request.id
        for request in corrections
        if any(latest.get(ref, "") > request.id for ref in requests.refs(customer, request.id))
    }
