"""The plan of a run: which requests it takes, and which objects and records they touch."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from privacy.aws.executions import BATCH_VISITS, MAX_BATCHES
from privacy.evidence import ledger
from privacy.evidence.ledger import Erasure
from privacy.exports import files as export_files
from privacy.exports.store import ExportStore
from privacy.identifiers import moment_of
from privacy.requests.request import Request
from privacy.requests.store import RequestStore
from privacy.run import request_values
from privacy.run.steps import MAX_REQUESTS
from privacy.run.strays import note_strays
from privacy.run.work import (
    PARALLEL,
    TakenRequest,
    asked_of_all_files,
    has_data_of_no_dataset,
    holdings_of,
    planned_visits,
    unlisted_files,
)
from privacy.timestamps import instant
from privacy.vault import items as vault_items
from privacy.vault import notes as vault_notes
from privacy.vault import request_items, tombstones
from privacy.vault.request_items import Group
from privacy.vault.sessions import Vault
from privacy.visits.items import Visits

_log: Final = logging.getLogger("privacy")

MAX_SUBJECTS: Final = 5000
"""A run takes requests about no more subjects (one request always); the rest goes with the next run, which
starts when it ends. So a visit, which carries the references of its object's subjects, stays below the
400 KB of a table item."""

CONFIG_CHANGED: Final = "config-changed"
"""Problem of a correction that the customer's config does not fit any more: it names a dataset or a field
that is not there, or its subject has data of a dataset that is not there, and may have another name now."""

DETAILS_GONE: Final = "details-gone"
"""Problem of a correction whose new values, or a follow-up whose object's key, are no longer kept."""


