"""One object visited once for everything a run's requests ask of it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from privacy import codecs, object_index, object_store, rows, vault_items
from privacy.digests import Digests
from privacy.journal import Journal
from privacy.object_index import Entries, Marker, Target
from privacy.object_store import ObjectChangedError, Rewrite, StoredObject
from privacy.registry import Dataset
from privacy.row_copies import PositionsWrongError, RowCopy
from privacy.row_edits import ChangesOf, Edited, RowEdits
from privacy.row_positions import RowPositions
from privacy.vault import Vault
from privacy.visits import Visit

_log: Final = logging.getLogger("privacy")

ATTEMPTS: Final = 5
"""How often an object is visited anew because somebody else kept writing it."""

POSITIONS_BYTES: Final = 48 * 1024 * 1024
"""Memory in which a visit collects positions: of about 5 million rows. Of larger files it leaves that to the
index function."""


@dataclass(slots=True)
class Outcome(Edited):
    """What a visit did to an object.

    `old_version` is the current version that was found, `new_version` the one written in its place,
    `kept_version` the only one that stays; each is None where there is none. `damaged` says why the
    object's compression could not be undone: nothing of it was touched then. `purged` is false where a
    correction found nothing to correct: other versions stay then. `indexed` says whether the index had seen
    the old version; `entries` are the versions that entries of subjects were about before anything was done.
    """

    old_version: str | None = None
    new_version: str | None = None
    kept_version: str | None = None
    sha256_before: str | None = None
    sha256_after: str | None = None
    damaged: str | None = None
    versions_removed: int = 0
    purged: bool = True
    indexed: bool = False
    entries: dict[str, str] = field(default_factory=dict)

    def take(self, edited: Edited) -> None:
        """Note what was done to the object's rows."""
        self.rows_dropped, self.rows_changed = edited.rows_dropped, edited.rows_changed
        self.unparsed, self.unparsed_count = edited.unparsed, edited.unparsed_count
        self.erased = edited.erased

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
            "versions_removed": self.versions_removed,
            "purged": self.purged,
        }


def visit_object(vault: Vault, visit: Visit, changes: ChangesOf, journal: Journal) -> Outcome:
    """Erase and correct in one object, purge its older versions, drop the entries of who was erased.

    Doing it again changes nothing more, and tells the same outcome. An object that is gone, or hidden by a
    delete marker, loses all of its versions to an erasure, none to a correction. Of one whose compression is
    damaged everything stays, entries and older versions too: they may be all that is left of it. Raises
    ObjectChangedError where somebody else kept writing it, rows.DatasetUnknownError and
    row_blocks.LineTooLongError where it cannot be read.
    """
    key = visit.key or ""
    dataset = vault.customer.dataset_of(key)
    if dataset is None:
        raise rows.DatasetUnknownError
    for _ in range(ATTEMPTS):
        try:
            if "upload" in journal.facts:
                object_store.abort_upload(vault, key, journal.facts["upload"])
            found = _change(vault, dataset, key, visit.erase, changes, journal)
            if found.damaged is not None:
                return found
            outcome = _continued(journal, found)
            if outcome.indexed and outcome.new_version is not None:
                # Nobody is in the new version who was not in the old one: its event has nothing to tell.
                marker = Marker.from_note(journal.facts["marker"])
                object_index.mark_indexed(vault, key, replace(marker, version_id=outcome.new_version))
            outcome.purged = bool(visit.erase or outcome.erased or outcome.new_version is not None)
            if outcome.purged:
                _purge_others(vault, key, found.new_version or found.old_version, outcome, journal)
        except ObjectChangedError:
            _log.info("object changed meanwhile, visited again: customer=%s", vault.customer.id)
            continue
        # They were read before the versions were listed: of a version that came after, they say so by now.
        gone = visit.erase | outcome.erased
        entries = {ref: version for ref, version in found.entries.items() if ref in gone}
        object_index.drop_entries(vault, key, entries)
        return outcome
    raise ObjectChangedError


def _continued(journal: Journal, found: Outcome) -> Outcome:
    """Return what an earlier attempt noted where this one found its work done, else what this one found."""
    noted = journal.facts.get("outcome")
    if noted is None or found.new_version is not None:
        return found
    earlier = Outcome(**noted, indexed=journal.facts["indexed"])
    if earlier.sha256_after is None or not (earlier.rows_dropped or earlier.rows_changed):
        # There was nothing to write, but there were versions to remove: this one finds what is left of them.
        same = found.kept_version == earlier.kept_version
        ours = found.old_version in {earlier.old_version, earlier.kept_version}
        return replace(earlier, erased=found.erased) if same and ours else found
    if found.old_version != earlier.old_version and found.sha256_before == earlier.sha256_after:
        # The answer to the write was lost, but what is there now is what was to be written.
        return replace(earlier, new_version=found.old_version, kept_version=found.old_version)
    return found


def _change(
    vault: Vault,
    dataset: Dataset,
    key: str,
    erase: frozenset[str],
    changes: ChangesOf,
    journal: Journal,
) -> Outcome:
    """Make the object's current version what it has to be. Older versions are still there afterwards."""
    entries = object_index.read_entries(vault, key, erase | changes.keys())
    if dataset.format == "object":
        stored = object_store.describe(vault, key)
    else:
        rows.reader_of(dataset)
        stored = object_store.read(vault, key)
    if stored is None:
        return Outcome(entries=entries.versions)
    marker = object_index.read_marker(vault, key)
    indexed = marker is not None and marker.version_id == stored.version_id
    last_erasure = ""
    if not indexed:
        marker = None
        last_erasure = vault_items.last_erasure(vault)
        if last_erasure >= vault_items.instant(stored.last_modified):
            late = _late(vault, dataset, stored)
            entries.versions |= object_index.read_entries(vault, key, late - erase).versions
            erase |= late
            if dataset.format != "object":
                stored = _read_again(vault, stored)
    if dataset.format == "object":
        outcome = Outcome(old_version=stored.version_id, indexed=indexed, entries=entries.versions)
        ref = rows.subject_of_object(vault, stored)
        if ref is not None and ref in erase:
            outcome.rows_dropped = 1
            outcome.erased.add(ref)
        else:
            outcome.kept_version = stored.version_id
        return outcome
    work = _Work(vault, dataset, erase, changes, journal, marker, entries, last_erasure)
    targets = work.targets()
    if targets is not None:
        try:
            return work.rewrite(stored, targets)
        except PositionsWrongError:
            _log.error("positions of rows are wrong, object parsed in full: customer=%s", vault.customer.id)
            stored = _read_again(vault, stored)
    return work.rewrite(stored)


