"""What a run has to do: its requests turned into visits of the objects and records that they touch."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from privacy.customers.customer import Dataset
from privacy.requests.request import Request
from privacy.timestamps import instant, parse_timestamp
from privacy.vault import items as vault_items
from privacy.vault import readings, request_items, tombstones
from privacy.vault.objects import Found, files_below
from privacy.vault.request_items import FollowUp, Group
from privacy.vault.sessions import Vault
from privacy.visits.limits import ALL_ROWS, NEVER, ErasureLimit, Extent
from privacy.visits.visit import Visit

PARALLEL: Final = 8


@dataclass(frozen=True, slots=True)
class TakenRequest:
    """A request of the run with what it asks.

    - `follow_up`: set for an erasure that follows an earlier one, and is about one object alone.
    - `replayed`: set for an erasure that is repeated after a restoration: by reference, what it repeats.
    - `datasets`, `records`: what a correction is about: datasets of rows, and pairs of dataset and record id
      (None: all of the subject's records).
    - `outdated`: set where a correction names a dataset or a field that the config does not have any more.
    - `details_gone`: set where what the request is about is no longer known; `refs` is then empty.
    - `superseded`: of a redriven erasure, subjects whom another one has erased since, up to which instant.
    - `redriven`: the objects of the run that the request failed in, with their visits' journals.
    """

    request: Request
    refs: tuple[str, ...]
    follow_up: FollowUp | None = None
    replayed: Mapping[str, Group] = field(default_factory=dict)
    datasets: frozenset[str] = frozenset()
    records: frozenset[tuple[str, str | None]] = frozenset()
    outdated: bool = False
    details_gone: bool = False
    superseded: Mapping[str, str] = field(default_factory=dict)
    redriven: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def erases(self) -> bool:
        """Whether the request is an erasure."""
        return self.request.type == "erasure"

    @property
    def refs_to_erase(self) -> tuple[str, ...]:
        """Whom an erasure erases as of now: not those whom another one has erased since it failed."""
        return tuple(ref for ref in self.refs if ref not in self.superseded)

    def limit(self, ref: str) -> ErasureLimit | None:
        """Which versions a repeated erasure takes all of this subject's rows from; None for a first one."""
        if ref in self.superseded:
            return ErasureLimit(self.superseded[ref], NEVER)
        if self.follow_up is not None and self.follow_up.whole:
            return ErasureLimit(self.follow_up.erased_at, NEVER)
        restored_from = self.request.restored_from
        if restored_from is None:
            return None
        return ErasureLimit(self.replayed[ref].erased_at, instant(parse_timestamp(restored_from)))

    @property
    def extent(self) -> Extent:
        """Which of a subject's rows the erasure takes by their own time."""
        return ALL_ROWS if self.follow_up is None else Extent(self.follow_up.erased_at)

    def wants_record(self, dataset: str, record_id: str) -> bool:
        """Whether a correction is about this record."""
        return not self.records.isdisjoint({(dataset, record_id), (dataset, None)})


@dataclass(slots=True)
class Holdings:
    """What the vault has of one subject: objects with their datasets, records, and when it was erased.

    `corrections` are the items with values of corrections that arrived before the erasure.
    """

    objects: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, str]] = field(default_factory=list)
    corrections: list["vault_items.Item"] = field(default_factory=list)


