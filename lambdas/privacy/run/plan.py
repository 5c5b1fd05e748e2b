"""The plan of a run: which requests it takes, and which objects and records they touch."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from privacy.evidence import ledger
from privacy.evidence.ledger import Erasure
from privacy.exports import files as export_files
from privacy.exports.store import ExportStore
from privacy.requests.store import Request, RequestStore
from privacy.run import request_values
from privacy.run.replay import Group, groups
from privacy.run.steps import MAX_REQUESTS
from privacy.timestamps import parse_timestamp
from privacy.vault import archived
from privacy.vault import items as vault_items
from privacy.vault.prefix_walks import Found, files_below
from privacy.vault.sessions import Vault
from privacy.visits import visit as visit_items
from privacy.visits.limits import NEVER, ErasureLimit
from privacy.visits.visit import Visit

_log: Final = logging.getLogger("privacy")

MAX_SUBJECTS: Final = 5000
"""A run takes requests about no more subjects (one request always); the rest goes with the next run, which
starts when it ends. So a visit, which carries the references of its object's subjects, stays below the
400 KB of a table item."""

BATCH_VISITS: Final = 100
MAX_BATCHES: Final = 5000
"""The batches travel through the state machine: its input takes 256 KiB, a batch about 30 bytes."""

DETAILS_GONE: Final = "details-gone"
"""Problem of a correction whose new values, or a follow-up whose object's key, are no longer kept."""

_PARALLEL: Final = 8


@dataclass(frozen=True, slots=True)
class TakenRequest:
    """A request of the run with what it asks.

    `late_key` is set for an erasure that follows an earlier one: it is about this object alone, and about
    what is not after `erased_at`. That is decided by a row's own time, and with `whole` by the time at which
    the object's version was uploaded as well. `replayed` is set for one that is repeated after a restoration:
    by reference, what it repeats.
    `records` and `datasets` say what a correction is about: pairs of dataset and record id (None: all of
    the subject's records), and datasets of rows; `details_gone` is set where that is
    no longer known. `redriven` are the objects of the run that the request failed in, with their journals.
    """

    request: Request
    refs: tuple[str, ...]
    late_key: str | None = None
    replayed: Mapping[str, Group] = field(default_factory=dict)
    erased_at: str | None = None
    whole: bool = False
    datasets: frozenset[str] = frozenset()
    records: frozenset[tuple[str, str | None]] = frozenset()
    details_gone: bool = False
    redriven: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def erases(self) -> bool:
        """Whether the request is an erasure."""
        return self.request.type == "erasure"

    def limit(self, ref: str) -> ErasureLimit | None:
        """Which versions a repeated erasure takes all of this subject's rows from; None for a first one."""
        if self.whole and self.erased_at is not None:
            return ErasureLimit(self.erased_at, NEVER)
        restored_from = self.request.restored_from
        if restored_from is None:
            return None
        return ErasureLimit(self.replayed[ref].erased_at, vault_items.instant(parse_timestamp(restored_from)))

    def wants_record(self, dataset: str, record_id: str) -> bool:
        """Whether a correction is about this record."""
        return not self.records.isdisjoint({(dataset, record_id), (dataset, None)})


@dataclass(slots=True)
class _Holdings:
    """What the vault has of one subject: objects with their datasets, and records."""

    objects: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """What is asked of one object, or of the records of some subjects."""

    dataset: str | None = None
    requests: dict[str, None] = field(default_factory=dict)
    erase: dict[str, str | None] = field(default_factory=dict)
    limits: dict[str, ErasureLimit] = field(default_factory=dict)
    correct: list[tuple[str, str]] = field(default_factory=list)
    journal: Mapping[str, Any] = field(default_factory=dict)

    def add(self, taken: TakenRequest, ref: str) -> None:
        self.requests[taken.request.id] = None
        limit = taken.limit(ref)
        if limit is not None:
            self.limits[ref] = limit.widened(self.limits.get(ref))
        if taken.erases and not taken.replayed:
            until = self.erase.get(ref, "")
            at = taken.erased_at
            self.erase[ref] = None if until is None or at is None else max(until, at)
        elif not taken.erases:
            self.correct.append((taken.request.id, ref))

    def join(self, other: "_Work") -> None:
        """Ask also what the other asks, which is about subjects as a whole."""
        self.requests |= other.requests
        self.erase |= other.erase
        self.limits |= {ref: limit.widened(self.limits.get(ref)) for ref, limit in other.limits.items()}
        self.correct += [pair for pair in other.correct if pair not in self.correct]

    def visit(self, number: int, key: str | None) -> Visit:
        return Visit(
            number=number,
            kind="records" if key is None else "object",
            requests=tuple(sorted(self.requests)),
            erase=frozenset(self.erase.keys() | self.limits.keys()),
            until={ref: until for ref, until in self.erase.items() if until is not None},
            # Who is to be erased whatever the time needs no limit.
            limits={r: limit for r, limit in self.limits.items() if self.erase.get(r, "") is not None},
            correct=tuple(sorted(self.correct)),
            key=key,
            dataset=self.dataset,
            journal=self.journal,
        )


