"""The end of a run: its requests end, what was kept for them goes, and the next run starts."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.failures import shown
from privacy.requests.request import EndState, Request
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.run import request_values
from privacy.run.left_over import LeftOver
from privacy.run.steps import taken
from privacy.run.verify import NOT_DONE, NOT_PROVEN
from privacy.timestamps import parse_timestamp
from privacy.vault import archived
from privacy.vault.sessions import Vault
from privacy.visits.items import Visits
from privacy.visits.visit import RunNotes, Visit

_log: Final = logging.getLogger("privacy")

REPORTED: Final = 100
"""Problems and unreadable lines that a request's answer names one by one; all of them are counted."""


def complete_run(
    vault: Vault,
    requests: RequestStore,
    lock: RunLock,
    run_id: str,
    *,
    error: str | None = None,
    step: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str | None:
    """End the run's requests, remove what was kept for it, release the lock; start the next run if need be.

    `error` is the name of what ended the run early, `step` where that was: its requests then end failed.
    Returns the next run's id, or None where none was started. AWS errors and TableBusyError are raised.

    Can be done again at any point, because the order is: the values kept for a request go (of one that
    failed, after some days only), then the request ends, and the visits, which say how it ends, go last.
    """
    customer = vault.customer.id
    visits = Visits(vault, run_id)
    # A run that broke off may have left a million visits undone: a redrive walks again to what was walked to.
    noted = visits.notes(walked=not error)
    mine = taken(requests, customer, run_id)
    left = LeftOver.of(vault) if mine and not error else LeftOver()
    for request in mine:
        restoring = [] if error else _restoring(request, noted)
        # Past the day on which an answer is due, it is answered with what there is.
        if restoring and clock() <= parse_timestamp(request.due_at):
            waits = _waiting(request, noted, restoring)
            if requests.postpone(customer, request.id, run_id, until=clock() + archived.WAIT, detail=waits):
                _log.info("request waits for a restoration: customer=%s request=%s", customer, request.id)
            continue
        state, detail = _failed_run(error, step) if error else _result(request, noted, left)
        # Of corrections alone: what waits for the others is found by the request.
        refs = requests.refs(customer, request.id) if request.type == "correction" else []
        if state == "failed":
            request_values.keep_for_redrive(vault, request, refs, noted.of(request.id))
        else:
            request_values.drop(vault, request, refs)
        if requests.finish(customer, request.id, state=state, at=clock(), detail=detail):
            _log.info("request ended: customer=%s request=%s state=%s", customer, request.id, state)
    visits.clear()
    lock.release_run(customer, run_id)
    if error and not mine:
        # The run failed before it took a request: the next would as well. The sweep tries again later.
        return None
    # After the release: who came before it found the lock taken and left a marker, which is seen here.
    if not requests.pending(customer, 1):
        return None
    return lock.start_run_or_leave_to_sweep(customer)


def _failed_run(error: str, step: str | None) -> tuple[EndState, dict[str, Any]]:
    problem = {"reason": "run-failed", **({"step": step} if step else {}), **shown(error)}
    return "failed", {"problems": [problem], "problem_count": 1}


def _result(request: Request, noted: RunNotes, left: LeftOver) -> tuple[EndState, dict[str, Any] | None]:
    """Return the state in which the request ends, and the detail of its answer: no object key, no content.

    Only what a dataset accepts of what nobody can attribute is in a completed request's.
    """
    concerned = noted.of(request.id)
    problems = [_problem(visit) for visit in concerned if not _in_order(visit)]
    if request.id in noted.problems:
        problems.append({"reason": noted.problems[request.id]})
    hard = len(problems)
    problems += [
        {**_place(visit), "reason": archived.REPORTED} for visit in concerned if _is(visit, "archived")
    ]
    problems += [{**_place(visit), "reason": NOT_PROVEN} for visit in concerned if _is(visit, "unproven")]
    detail = _unparsed(request, concerned)
    unattributed, files = left.shown(concerned, noted.datasets.get(request.id))
    if unattributed:
        detail |= {"unattributed": unattributed, "unattributed_count": files}
    is_done = not problems and not files and not _is_unread(request, concerned, left)
    if problems:
        detail |= {"problems": problems[:REPORTED], "problem_count": len(problems)}
    if hard:
        return "failed", detail
    return "completed" if is_done else "partial", detail or None


def _is_unread(request: Request, concerned: Sequence[Visit], left: LeftOver) -> bool:
    """Return whether something could not be read that no dataset accepts, now or before the request
    waited."""
    return bool((request.detail or {}).get("unparsed_count")) or any(
        visit.outcome.get("unparsed_count", 0)
        > (visit.outcome.get("unattributed_count", 0) if visit.dataset in left.accepted else 0)
        for visit in concerned
        if visit.outcome is not None
    )


def _unparsed(request: Request, concerned: Sequence[Visit]) -> dict[str, Any]:
    """Return what could not be read: in this run, and in runs before that had to wait for something."""
    unparsed = [visit for visit in concerned if visit.outcome and visit.outcome.get("unparsed_count")]
    lines = list(_lines(unparsed))
    count = sum(visit.outcome["unparsed_count"] for visit in unparsed if visit.outcome)
    earlier = request.detail or {}
    # Lines about records have no object, and neither has the place of a visit of records.
    again = {_place(visit).get("object") for visit in concerned}
    listed: list[dict[str, Any]] = earlier.get("unparsed", [])
    kept = [line for line in listed if line.get("object") not in again]
    lines += kept
    count += earlier.get("unparsed_count", 0) - (len(listed) - len(kept))
    return {"unparsed": lines[:REPORTED], "unparsed_count": count} if lines else {}


def _restoring(request: Request, noted: RunNotes) -> list[Visit]:
    return [
        visit
        for visit in noted.visits
        if request.id in visit.requests
        and visit.outcome is not None
        and visit.outcome.get("archived") == archived.RESTORING
    ]


def _waiting(request: Request, noted: RunNotes, restoring: Sequence[Visit]) -> dict[str, Any]:
    """Return what the answer of a request says that waits for S3 to bring objects back."""
    concerned = [visit for visit in noted.visits if request.id in visit.requests]
    return {
        **_unparsed(request, concerned),
        "waiting": [_place(visit) for visit in restoring[:REPORTED]],
        "waiting_count": len(restoring),
    }


def _is(visit: Visit, what: str) -> bool:
    return visit.outcome is not None and bool(visit.outcome.get(what))


def _in_order(visit: Visit) -> bool:
    return visit.outcome is not None and visit.problem is None


def _problem(visit: Visit) -> dict[str, str]:
    problem = {**_place(visit), "reason": visit.problem or NOT_DONE}
    # What the last attempt ended with: an operator finds more of it in the log under the run's id.
    return problem if visit.failure is None else {**problem, **shown(visit.failure)}


def _lines(unparsed: Iterable[Visit]) -> Iterable[dict[str, Any]]:
    for visit in unparsed:
        if visit.outcome:
            for line in visit.outcome["unparsed"]:
                yield {**_place(visit), **line}


def _place(visit: Visit) -> dict[str, str]:
    """Name the object without its key, which may hold personal data: the customer can make the digest too."""
    place = {"dataset": visit.dataset} if visit.dataset else {}
    if visit.key is not None:
        place["object"] = hashlib.sha256(visit.key.encode()).hexdigest()[:12]
    return place
