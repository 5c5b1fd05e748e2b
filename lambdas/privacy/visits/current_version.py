"""What a visit makes of an object's current version: who is erased from it, and what is written instead."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from privacy.customers.customer import Dataset
from privacy.formats import compression
from privacy.formats.copies import PositionsWrongError, RowCopy
from privacy.formats.digests import Digests
from privacy.formats.edits import ChangesOf, Edited, RowEdits
from privacy.formats.positions import RowPositions, Splice, Target
from privacy.formats.readers import Subjects, check_readable, found_by, reader_of
from privacy.formats.row_times import Dated
from privacy.index import entries as index_entries
from privacy.index import subjects as index_subjects
from privacy.index.entries import Entries, Marker
from privacy.index.late_arrivals import Late, late_arrivals
from privacy.timestamps import instant
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones
from privacy.vault.objects import ObjectChangedError, StoredObject
from privacy.vault.rewrite import Rewrite
from privacy.vault.scratch import on_disk
from privacy.vault.sessions import Vault
from privacy.visits import scans
from privacy.visits.items import Journal
from privacy.visits.visit import Visit

_log: Final = logging.getLogger("privacy")

POSITIONS_BYTES: Final = 48 * 1024 * 1024
"""Memory in which a visit collects positions: of about 5 million rows. Of larger files it leaves that to the
index function."""


@dataclass(slots=True)
class Outcome(Edited):
    """What a visit did to an object.

    `old_version` is the current version that was found, `new_version` the one written in its place,
    `kept_version` the only one that stays; each is None where there is none. `damaged` says why the
    object's content could not be decoded: nothing of it was touched then. `purged` is false where a
    correction found nothing to correct: other versions stay then. `read_back` says whether a listing made
    after the last deletion showed nothing but the kept version. `indexed` says whether the index had seen the
    old version; `entries` are the versions that entries of subjects were about before anything was done.
    `erase` is who was to be erased: everybody whom the visit names, but for those whose erasure is a repeated
    one and does not reach the version. `archived` is set where S3 has to bring the object back first: nothing
    was touched then.
    """

    old_version: str | None = None
    new_version: str | None = None
    kept_version: str | None = None
    sha256_before: str | None = None
    sha256_after: str | None = None
    damaged: str | None = None
    archived: str | None = None
    versions_removed: int = 0
    purged: bool = True
    read_back: bool = False
    indexed: bool = False
    entries: dict[str, str] = field(default_factory=dict)
    erase: frozenset[str] = frozenset()

    def take(self, edited: Edited) -> None:
        """Note what was done to the object's rows."""
        self.rows_dropped, self.rows_changed = edited.rows_dropped, edited.rows_changed
        self.unparsed, self.unparsed_count = edited.unparsed, edited.unparsed_count
        self.erased, self.spared = edited.erased, edited.spared

    def noted(self) -> dict[str, Any]:
        """Return the outcome as the visit's item keeps it."""
        return {
            "rows_dropped": self.rows_dropped,
            "rows_changed": self.rows_changed,
            "old_version": self.old_version,
            "new_version": self.new_version,
            "kept_version": self.kept_version,
            "sha256_before": self.sha256_before,
            "sha256_after": self.sha256_after,
            "unparsed": self.unparsed,
            "unparsed_count": self.unparsed_count,
            "damaged": self.damaged,
            "archived": self.archived,
            "versions_removed": self.versions_removed,
            "purged": self.purged,
            "read_back": self.read_back,
        }


def changed_version(
    vault: Vault,
    dataset: Dataset,
    visit: Visit,
    changes: ChangesOf,
    journal: Journal,
) -> Outcome:
    """Make the object's current version what it has to be. Older versions are still there afterwards."""
    key = visit.key or ""
    # What very many visits share is about people who are in few of the objects: nothing is read for them.
    known = frozenset[str]() if visit.shared else visit.erase | changes.keys()
    entries = index_entries.read_entries(vault, key, known)
    if dataset.format == "object":
        stored = vault_objects.describe(vault, key)
    else:
        check_readable(dataset)
        stored = vault_objects.read(vault, key)
    if stored is None:
        return Outcome(entries=entries.versions, erase=visit.erase)
    erase = asked_of(visit, _uploaded_at(vault, stored, journal) if visit.limits else "")
    scanned = dataset.index == "scan"
    marker = None if scanned else index_entries.read_marker(vault, key)
    indexed = marker is not None and marker.version_id == stored.version_id
    last_erasure = None
    if not indexed:
        marker = None
    if not (scans.is_checked(vault, dataset, stored) if scanned else indexed):
        last_erasure = tombstones.last_erasure(vault)
        if last_erasure and (last_erasure >= instant(stored.last_modified) or dataset.as_of is not None):
            late = _late(vault, dataset, stored)
            entries.versions |= index_entries.read_entries(vault, key, late.keys() - erase.keys()).versions
            for each, arrival in late.items():
                asked = erase.get(each, "")
                erase[each] = None if asked is None or arrival.whole else max(asked, arrival.erased_at)
            if dataset.format != "object":
                stored = _read_again(vault, stored)
    if dataset.format == "object":
        outcome = Outcome(
            old_version=stored.version_id, indexed=indexed, entries=entries.versions, erase=frozenset(erase)
        )
        ref = index_subjects.subject_of_object(vault, stored)
        if ref is not None and erase.get(ref, "") is None:
            outcome.rows_dropped = 1
            outcome.erased.add(ref)
        else:
            outcome.kept_version = stored.version_id
            outcome.spared.update({ref} & erase.keys() if ref else ())
        return outcome
    work = _Work(vault, dataset, erase, changes, journal, marker, entries, last_erasure, visit.scan)
    if dataset.format == "parquet":
        return work.rewrite_parquet(stored)
    targets = work.targets()
    if targets is not None:
        try:
            return work.rewrite(stored, targets)
        except PositionsWrongError:
            _log.error("positions of rows are wrong, object parsed in full: customer=%s", vault.customer.id)
            stored = _read_again(vault, stored)
    return work.rewrite(stored)