@dataclass(slots=True)
class Work:
    """What is asked of one object, or of the records of some subjects."""

    dataset: str | None = None
    requests: dict[str, None] = field(default_factory=dict)
    erase: dict[str, Extent] = field(default_factory=dict)
    limits: dict[str, ErasureLimit] = field(default_factory=dict)
    correct: list[tuple[str, str]] = field(default_factory=list)
    journal: Mapping[str, Any] = field(default_factory=dict)

    def add(self, taken: TakenRequest, ref: str) -> None:
        """Ask also what the request asks about this subject."""
        self.requests[taken.request.id] = None
        limit = taken.limit(ref)
        if limit is not None:
            self.limits[ref] = limit.widened(self.limits.get(ref))
        if taken.erases and not taken.replayed and ref not in taken.superseded:
            self.erase[ref] = taken.extent.widened(self.erase.get(ref))
        if not taken.erases:
            self.correct.append((taken.request.id, ref))

    def join(self, other: "Work") -> None:
        """Ask also what the other asks, which is about subjects as a whole."""
        self.requests |= other.requests
        self.erase |= {ref: extent.widened(self.erase.get(ref)) for ref, extent in other.erase.items()}
        self.limits |= {ref: limit.widened(self.limits.get(ref)) for ref, limit in other.limits.items()}
        self.correct += [pair for pair in other.correct if pair not in self.correct]

    def visit(self, number: int, key: str | None) -> Visit:
        """Return the visit with this number: of the object with this key, or (None) of records."""
        wholly = {ref for ref, extent in self.erase.items() if extent.takes_all}
        return Visit(
            number=number,
            kind="records" if key is None else "object",
            requests=tuple(sorted(self.requests)),
            erase=frozenset(self.erase.keys() | self.limits.keys()),
            until={ref: extent.until for ref, extent in self.erase.items() if extent.until is not None},
            # Who is to be erased whatever the time needs no limit.
            limits={ref: limit for ref, limit in self.limits.items() if ref not in wholly},
            correct=tuple(sorted(self.correct)),
            key=key,
            dataset=self.dataset,
            journal=self.journal,
        )


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Files of which the index cannot tell whom they hold.

    `walked` are the names of datasets of which that is so of every file: scanned ones, and those whose index
    is not complete (`privacy.vault.readings`). `single` are the keys of files that every erasure visits, by
    dataset (`privacy.vault.notes`).
    """

    walked: frozenset[str]
    single: Mapping[str, Sequence[str]]

    def concerns(self, dataset: Dataset) -> bool:
        """Return whether there are such files in the dataset."""
        return dataset.name in self.walked or dataset.name in self.single


def unlisted_files(vault: Vault, to_visit: Mapping[str, Sequence[str]]) -> Unlisted:
    """Return of which files the index cannot tell whom they hold; `to_visit` are the single ones, by dataset.

    AWS errors and TableBusyError are raised.
    """
    incomplete = readings.prefixes_to_walk(vault)
    walked = {d.name for d in vault.customer.datasets if d.index == "scan" or d.prefix in incomplete}
    return Unlisted(frozenset(walked), to_visit)


def asked_of_all_files(vault: Vault, taken: Sequence[TakenRequest], unlisted: Unlisted) -> dict[str, Work]:
    """Return what is asked of every file of a dataset that the index does not list, by the dataset's name."""
    found: dict[str, Work] = {}
    for dataset in vault.customer.datasets:
        work = Work(dataset.name)
        for t in taken if unlisted.concerns(dataset) else ():
            if t.follow_up is None and (t.erases or dataset.name in t.datasets):
                for ref in t.refs:
                    work.add(t, ref)
        if work.requests:
            found[dataset.name] = work
    return found


def planned_visits(
    vault: Vault,
    taken: Sequence[TakenRequest],
    holdings: Mapping[str, Holdings],
    wide: Mapping[str, Work],
    unlisted: Unlisted,
    outliving: tuple[str, ...],
) -> Iterator[Visit]:
    """Yield the visits of a run: exports, records of each subject, files that are walked, single objects.

    `holdings` is what the vault has of the requests' subjects (`holdings_of`); `wide` is what is asked of
    every file of a dataset, by the dataset's name (`asked_of_all_files`); `outliving` are the erasures that
    the customer's exports must not outlive, none where there is no export. AWS errors and TableBusyError are
    raised.
    """
    scanned = {d.name: wide[d.name] for d in vault.customer.datasets if d.name in wide and d.index == "scan"}
    _drop_entries_of(vault, scanned, holdings)
    _drop_values(vault, holdings)
    records = _asked_of_records(taken, holdings)
    objects = _asked_of_objects(taken, holdings, scanned)
    numbers = count()
    if outliving:
        yield Visit(number=next(numbers), kind="exports", requests=outliving)
    # A visit for each subject: records that cannot be dealt with are then nobody else's problem.
    for _, work in sorted(records.items()):
        yield work.visit(next(numbers), None)
    for dataset in vault.customer.datasets:
        if dataset.name in wide:
            files = (
                files_below(vault, dataset.prefix or "")
                if dataset.name in unlisted.walked
                else [Found(key, None) for key in unlisted.single[dataset.name]]
            )
            yield from _visits_of_files(files, wide[dataset.name], objects, numbers)
    for key, work in sorted(objects.items()):
        below = vault.customer.dataset_of(key)
        work.dataset = below.name if below else None
        yield work.visit(next(numbers), key)


def has_data_of_no_dataset(vault: Vault, taken: TakenRequest, holdings: Mapping[str, Holdings]) -> bool:
    """Return whether the subject of a correction has files or records, whichever it is about, of no dataset.

    Their dataset may have been renamed, so that the correction is about them, and nobody can tell.
    """
    if taken.erases:
        return False
    names = {dataset.name for dataset in vault.customer.datasets}
    held = [holdings[ref] for ref in taken.refs]
    files = any(vault.customer.dataset_of(key) is None for each in held for key in each.objects)
    records = any(name not in names for each in held for name, _ in each.records)
    return bool((taken.datasets and files) or (taken.records and records))


