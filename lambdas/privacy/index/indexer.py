"""The index: which objects hold rows of which subjects, kept current from the bucket's events.

Entries of overwritten or hidden versions stay, because those versions still hold the rows. They go when a
visit purged the versions, or when the last version of the key is gone.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from privacy.customers.customer import Dataset
from privacy.formats.readers import Subjects
from privacy.identifiers import uuid7
from privacy.index import entries as index_entries
from privacy.index import subjects as index_subjects
from privacy.index.events import ObjectEvent
from privacy.index.file_formats import open_version
from privacy.index.late_arrivals import Late, late_arrivals
from privacy.index.notes import Notes
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import instant
from privacy.unattributed import Unattributed
from privacy.vault import items as vault_items
from privacy.vault import notes as vault_notes
from privacy.vault import objects as vault_objects
from privacy.vault import readings, request_items
from privacy.vault.objects import ObjectArchivedError
from privacy.vault.request_items import FollowUp
from privacy.vault.scratch import ObjectTooLargeError
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")
_SUBJECTS_PER_REQUEST: Final = 1000
_CREATED: Final = "ObjectCreated:*"


@dataclass(frozen=True, slots=True)
class Indexer:
    """Keeps one vault's index entries, and asks for an erasure where somebody in a file was erased before.

    Everything can be done again: events come more than once, and in any order.
    """

    vault: Vault
    requests: RequestStore
    lock: RunLock

    @property
    def notes(self) -> Notes:
        """What is noted of files that nobody can attribute."""
        return Notes(self.vault)

    def take(self, event: ObjectEvent) -> None:
        """Bring the index up to date with one event. AWS errors are raised: the message comes again."""
        dataset = self.vault.customer.dataset_of(event.key)
        if dataset is None:
            _log.info("object outside every dataset: customer=%s", self.vault.customer.id)
        elif event.created or event.restored:
            self._index(dataset, event)
        elif event.hidden:
            self._look_again(event.key)
        elif event.removed:
            self._forget(dataset, event)

    def _index(self, dataset: Dataset, event: ObjectEvent) -> None:
        """Read a version, write its entries, ask for the erasure of late arrivals, and write the marker."""
        marker = index_entries.read_marker(self.vault, event.key)
        if marker and marker.version_id == event.version_id and not self._was_archived(event):
            return  # seen before, or written by a visit out of a version that had been indexed
        try:
            stored = open_version(self.vault, dataset, event.key, event.version_id)
        except ObjectArchivedError:
            # Every erasure visits it from now on: it cannot be told whom it holds.
            self.notes.note(event.key, event.version_id, 0, Unattributed("archived", "all"))
            text = "object archived, not looked into: customer=%s dataset=%s"
            _log.warning(text, self.vault.customer.id, dataset.name)
            return
        if stored is None:
            return
        try:
            found = index_subjects.subjects(self.vault, dataset, stored)
        except ObjectTooLargeError:
            found = Subjects(unreadable=1, unattributed=Unattributed("too-large", "all"))
        index_entries.write_entries(
            self.vault,
            dataset,
            key=event.key,
            version_id=event.version_id,
            size=stored.size,
            uploaded_at=event.at,
            found=found,
        )
        readings.note_beginning(self.vault, dataset, stored.last_modified)
        _log.info(
            "object indexed: customer=%s dataset=%s subjects=%d rows=%d unreadable=%d",
            self.vault.customer.id,
            dataset.name,
            len(found.rows),
            found.rows.total(),
            found.unreadable,
        )
        # Before the marker: whatever is marked has its note, too.
        self.notes.settle(event.key, event.version_id, stored.size, found.unattributed)
        late = late_arrivals(
            self.vault,
            dataset,
            found.rows,
            instant(stored.last_modified if event.restored else event.at),
            lambda: vault_objects.read_version(self.vault, event.key, event.version_id),
        )
        if late and vault_objects.describe_version(self.vault, event.key, event.version_id) is None:
            # A visit purged this version while it was read: the entries just written are about nothing.
            self._take_back(dataset, event, late)
            return
        if late:
            self.erase_late(event.key, event.version_id, event.at, late)
        if not any(arrival.whole for arrival in late.values()):
            # Otherwise whoever rewrites it first has to look for them: what that makes has a new time.
            marker = index_entries.Marker.of(self.vault.customer, dataset, event.version_id, found)
            index_entries.mark_indexed(self.vault, event.key, marker)

    def _was_archived(self, event: ObjectEvent) -> bool:
        """Return whether a version was brought back into which only an older release had looked."""
        if not event.restored:
            return False
        note = vault_notes.read(self.vault, event.key)
        return note is not None and note.version_id == event.version_id and note.what.reason == "archived"

    def _look_again(self, key: str) -> None:
        if (note := vault_notes.read(self.vault, key)) is not None:
            self.notes.look_again(note)

    def _take_back(self, dataset: Dataset, event: ObjectEvent, refs: Iterable[str]) -> None:
        """Delete subjects' entries about a version that is gone.

        They may have replaced entries about other versions. So those of the versions that are left are
        written first, the newest one's last.
        """
        for version in reversed(vault_objects.versions(self.vault, event.key)):
            if version.is_marker:
                continue
            try:
                stored = open_version(self.vault, dataset, event.key, version.id)
            except ObjectArchivedError:
                return  # whom it holds nobody can tell: the entries stay
            if stored is not None:
                index_entries.write_entries(
                    self.vault,
                    dataset,
                    key=event.key,
                    version_id=version.id,
                    size=stored.size,
                    uploaded_at=version.last_modified,
                    found=index_subjects.subjects(self.vault, dataset, stored),
                )
        index_entries.drop_entries(self.vault, event.key, dict.fromkeys(refs, event.version_id))

    def erase_late(self, key: str, version_id: str, at: datetime, late: Mapping[str, Late]) -> None:
        """Ask for the erasure, from this object alone, of subjects that had been erased before.

        `at` is when the version was uploaded; `late` are the subjects with what they are erased for.
        """
        customer = self.vault.customer.id
        alike: dict[Late, list[str]] = {}
        for ref, arrival in sorted(late.items()):
            alike.setdefault(arrival, []).append(ref)
        for arrival, refs in alike.items():
            followed = arrival.request
            for start in range(0, len(refs), _SUBJECTS_PER_REQUEST):
                chunk = refs[start : start + _SUBJECTS_PER_REQUEST]
                # The same event makes the same id, so that a repeated event makes no second request.
                text = "\n".join([self.vault.customer.bucket, key, version_id, *arrival.words, *chunk])
                request_id = uuid7(at, hashlib.sha256(text.encode()).digest())
                request_items.put_follow_up(
                    self.vault, request_id, FollowUp(key, arrival.erased_at, arrival.whole)
                )
                self.requests.create(
                    customer,
                    type="erasure",
                    refs=chunk,
                    request_id=request_id,
                    received_at=datetime.now(UTC),
                    follows=followed,
                )
                _log.warning(
                    "late arrival, erased again: customer=%s request=%s follows=%s subjects=%d",
                    customer,
                    request_id,
                    followed,
                    len(chunk),
                )
        self.lock.start_run_or_leave_to_sweep(customer)

    def _forget(self, dataset: Dataset, event: ObjectEvent) -> None:
        """Remove the entries of a key of which no version is left.

        Where some are left and the key has a note, the current one may have been hidden until now: it is
        looked into, unless it was before.
        """
        left = vault_objects.versions(self.vault, event.key)
        if (note := vault_notes.read(self.vault, event.key)) is not None:
            current = next((v for v in left if v.is_latest and not v.is_marker), None)
            if current is not None and current.id != note.version_id:
                self._index(
                    dataset, replace(event, name=_CREATED, version_id=current.id, at=current.last_modified)
                )
            self._look_again(event.key)
        if left:
            return
        refs = vault_items.subjects_of(self.vault, event.key)
        entries = index_entries.read_entries(self.vault, event.key, refs)
        marker = index_entries.read_marker(self.vault, event.key)
        # Listed again after the entries were read: had a new version been uploaded and indexed before
        # they were, it would be in this listing. One that comes later changes the entries' version.
        if vault_objects.versions(self.vault, event.key):
            return
        index_entries.drop_entries(self.vault, event.key, entries.versions)
        if marker:
            pk = vault_items.object_pk(event.key)
            vault_items.delete_version(self.vault, pk, vault_items.INDEXED, marker.version_id)