def plan_run(
    vault: Vault,
    requests: RequestStore,
    run_id: str,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Take the customer's pending requests and write the run's visits; return how many visits there are.

    Can be done again as a whole: what an earlier attempt wrote is replaced. AWS errors and TableBusyError are
    raised.

    The ledger is written before the tombstones: nothing is erased that it does not know. Tombstones are
    written before entries are read: what is indexed meanwhile is either found here, or recognised by the
    index as a late arrival.
    """
    taken = _superseded(requests, vault.customer.id, _take(vault, requests, run_id))
    at = instant(clock())
    ledger.write(vault, run_id, at, [_erasure(t) for t in taken if t.erases and t.refs_to_erase])
    _leave_tombstones(vault, taken, at)
    _put_tombstones_back(vault, taken)
    outliving = _withdraw_exports(vault, requests, taken, clock())
    survey = vault_notes.survey(vault)
    vault_notes.remove(vault, survey.stale)
    if any(t.erases for t in taken):
        note_strays(vault, survey.outside, at)
    unlisted = unlisted_files(vault, survey.to_visit)
    wide = asked_of_all_files(vault, taken, unlisted)
    shared = {name: work.visit(0, None) for name, work in wide.items()}
    visits = Visits(vault, run_id)
    holdings = holdings_of(vault, taken)
    planned = visits.write(shared, planned_visits(vault, taken, holdings, wide, unlisted, outliving))
    for t in taken:
        if t.outdated or has_data_of_no_dataset(vault, t, holdings):
            visits.note_request_problem(t.request.id, CONFIG_CHANGED)
        if t.datasets or t.records:
            visits.note_datasets(t.request.id, t.datasets)
        if t.details_gone:
            # Nothing is visited for it, so nothing else would keep it from being called completed.
            visits.note_request_problem(t.request.id, DETAILS_GONE)
    _log.info(
        "run planned: customer=%s run=%s requests=%d visits=%d",
        vault.customer.id,
        run_id,
        len(taken),
        planned,
    )
    return planned


def batches(visit_count: int) -> list[dict[str, int]]:
    """Cut visits into batches, first and last included: 100 each, more where there would be too many."""
    size = max(BATCH_VISITS, -(-visit_count // MAX_BATCHES))
    return [
        {"first": first, "last": min(first + size, visit_count) - 1} for first in range(0, visit_count, size)
    ]


def _take(vault: Vault, requests: RequestStore, run_id: str) -> list[TakenRequest]:
    customer = vault.customer.id
    taken: list[TakenRequest] = []
    subjects = 0
    for request in requests.pending(customer, MAX_REQUESTS):
        subjects += request.subjects
        if taken and subjects > MAX_SUBJECTS:
            break
        if requests.claim(customer, request.id, run_id):
            refs = tuple(requests.refs(customer, request.id))
            redriven = request_values.objects_to_redrive(vault, request)
            mine = TakenRequest(replace(request, run_id=run_id), refs, redriven=redriven)
            taken.append(_with_details(vault, mine))
    return taken


def _superseded(requests: RequestStore, customer: str, taken: Sequence[TakenRequest]) -> list[TakenRequest]:
    """Return the requests; redriven erasures with whom another one has erased since they failed.

    Such a subject may have come back: what is new is not taken. Of what was there before, the failed run may
    have left older versions of which the index knows nothing any more.
    """
    redriven = [t for t in taken if t.erases and t.follow_up is None and _first_failed_in(t.request)]
    if not redriven:
        return list(taken)
    since = min(_first_failed_in(t.request) for t in redriven)
    later = [
        (request.run_id, requests.refs(customer, request.id))
        for request in requests.since(customer, "")
        if request.type == "erasure"
        and request.follows is None
        and request.state in {"completed", "partial"}
        and request.run_id is not None
        and request.run_id > since
    ]
    return [_with_superseded(t, later) if t in redriven else t for t in taken]


def _first_failed_in(request: Request) -> str:
    """Return the run; of a request that an earlier version has redriven, the last one before that."""
    return request.first_failed_in or request.redriven_from or ""


def _with_superseded(taken: TakenRequest, later: Sequence[tuple[str, Sequence[str]]]) -> TakenRequest:
    """Return the erasure with whom runs after the one in which it failed have erased, and since when."""
    mine, failed_in = set(taken.refs), _first_failed_in(taken.request)
    found: dict[str, str] = {}
    for run_id, refs in later:
        if run_id > failed_in:
            at = instant(moment_of(run_id))
            found |= {ref: max(at, found.get(ref, "")) for ref in mine.intersection(refs)}
    return replace(taken, superseded=found)


def _with_details(vault: Vault, taken: TakenRequest) -> TakenRequest:
    """Return the request with what waits for it in the vault, as far as that is still there."""
    request_id = taken.request.id
    detailed: TakenRequest | None = taken
    match request_values.kind_of(taken.request):
        case "changes":
            arrived = instant(moment_of(request_id))
            erased = [ref for ref in taken.refs if tombstones.erased_at(vault, ref) >= arrived]
            # All that it was about is erased of these. What came since is none of its business.
            request_items.drop_changes(vault, erased, request_id)
            taken = replace(taken, refs=tuple(ref for ref in taken.refs if ref not in erased))
            if not taken.refs:
                return taken
            kept = [request_items.hold_changes(vault, ref, request_id) for ref in taken.refs]
            changes = None if None in kept else kept[0]
            detailed = None if changes is None else _with_changes(vault, taken, json.loads(changes))
        case "late":
            follow_up = request_items.hold_follow_up(vault, request_id)
            detailed = None if follow_up is None else replace(taken, follow_up=follow_up)
        case "replay":
            groups = request_items.hold_groups(vault, request_id)
            detailed = None if groups is None else replace(taken, replayed=_by_subject(groups))
    # What waits goes just before the request ends: a run that was lost in between leaves one without it.
    return replace(taken, refs=(), details_gone=True) if detailed is None else detailed


def _with_changes(vault: Vault, taken: TakenRequest, changes: Sequence[Mapping[str, Any]]) -> TakenRequest:
    formats = {dataset.name: dataset.format for dataset in vault.customer.datasets}
    fields = {dataset.name: dataset.personal.keys() for dataset in vault.customer.datasets}
    return replace(
        taken,
        outdated=any(not c["set"].keys() <= fields.get(c["dataset"], set()) for c in changes),
        datasets=frozenset(c["dataset"] for c in changes if formats.get(c["dataset"]) != "records"),
        records=frozenset(
            (c["dataset"], c.get("record")) for c in changes if formats.get(c["dataset"]) == "records"
        ),
    )


def _by_subject(groups: Iterable[Group]) -> dict[str, Group]:
    return {ref: group for group in groups for ref in group.subjects}


def _erasure(taken: TakenRequest) -> Erasure:
    request = taken.request
    return Erasure(
        request=request.id,
        subjects=taken.refs_to_erase,
        follows=request.follows,
        restored_from=request.restored_from,
        client_id=request.client_id,
        person_id=request.person_id,
        call_id=request.call_id,
    )


def _leave_tombstones(vault: Vault, taken: Sequence[TakenRequest], at: str) -> None:
    # A follow-up leaves the first erasure's tombstone: what came legitimately after that one is not late.
    first = [t for t in reversed(taken) if t.erases and t.follow_up is None and not t.replayed]
    erased = {ref: t.request.id for t in first for ref in t.refs_to_erase}
    if not erased:
        return
    tombstones.note_erasure(vault, at)
    vault_items.batch_write(
        vault,
        put=[
            {
                **vault_items.key(vault_items.subject_pk(ref), tombstones.ERASED),
                "erased_at": {"S": at},
                "request": {"S": request_id},
            }
            for ref, request_id in erased.items()
        ],
    )


def _put_tombstones_back(vault: Vault, taken: Sequence[TakenRequest]) -> None:
    """Leave the tombstones that a restoration took away, with the instants that they had."""
    replayed = [(ref, group) for t in taken for ref, group in t.replayed.items()]
    if not replayed:
        return
    tombstones.note_erasure(vault, max(group.erased_at for _, group in replayed))
    _ = vault.dynamodb  # made before the threads share it
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        list(
            pool.map(
                lambda each: tombstones.put_tombstone_back(
                    vault, each[0], each[1].erased_at, each[1].request
                ),
                replayed,
            )
        )


def _withdraw_exports(
    vault: Vault, requests: RequestStore, taken: Sequence[TakenRequest], now: datetime
) -> tuple[str, ...]:
    """Withdraw the customer's exports if anybody is erased; return the ids of these erasures.

    Empty where there is no export to remove. No export can be made meanwhile: the run holds the lock.
    """
    erasures = tuple(t.request.id for t in taken if t.erases)
    store = ExportStore(requests.table)
    # Nothing is written before it is on record: who never asked for one costs no listing.
    if not erasures or store.newest(vault.customer.id) is None or not export_files.any_left(vault):
        return ()
    withdrawn = store.withdraw_all(vault.customer.id, at=now)
    _log.info("exports withdrawn: customer=%s exports=%d", vault.customer.id, withdrawn)
    return erasures