def asked_of(visit: Visit, uploaded_at: str) -> dict[str, str | None]:
    """Return whom the visit has to erase from a version that was uploaded then.

    Each with the instant up to which rows go by their own time; None where all of the person's rows go.
    """
    return {ref: extent.until for ref, extent in visit.extents(uploaded_at).items()}


def _read_again(vault: Vault, stored: StoredObject) -> StoredObject:
    again = vault_objects.read(vault, stored.key, if_match=stored.etag)
    if again is None:
        raise ObjectChangedError
    return again


def _uploaded_at(vault: Vault, stored: StoredObject, journal: Journal) -> str:
    """Return when the version was uploaded that the visit found, or that an attempt before has replaced.

    What an attempt wrote carries the time of that attempt: it would pass for data that was put back.
    """
    written, noted = journal.facts.get("outcome"), journal.facts.get("uploaded_at")
    if written is not None and noted is not None and stored.version_id != written["old_version"]:
        current = vault_objects.read_version(vault, stored.key, stored.version_id)
        if current is not None and _sha256(current) == written["sha256_after"]:
            return str(noted)
    return instant(stored.last_modified)


def _sha256(stored: StoredObject) -> str:
    digest = hashlib.sha256()
    for chunk in stored.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _late(vault: Vault, dataset: Dataset, stored: StoredObject) -> dict[str, Late]:
    """Return who is to be erased from this version because of an erasure before anybody looked into it.

    The index has not seen this version yet, and will not: a rewrite takes its place, with a new time. So
    the visit looks for late arrivals itself. Reads the content to its end.
    """
    return late_arrivals(
        vault,
        dataset,
        index_subjects.subjects(vault, dataset, stored).rows,
        instant(stored.last_modified),
        lambda: vault_objects.read(vault, stored.key, if_match=stored.etag),
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done to the current version of a file of rows, and what the index knows of that version.

    `erase` are the instants up to which a person's rows go by their own time, None where all of them go.
    `marker` is None where the index has not seen the version; `last_erasure` is then the instant of the
    last erasure when tombstones were looked at (empty: there was none), otherwise None. `scan` is set where
    nobody keeps an index of the version.
    """

    vault: Vault
    dataset: Dataset
    erase: Mapping[str, str | None]
    changes: ChangesOf
    journal: Journal
    marker: Marker | None
    entries: Entries
    last_erasure: str | None
    scan: bool

    def targets(self) -> list[Target] | None:
        """Return the rows that the work is about, in the order of the file, or None where nobody knows."""
        if self.marker is None or any(self.erase.values()):
            return None
        refs = self.erase.keys() | self.changes.keys()
        return self.entries.targets(self.marker, refs, self._reading)

    def rewrite(self, stored: StoredObject, targets: list[Target] | None = None) -> Outcome:
        """Write what the version becomes: with `targets` by looking at these rows alone.

        Raises PositionsWrongError where one of them is not what the index says; nothing was written then.
        """
        vault, marker = self.vault, self.marker
        outcome = self._found(stored)
        reference = index_subjects.reference_of(vault)
        positions = None
        if marker is None and not self.scan:
            positions = RowPositions(reference, POSITIONS_BYTES)
        until = {ref: datetime.fromisoformat(at) for ref, at in self.erase.items() if at is not None}
        edits = RowEdits(
            frozenset(self.erase),
            self.changes,
            reference,
            elements=self.dataset.remove == "element",
            dated=Dated(self.dataset.as_of, until) if until else None,
            positions=positions,
        )
        reader = reader_of(self.dataset)
        digests = Digests()
        size = vault_objects.READ_BYTES if targets is None else vault_objects.COPY_BYTES
        codec, content = compression.unpacked(digests.read(stored.chunks(size)))
        packer = compression.packer(codec)
        pieces: Iterator[bytes | memoryview]
        if targets is None or marker is None:
            pieces = edits.applied(reader, content)
        else:
            pieces = RowCopy(reader, marker.head, targets, edits).applied(content)
        with Rewrite(vault, stored, lambda upload: self.journal.note(upload=upload)) as rewrite:
            try:
                for piece in pieces:
                    if targets is None or codec != "plain":
                        rewrite.write(packer.compress(piece))
                        continue
                    digests.write(piece, same=not edits.done.rows_dropped + edits.done.rows_changed)
                    rewrite.write_digested(piece)
            except compression.DamagedContentError as error:
                outcome.damaged = str(error)
                return outcome
            if targets is not None and codec == "plain":
                rewrite.digest = digests.after
            rewrite.write(packer.flush())
            outcome.take(edits.done)
            outcome.sha256_before = digests.before.hexdigest()
            outcome.sha256_after = rewrite.sha256
            if outcome.rows_dropped or outcome.rows_changed:
                version_id = self._commit(rewrite, outcome, edits.splices)
                if positions is not None:
                    found = found_by(positions, reader)
                    if found.positions is not None:
                        self._index(stored, version_id, rewrite.size, found)
        return outcome

    def rewrite_parquet(self, stored: StoredObject) -> Outcome:
        """Write what the version of a parquet file becomes. Raises scratch.ObjectTooLargeError."""
        from privacy.parquet.edits import ParquetEdits  # Arrow is large: only who meets such a file waits

        outcome = self._found(stored)
        before = hashlib.sha256()
        edits = ParquetEdits(
            self.dataset.subject or "",
            frozenset(ref for ref, until in self.erase.items() if until is None),
            self.changes,
            index_subjects.reference_of(self.vault),
            elements=self.dataset.remove == "element",
            spare=frozenset(ref for ref, until in self.erase.items() if until is not None),
        )
        with (
            on_disk(stored, before.update) as file,
            Rewrite(self.vault, stored, lambda upload: self.journal.note(upload=upload)) as rewrite,
        ):
            try:
                written = edits.apply(file, rewrite.write)
            except compression.DamagedContentError as error:
                outcome.damaged = str(error)
                return outcome
            outcome.take(edits.done)
            outcome.sha256_before = before.hexdigest()
            outcome.sha256_after = rewrite.sha256 if written else outcome.sha256_before
            if written:
                self._commit(rewrite, outcome, None)
        return outcome

    def _found(self, stored: StoredObject) -> Outcome:
        """Return the outcome of a visit that has not changed anything yet."""
        return Outcome(
            old_version=stored.version_id,
            kept_version=stored.version_id,
            indexed=self.marker is not None,
            entries=self.entries.versions,
            erase=frozenset(self.erase),
        )

    def _commit(self, rewrite: Rewrite, outcome: Outcome, splices: Sequence[Splice] | None) -> str:
        """Note what the visit comes to, make what was written the current version, and return its id.

        Raises ObjectChangedError where an erasure was planned since tombstones were looked at: what is
        written has a new time, and would pass for new data.
        """
        stored = rewrite.source
        if self.last_erasure is not None and tombstones.last_erasure(self.vault) != self.last_erasure:
            raise ObjectChangedError
        outcome.versions_removed = 1  # the old one, once it is replaced
        after = self.marker.rewritten(splices, self._reading) if self.marker else None
        self.journal.note(
            outcome=outcome.noted(),
            indexed=outcome.indexed,
            marker=after.noted() if after else None,
            replaced=[*self.journal.facts.get("replaced", ()), stored.version_id],
            uploaded_at=instant(stored.last_modified),
            checksum=rewrite.checksum,
        )
        outcome.new_version = outcome.kept_version = version_id = rewrite.commit()
        return version_id

    def _index(self, old: StoredObject, version_id: str, size: int, found: Subjects) -> None:
        """Bring the index up to date with the version that was written, as its event would.

        An erasure that was planned since tombstones were looked at is left to the event. The time of the
        upload is the old version's: a rewrite brings nothing new.
        """
        index_entries.write_entries(
            self.vault,
            self.dataset,
            key=old.key,
            version_id=version_id,
            size=size,
            uploaded_at=old.last_modified,
            found=found,
        )
        if tombstones.last_erasure(self.vault) == self.last_erasure:
            marker = Marker.of(self.vault.customer, self.dataset, version_id, found)
            index_entries.mark_indexed(self.vault, old.key, marker)

    @property
    def _reading(self) -> bytes:
        return index_entries.reading_of(self.vault.customer, self.dataset)