def plan_run(
    vault: Vault,
    requests: RequestStore,
    run_id: str,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Take the customer's pending requests and write the run's visits down; return how many there are.

    Can be done again as a whole: what an earlier attempt wrote is replaced. Tombstones come before the
    look-up, so that what is indexed meanwhile is either found here or recognised there as a late arrival.
    The ledger comes before the tombstones: nothing is erased that it does not know.
    """
    taken = _take(vault, requests, run_id)
    at = vault_items.instant(clock())
    ledger.write(vault, run_id, at, [_erasure(t) for t in taken if t.erases and t.refs])
    _leave_tombstones(vault, taken, at)
    _put_tombstones_back(vault, taken)
    outliving = _withdraw_exports(vault, requests, taken, clock())
    unread = archived.unread(vault)
    wide = _wide(vault, taken, unread)
    shared = {name: work.visit(0, None) for name, work in wide.items()}
    planned = visit_items.write(vault, run_id, shared, _work(vault, taken, wide, unread, outliving))
    for t in taken:
        if t.details_gone:
            # Nothing is visited for it, so nothing else would keep it from being called completed.
            visit_items.note_request_problem(vault, run_id, t.request.id, DETAILS_GONE)
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


def _with_details(vault: Vault, taken: TakenRequest) -> TakenRequest:
    if taken.erases and taken.request.follows is None and taken.request.restored_from is None:
        return taken
    # They go just before the request ends: a run that was lost in between leaves a request without them.
    item = request_values.take(vault, taken.request)
    if item is None:
        return replace(taken, refs=(), details_gone=True)
    if "key" in item:
        return replace(
            taken,
            late_key=item["key"]["S"],
            erased_at=item["erased_at"]["S"],
            whole=item["whole"]["BOOL"],
        )
    if taken.erases:
        return replace(taken, replayed={ref: group for group in groups(item) for ref in group.subjects})
    changes: list[dict[str, Any]] = json.loads(item["changes"]["S"])
    formats = {dataset.name: dataset.format for dataset in vault.customer.datasets}
    return replace(
        taken,
        datasets=frozenset(c["dataset"] for c in changes if formats.get(c["dataset"]) != "records"),
        records=frozenset(
            (c["dataset"], c.get("record")) for c in changes if formats.get(c["dataset"]) == "records"
        ),
    )


def _erasure(taken: TakenRequest) -> Erasure:
    request = taken.request
    return Erasure(
        request=request.id,
        subjects=taken.refs,
        follows=request.follows,
        restored_from=request.restored_from,
    )


def _leave_tombstones(vault: Vault, taken: Sequence[TakenRequest], at: str) -> None:
    # A follow-up leaves the first erasure's tombstone: what came legitimately after that one is not late.
    first = [t for t in reversed(taken) if t.erases and t.late_key is None and not t.replayed]
    erased = {ref: t.request.id for t in first for ref in t.refs}
    if not erased:
        return
    vault_items.note_erasure(vault, at)
    vault_items.batch_write(
        vault,
        put=[
            {
                **vault_items.key(vault_items.subject_pk(ref), vault_items.ERASED),
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
    vault_items.note_erasure(vault, max(group.erased_at for _, group in replayed))
    _ = vault.dynamodb  # made before the threads share it
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        list(
            pool.map(
                lambda each: vault_items.put_tombstone_back(
                    vault, each[0], each[1].erased_at, each[1].request
                ),
                replayed,
            )
        )


def _withdraw_exports(
    vault: Vault, requests: RequestStore, taken: Sequence[TakenRequest], now: datetime
) -> tuple[str, ...]:
    """Withdraw the customer's exports if anybody is erased; return the erasures that they must not outlive.

    None where there is nothing to remove. None can come meanwhile: the run holds the lock.
    """
    erasures = tuple(t.request.id for t in taken if t.erases)
    store = ExportStore(requests.table)
    # Nothing is written before it is on record: who never asked for one costs no listing.
    if not erasures or store.newest(vault.customer.id) is None or not export_files.any_left(vault):
        return ()
    withdrawn = store.withdraw_all(vault.customer.id, at=now)
    _log.info("exports withdrawn: customer=%s exports=%d", vault.customer.id, withdrawn)
    return erasures


def _wide(vault: Vault, taken: Sequence[TakenRequest], unread: Mapping[str, list[str]]) -> dict[str, _Work]:
    """Return what is asked of every file of a dataset that is scanned or could not be read, by its name."""
    found: dict[str, _Work] = {}
    for dataset in vault.customer.datasets:
        work = _Work(dataset.name)
        for t in taken if dataset.index == "scan" or dataset.name in unread else ():
            if t.late_key is None and (t.erases or dataset.name in t.datasets):
                for ref in t.refs:
                    work.add(t, ref)
        if work.requests:
            found[dataset.name] = work
    return found


def _work(
    vault: Vault,
    taken: Sequence[TakenRequest],
    wide: Mapping[str, _Work],
    unread: Mapping[str, list[str]],
    outliving: tuple[str, ...],
) -> Iterator[Visit]:
    scanned = {d.name: wide[d.name] for d in vault.customer.datasets if d.name in wide and d.index == "scan"}
    objects: dict[str, _Work] = {}
    by_subject: dict[str, _Work] = {}
    holdings = _holdings(vault, {ref for t in taken if t.late_key is None for ref in t.refs})
    _drop_entries_of(vault, scanned, holdings)
    for t in taken:
        for ref in t.refs:
            if t.late_key is not None:
                objects.setdefault(t.late_key, _Work()).add(t, ref)
                continue
            for key, journal in t.redriven.items():
                work = objects.setdefault(key, _Work())
                work.add(t, ref)
                work.journal = work.journal or journal
            held = holdings[ref]
            for key, dataset in held.objects.items():
                if dataset in scanned:
                    continue
                if t.erases or dataset in t.datasets:
                    objects.setdefault(key, _Work()).add(t, ref)
            if held.records and (t.erases or any(t.wants_record(*record) for record in held.records)):
                by_subject.setdefault(ref, _Work()).add(t, ref)
    numbers = count()
    if outliving:
        yield Visit(number=next(numbers), kind="exports", requests=outliving)
    # A visit for each subject: records that cannot be dealt with are then nobody else's problem.
    for _, work in sorted(by_subject.items()):
        yield work.visit(next(numbers), None)
    for walked in vault.customer.datasets:
        if walked.name not in wide:
            continue
        files: Iterable[Found] = (
            files_below(vault, walked.prefix or "")
            if walked.name in scanned
            else (Found(key, None) for key in unread[walked.name])
        )
        for file in files:
            if own := objects.pop(file.key, None):
                own.join(wide[walked.name])
                own.dataset = walked.name
                yield replace(own.visit(next(numbers), file.key), scan=True, sole=file.sole)
                continue
            yield Visit(
                number=next(numbers),
                kind="object",
                requests=(),
                key=file.key,
                dataset=walked.name,
                scan=True,
                sole=file.sole,
                shared=walked.name,
            )
    for key, work in sorted(objects.items()):
        below = vault.customer.dataset_of(key)
        work.dataset = below.name if below else None
        yield work.visit(next(numbers), key)


def _drop_entries_of(vault: Vault, scanned: Mapping[str, _Work], holdings: Mapping[str, _Holdings]) -> None:
    """Remove the erased subjects' entries for datasets that had an index before they came to be scanned."""
    stale = [
        vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(key))
        for ref, held in holdings.items()
        for key, dataset in held.objects.items()
        if dataset in scanned and ref in scanned[dataset].erase
    ]
    vault_items.batch_write(vault, delete=stale)


def _holdings(vault: Vault, refs: Iterable[str]) -> dict[str, _Holdings]:
    ordered = sorted(refs)
    _ = vault.dynamodb  # made before the threads share it
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        return dict(zip(ordered, pool.map(lambda ref: _holding(vault, ref), ordered), strict=True))


def _holding(vault: Vault, ref: str) -> _Holdings:
    found = _Holdings()
    for item in vault_items.query(vault, vault_items.subject_pk(ref)):
        if "object" in item:
            found.objects[item["object"]["S"]] = item["dataset"]["S"]
        elif "record_id" in item:
            found.records.append((item["dataset"]["S"], item["record_id"]["S"]))
    return found
