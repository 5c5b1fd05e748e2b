"""The end of a run: its requests end, what was kept for them goes, and the next run starts."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from privacy import vault_items, visits
from privacy.requests import EndState, Request, RequestStore
from privacy.run_lock import RunLock
from privacy.run_steps import taken
from privacy.vault import Vault
from privacy.verifying import NOT_DONE
from privacy.visits import RunNotes, Visit

_log: Final = logging.getLogger("privacy")

REPORTED: Final = 100
"""Problems and unreadable lines that a request's answer names one by one; all of them are counted."""

_ERROR_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,79}")


def complete_run(
    vault: Vault,
    requests: RequestStore,
    lock: RunLock,
    run_id: str,
    *,
    error: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str | None:
    """End the run's requests, remove what was kept for it, release the lock; start the next run if need be.

    `error` is the name of what ended the run early: its requests then end failed. Returns the next run's
    id, or None. Can be done again at any point: the values kept for a request go first, then it ends, and
    the visits, from which all of this is told, go last.
    """
    customer = vault.customer.id
    noted = visits.notes(vault, run_id)
    mine = taken(requests, customer, run_id)
    for request in mine:
        state, detail = _failed_run(error) if error else _result(request, noted)
        vault_items.batch_write(vault, delete=_kept_for(request))
        if requests.finish(customer, request.id, state=state, at=clock(), detail=detail):
            _log.info("request ended: customer=%s request=%s state=%s", customer, request.id, state)
    visits.clear(vault, run_id)
    lock.release_run(customer, run_id)
    if error and not mine:
        # The run failed before it took a request: the next would as well. The sweep tries again later.
        return None
    # After the release: who came before it found the lock taken and left a marker, which is seen here.
    if not requests.pending(customer, 1):
        return None
    return lock.start_run_or_leave_to_sweep(customer)


def _kept_for(request: Request) -> "list[vault_items.Item]":
    """Return the keys of what waits in the vault for the request: for most erasures nothing."""
    pk = vault_items.request_pk(request.id)
    if request.type == "correction":
        return [vault_items.key(pk, vault_items.CHANGES)]
    return [] if request.follows is None else [vault_items.key(pk, vault_items.LATE)]


def _failed_run(error: str) -> tuple[EndState, dict[str, Any]]:
    name = error if _ERROR_NAME.fullmatch(error) else "unknown"
    return "failed", {"problems": [{"reason": "run-failed", "error": name}], "problem_count": 1}


def _result(request: Request, noted: RunNotes) -> tuple[EndState, dict[str, Any] | None]:
    """Return how the request ends, and what its answer says about it. Names no object key and no content."""
    concerned = [visit for visit in noted.visits if request.id in visit.requests]
    problems = [_problem(visit) for visit in concerned if not _in_order(visit)]
    if request.id in noted.problems:
        problems.append({"reason": noted.problems[request.id]})
    unparsed = [visit for visit in concerned if visit.outcome and visit.outcome.get("unparsed_count")]
    detail: dict[str, Any] = {}
    if problems:
        detail |= {"problems": problems[:REPORTED], "problem_count": len(problems)}
    if unparsed:
        detail |= {
            "unparsed": list(_lines(unparsed))[:REPORTED],
            "unparsed_count": sum(visit.outcome["unparsed_count"] for visit in unparsed if visit.outcome),
        }
    if problems:
        return "failed", detail
    return ("partial", detail) if unparsed else ("completed", None)


def _in_order(visit: Visit) -> bool:
    return visit.outcome is not None and visit.problem is None


def _problem(visit: Visit) -> dict[str, str]:
    problem = {**_place(visit), "reason": visit.problem or NOT_DONE}
    # What the last attempt ended with: an operator finds more of it in the log under the run's id.
    return problem if visit.failure is None else {**problem, "error": visit.failure}


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
