"""The current version of a file of rows, rewritten as a visit asks, and the index told of it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privacy.customers.customer import Dataset
from privacy.customers.references import ReferenceOf
from privacy.formats.compression import DamagedContentError
from privacy.formats.copies import PositionsWrongError
from privacy.formats.edits import ChangesOf, Edited, RowEdits
from privacy.formats.positions import RowPositions, Splice, Target
from privacy.formats.proof import UnprovenError
from privacy.formats.readers import AskedOfFile, RowsInStream, RowsOnDisk, Subjects, subject_fields
from privacy.formats.row_times import Dated
from privacy.index import entries as index_entries
from privacy.index.entries import Entries, Marker
from privacy.index.subjects import reference_of
from privacy.timestamps import instant
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones
from privacy.vault.objects import ObjectChangedError, StoredObject
from privacy.vault.readings import reading_of
from privacy.vault.rewrite import Rewrite
from privacy.vault.sessions import Vault
from privacy.visits.items import Journal
from privacy.visits.limits import Extent
from privacy.visits.new_content import ContentByDisk, CopiedContent, NewContent, ParsedContent
from privacy.visits.outcome import Outcome

_log: Final = logging.getLogger("privacy")

POSITIONS_BYTES: Final = 48 * 1024 * 1024
"""Memory in which a visit collects positions: of about 5 million rows. Of larger files it leaves that to the
index function."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What is to be done to the current version of a file of rows, and what the index knows of that version.

    `erase` says which rows go of each person who is to be erased.
    `marker` is None where the index has not seen the version; `last_erasure` is then the instant of the
    last erasure when tombstones were looked at (empty: there was none), otherwise None. `scan` is set where
    nobody keeps an index of the version.
    """

    vault: Vault
    dataset: Dataset
    erase: Mapping[str, Extent]
    changes: ChangesOf
    journal: Journal
    marker: Marker | None
    entries: Entries
    last_erasure: str | None
    scan: bool

    def rewrite(self, file_format: RowsInStream | RowsOnDisk, stored: StoredObject) -> Outcome:
        """Make of the version, opened as `stored`, what it has to be; return what was done.

        Raises ObjectChangedError where somebody else wrote the object meanwhile, LineTooLongError and
        ObjectTooLargeError where it cannot be read.
        """
        if isinstance(file_format, RowsOnDisk):
            return self._write(stored, self._by_disk(file_format, stored))
        targets = self._targets()
        if targets is not None and self.marker is not None:
            copied = CopiedContent(
                stored,
                file_format.reader(self.dataset),
                self._edits(file_format, reference_of(self.vault)),
                self.marker.head,
                targets,
            )
            try:
                return self._write(stored, copied)
            except PositionsWrongError:
                _log.error(
                    "positions of rows are wrong, object parsed in full: customer=%s", self.vault.customer.id
                )
                stored = read_again(self.vault, stored)
        return self._write(stored, self._parsed(file_format, stored))

    def _targets(self) -> list[Target] | None:
        """Return the rows that the work is about, in the order of the file, or None where nobody knows."""
        if self.marker is None or not all(extent.takes_all for extent in self.erase.values()):
            return None
        refs = self.erase.keys() | self.changes.keys()
        return self.entries.targets(self.marker, refs, self._reading)

    def _parsed(self, rows: RowsInStream, stored: StoredObject) -> ParsedContent:
        """Return the content made by reading every row. Of a version unknown to the index, it says where."""
        reference = reference_of(self.vault)
        positions = None
        if self.marker is None and not self.scan:
            positions = RowPositions(reference, POSITIONS_BYTES)
        return ParsedContent(stored, rows.reader(self.dataset), self._edits(rows, reference, positions))

    def _by_disk(self, rows: RowsOnDisk, stored: StoredObject) -> ContentByDisk:
        """Return the content made by way of the disk, where no row has a time of its own.

        So all rows of somebody stay of whom only older ones were to go.
        """
        asked = AskedOfFile(
            subject_fields(self.dataset),
            frozenset(ref for ref, extent in self.erase.items() if extent.takes_all),
            self.changes,
            reference_of(self.vault),
            elements=rows.elements and self.dataset.remove == "element",
            spare=frozenset(ref for ref, extent in self.erase.items() if not extent.takes_all),
            personal=frozenset(self.dataset.personal),
            addresses=self.dataset.names_by_address,
            owner_of=self.dataset.owner_of,
        )
        return ContentByDisk(stored, rows.edits(asked))

    def _edits(
        self, rows: RowsInStream, reference: ReferenceOf, positions: RowPositions | None = None
    ) -> RowEdits:
        until = {
            ref: datetime.fromisoformat(extent.until)
            for ref, extent in self.erase.items()
            if extent.until is not None
        }
        return RowEdits(
            frozenset(self.erase),
            self.changes,
            reference,
            elements=rows.elements and self.dataset.remove == "element",
            dated=Dated(self.dataset.as_of, until) if until else None,
            positions=positions,
            owner_of=self.dataset.owner_of,
        )

    def _write(self, stored: StoredObject, content: NewContent) -> Outcome:
        """Write the content, and make it the current version if a row changed or went."""
        outcome = Outcome(
            old_version=stored.version_id,
            kept_version=stored.version_id,
            indexed=self.marker is not None,
            entries=self.entries.versions,
            erase=frozenset(self.erase),
        )
        with Rewrite(self.vault, stored, lambda upload: self.journal.note(upload=upload)) as rewrite:
            try:
                written = content.write(rewrite)
            except (DamagedContentError, UnprovenError) as error:
                if self._concerns_nobody(content.done):
                    outcome.leave_unread(str(error))
                    return outcome
                if isinstance(error, DamagedContentError):
                    outcome.damaged = str(error)
                    return outcome
                _log.error(
                    "what was written is not proven, left as it was: customer=%s", self.vault.customer.id
                )
                outcome.unproven, outcome.purged = str(error), False
                return outcome
            outcome.take(content.done)
            outcome.sha256_before = content.sha256_before
            outcome.sha256_after = rewrite.sha256 if written else outcome.sha256_before
            if outcome.differs:
                version_id = self._commit(rewrite, outcome, content.splices)
                found = content.indexed()
                if found is not None:
                    self._index(stored, version_id, rewrite.size, found)
        return outcome

    def _concerns_nobody(self, done: Edited) -> bool:
        """Return whether nothing tells that anybody who is asked for is in the file."""
        met = done.erased or done.spared or done.left or done.rows_changed
        return self.scan and not self.entries.versions and not met

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
        return reading_of(self.vault.customer, self.dataset)


def read_again(vault: Vault, stored: StoredObject) -> StoredObject:
    """Open a version once more, to read its content again. Raises ObjectChangedError where it is gone."""
    again = vault_objects.read(vault, stored.key, if_match=stored.etag)
    if again is None:
        raise ObjectChangedError
    return again