def _asked_of_records(taken: Sequence[TakenRequest], holdings: Mapping[str, Holdings]) -> dict[str, Work]:
    """Return what is asked of the records of each subject who has any that a request is about."""
    found: dict[str, Work] = {}
    for t in taken:
        for ref in t.refs if t.follow_up is None else ():
            records = holdings[ref].records
            if records and (t.erases or any(t.wants_record(*record) for record in records)):
                found.setdefault(ref, Work()).add(t, ref)
    return found


def _asked_of_objects(
    taken: Sequence[TakenRequest], holdings: Mapping[str, Holdings], scanned: Container[str]
) -> dict[str, Work]:
    """Return what is asked of single objects, by key: of those that the index names or a failed run had.

    Objects of `scanned` datasets are left to the walk.
    """
    found: dict[str, Work] = {}
    for t in taken:
        for ref in t.refs:
            if t.follow_up is not None:
                found.setdefault(t.follow_up.key, Work()).add(t, ref)
                continue
            for key, journal in t.redriven.items():
                work = found.setdefault(key, Work())
                work.add(t, ref)
                work.journal = work.journal or journal
            for key, dataset in holdings[ref].objects.items():
                if dataset not in scanned and (t.erases or dataset in t.datasets):
                    found.setdefault(key, Work()).add(t, ref)
    return found


def _visits_of_files(
    files: Iterable[Found], asked: Work, objects: dict[str, Work], numbers: Iterator[int]
) -> Iterator[Visit]:
    """Yield a visit of every file of a dataset of which all are asked the same.

    A file of which more is asked has a visit with both, and is taken out of `objects`.
    """
    for file in files:
        if own := objects.pop(file.key, None):
            own.join(asked)
            own.dataset = asked.dataset
            yield replace(own.visit(next(numbers), file.key), scan=True, sole=file.sole)
            continue
        yield Visit(
            number=next(numbers),
            kind="object",
            requests=(),
            key=file.key,
            dataset=asked.dataset,
            scan=True,
            sole=file.sole,
            shared=asked.dataset,
        )


def _drop_entries_of(vault: Vault, scanned: Mapping[str, Work], holdings: Mapping[str, Holdings]) -> None:
    """Remove the erased subjects' entries for datasets that had an index before they came to be scanned."""
    stale = [
        vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(key))
        for ref, held in holdings.items()
        for key, dataset in held.objects.items()
        if dataset in scanned and ref in scanned[dataset].erase
    ]
    vault_items.batch_write(vault, delete=stale)


def _drop_values(vault: Vault, holdings: Mapping[str, Holdings]) -> None:
    """Remove the values of corrections that arrived before their subjects' erasures, whatever became of them.

    They may be kept for a redrive, or be of a correction in this very run: its subject's data goes, so that
    nothing is left to correct.
    """
    stale = [item for held in holdings.values() for item in held.corrections]
    vault_items.batch_write(vault, delete=[{"pk": item["pk"], "sk": item["sk"]} for item in stale])


def holdings_of(vault: Vault, taken: Sequence[TakenRequest]) -> dict[str, Holdings]:
    """Return what the vault has of each subject of the requests, but for follow-ups.

    AWS errors are raised.
    """
    ordered = sorted({ref for t in taken if t.follow_up is None for ref in t.refs})
    _ = vault.dynamodb  # made before the threads share it
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        return dict(zip(ordered, pool.map(lambda ref: _holding(vault, ref), ordered), strict=True))


def _holding(vault: Vault, ref: str) -> Holdings:
    found, erased_at = Holdings(), ""
    for item in vault_items.query(vault, vault_items.subject_pk(ref)):
        if "object" in item:
            # By its key: the dataset may have had another name when the entry was made.
            below = vault.customer.dataset_of(item["object"]["S"])
            found.objects[item["object"]["S"]] = item["dataset"]["S"] if below is None else below.name
        elif "record_id" in item:
            found.records.append((item["dataset"]["S"], item["record_id"]["S"]))
        elif item["sk"]["S"] == tombstones.ERASED:
            erased_at = item["erased_at"]["S"]
        elif request_items.arrived(item) is not None:
            found.corrections.append(item)
    found.corrections = [i for i in found.corrections if (request_items.arrived(i) or "") <= erased_at]
    return found