def _read_again(vault: Vault, stored: StoredObject) -> StoredObject:
    again = object_store.read(vault, stored.key, if_match=stored.etag)
    if again is None:
        raise ObjectChangedError
    return again


def _late(vault: Vault, dataset: Dataset, stored: StoredObject) -> frozenset[str]:
    """Return who was erased after this version was uploaded and before anybody looked into it.

    The index has not seen this version yet, and will not: a rewrite takes its place, with a new time. So
    the visit looks for late arrivals itself. Reads the content to its end.
    """
    found = rows.subjects(vault, dataset, stored)
    uploaded_at = vault_items.instant(stored.last_modified)
    return frozenset(vault_items.erased_since(vault, found.rows, uploaded_at))


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done to the current version of a file of rows, and what the index knows of that version.

    `marker` is None where the index has not seen it; `last_erasure` is then the instant of the last erasure
    when tombstones were looked at.
    """

    vault: Vault
    dataset: Dataset
    erase: frozenset[str]
    changes: ChangesOf
    journal: Journal
    marker: Marker | None
    entries: Entries
    last_erasure: str

    def targets(self) -> list[Target] | None:
        """Return the rows that the work is about, in the order of the file, or None where nobody knows."""
        if self.marker is None:
            return None
        return self.entries.targets(self.marker, self.erase | self.changes.keys(), self._reading)

    def rewrite(self, stored: StoredObject, targets: list[Target] | None = None) -> Outcome:
        """Write what the version becomes: with `targets` by looking at these rows alone.

        Raises PositionsWrongError where one of them is not what the index says; nothing was written then.
        """
        vault, marker = self.vault, self.marker
        outcome = Outcome(
            old_version=stored.version_id,
            kept_version=stored.version_id,
            indexed=marker is not None,
            entries=self.entries.versions,
        )
        reference = rows.reference_of(vault)
        positions = RowPositions(reference, POSITIONS_BYTES) if marker is None else None
        edits = RowEdits(
            self.erase, self.changes, reference, self.dataset.remove == "element", positions=positions
        )
        reader = rows.reader_of(self.dataset)
        digests = Digests()
        size = object_store.READ_BYTES if targets is None else object_store.COPY_BYTES
        codec, content = codecs.unpacked(digests.read(stored.chunks(size)))
        packer = codecs.packer(codec)
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
            except codecs.DamagedContentError as error:
                outcome.damaged = str(error)
                return outcome
            if targets is not None and codec == "plain":
                rewrite.digest = digests.after
            rewrite.write(packer.flush())
            outcome.take(edits.done)
            outcome.sha256_before = digests.before.hexdigest()
            outcome.sha256_after = rewrite.sha256
            if outcome.rows_dropped or outcome.rows_changed:
                outcome.versions_removed = 1  # the old one, once it is replaced
                after = marker.rewritten(edits.splices, self._reading) if marker else None
                noted = after.noted() if after else None
                self.journal.note(outcome=outcome.noted(), indexed=outcome.indexed, marker=noted)
                outcome.new_version = outcome.kept_version = rewrite.commit()
                if positions is not None:
                    found = rows.found_by(positions, reader)
                    if found.positions is not None:
                        self._index(stored, outcome.new_version, rewrite.size, found)
        return outcome

    def _index(self, old: StoredObject, version_id: str, size: int, found: rows.Subjects) -> None:
        """Bring the index up to date with the version that was written, as its event would.

        An erasure that was planned since tombstones were looked at is left to the event. The time of the
        upload is the old version's: a rewrite brings nothing new.
        """
        object_index.write_entries(
            self.vault,
            self.dataset,
            key=old.key,
            version_id=version_id,
            size=size,
            uploaded_at=old.last_modified,
            found=found,
        )
        if vault_items.last_erasure(self.vault) == self.last_erasure:
            marker = Marker.of(self.vault.customer, self.dataset, version_id, found)
            object_index.mark_indexed(self.vault, old.key, marker)

    @property
    def _reading(self) -> bytes:
        return object_index.reading_of(self.vault.customer, self.dataset)


def _purge_others(vault: Vault, key: str, expected: str | None, outcome: Outcome, journal: Journal) -> None:
    """Delete every version and marker of the key but the kept one.

    Raises ObjectChangedError where the current version is not the expected one: the one examined or written.
    """
    found = object_store.versions(vault, key)
    current = next((v.id for v in found if v.is_latest and not v.is_marker), None)
    if current != expected:
        raise ObjectChangedError
    # The current one last: were it deleted first and then nothing more, an older one would come back.
    others = sorted(
        (version for version in found if version.id != outcome.kept_version),
        key=lambda version: (version.is_latest, version.last_modified),
    )
    if len(others) > outcome.versions_removed:
        outcome.versions_removed = len(others)
        journal.note(outcome=outcome.noted(), indexed=outcome.indexed)
    object_store.purge(vault, key, others)
