"""One object visited once for everything a run's requests ask of it."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from privacy import archived, codecs, indexing, object_store, rows, scanning, vault_items
from privacy.as_of import Dated
from privacy.journal import Journal
from privacy.late_arrivals import Late, late_arrivals
from privacy.object_store import ObjectArchivedError, ObjectChangedError, Rewrite, StoredObject
from privacy.registry import Dataset
from privacy.row_edits import ChangesOf, Edited, RowEdits
from privacy.vault import Vault
from privacy.visits import Visit

_log: Final = logging.getLogger("privacy")

ATTEMPTS: Final = 5
"""How often an object is visited anew because somebody else kept writing it."""


@dataclass(slots=True)
class Outcome(Edited):
    """What a visit did to an object.

    `old_version` is the current version that was found, `new_version` the one written in its place,
    `kept_version` the only one that stays; each is None where there is none. `damaged` says why the
    object's compression could not be undone: nothing of it was touched then. `purged` is false where a
    correction found nothing to correct: other versions stay then. `indexed` says whether the index had seen
    the old version. `archived` is set where S3 has to bring the object back first: nothing was touched then.
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
    indexed: bool = False

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
        }


def visit_object(vault: Vault, visit: Visit, changes: ChangesOf, journal: Journal) -> Outcome:
    """Erase and correct in one object, purge its older versions, drop the entries of who was erased.

    Doing it again changes nothing more, and tells the same outcome. An object that is gone, or hidden by a
    delete marker, loses all of its versions to an erasure, none to a correction. Of one whose compression is
    damaged everything stays, entries and older versions too: they may be all that is left of it. Of one that
    is archived everything stays as well, and what its dataset says is done (`privacy.archived`). Raises
    ObjectChangedError where somebody else kept writing it, rows.DatasetUnknownError and
    row_blocks.LineTooLongError where it cannot be read.
    """
    key = visit.key or ""
    dataset = vault.customer.dataset_of(key)
    if dataset is None:
        raise rows.DatasetUnknownError
    unread = None
    if visit.scan and dataset.index != "scan":
        unread = archived.unread_version(vault, key)
    for _ in range(ATTEMPTS):
        try:
            if "upload" in journal.facts:
                object_store.abort_upload(vault, key, journal.facts["upload"])
            found = _changed(vault, dataset, visit, changes, journal)
            if found.damaged is not None or found.archived is not None:
                return found
            outcome = _continued(journal, found)
            if outcome.indexed and outcome.new_version is not None:
                # Nobody is in the new version who was not in the old one: its event has nothing to tell.
                indexing.mark_indexed(vault, key, outcome.new_version)
            outcome.purged = _purges(vault, dataset, visit, found, outcome, journal)
            if outcome.purged:
                _purge_others(vault, key, found.new_version or found.old_version, outcome, journal)
        except ObjectChangedError:
            _log.info("object changed meanwhile, visited again: customer=%s", vault.customer.id)
            continue
        vault_items.batch_write(
            vault,
            delete=[
                vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(key))
                # What very many visits share is about people who are in few of the objects.
                for ref in sorted(
                    (outcome.erased if visit.shared else visit.erase | outcome.erased) - found.spared
                )
            ],
        )
        if unread is not None and visit.erase and unread != outcome.kept_version:
            archived.forget_unread(vault, key, unread)
        if dataset.index == "scan":
            scanning.note_checked(vault, dataset, key, outcome.kept_version)
        return outcome
    raise ObjectChangedError


def _changed(vault: Vault, dataset: Dataset, visit: Visit, changes: ChangesOf, journal: Journal) -> Outcome:
    """Make the object's current version what it has to be, unless it is archived."""
    try:
        return _change(vault, dataset, visit, changes, journal)
    except ObjectArchivedError as error:
        key = visit.key or ""
        if "checksum" in journal.facts:
            current = object_store.checksum(vault, key)
            if current is not None and current[1] == journal.facts["checksum"]:
                # What an earlier attempt wrote is archived again, in the storage class that the object had.
                outcome = Outcome(**journal.facts["outcome"], indexed=journal.facts["indexed"])
                outcome.new_version = outcome.kept_version = current[0]
                outcome.spared = set(visit.until)  # it cannot tell any more of whom rows have stayed
                return outcome
        return Outcome(archived=archived.deal_with(vault, dataset, key, error), purged=False)


def _purges(
    vault: Vault, dataset: Dataset, visit: Visit, found: Outcome, outcome: Outcome, journal: Journal
) -> bool:
    """Return whether the object's other versions have to go."""
    if outcome.erased or outcome.rows_dropped or outcome.new_version is not None:
        return True
    if visit.scan:
        return scanning.older_versions_go(
            vault, dataset, visit, found.old_version, found.kept_version, journal
        )
    return bool(visit.erase)


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
    visit: Visit,
    changes: ChangesOf,
    journal: Journal,
) -> Outcome:
    """Make the object's current version what it has to be. Older versions are still there afterwards."""
    key = visit.key or ""
    erase: dict[str, str | None] = {ref: visit.until.get(ref) for ref in visit.erase}
    if dataset.format == "object":
        stored = object_store.describe(vault, key)
    else:
        rows.reader_of(dataset)
        stored = object_store.read(vault, key)
    if stored is None:
        return Outcome()
    scanned = dataset.index == "scan"
    indexed = not scanned and _is_indexed(vault, stored)
    if not (scanning.is_checked(vault, dataset, stored) if scanned else indexed):
        for late, arrival in _late(vault, dataset, stored).items():
            erase[late] = arrival.until if erase.get(late, "") is not None else None
        if dataset.format != "object":
            stored = object_store.read(vault, key, if_match=stored.etag)
            if stored is None:
                raise ObjectChangedError
    if dataset.format == "object":
        outcome = Outcome(old_version=stored.version_id, indexed=indexed)
        ref = rows.subject_of_object(vault, stored)
        if ref is not None and ref in erase:
            outcome.rows_dropped = 1
            outcome.erased.add(ref)
        else:
            outcome.kept_version = stored.version_id
        return outcome
    return _rewrite(
        vault,
        dataset,
        stored,
        erase,
        changes,
        journal,
        Outcome(old_version=stored.version_id, kept_version=stored.version_id, indexed=indexed),
    )


def _is_indexed(vault: Vault, stored: StoredObject) -> bool:
    marker = vault_items.get(vault, vault_items.object_pk(stored.key), vault_items.INDEXED)
    return marker is not None and marker["version_id"]["S"] == stored.version_id


def _late(vault: Vault, dataset: Dataset, stored: StoredObject) -> dict[str, Late]:
    """Return who is to be erased from this version because of an erasure before anybody looked into it.

    The index has not seen this version yet, and will not: a rewrite takes its place, with a new time. So
    the visit looks for late arrivals itself. Reads the content to its end.
    """
    uploaded_at = vault_items.instant(stored.last_modified)
    last = vault_items.last_erasure(vault)
    if not last or (last < uploaded_at and dataset.as_of is None):
        return {}
    found = rows.subjects(vault, dataset, stored)
    return late_arrivals(
        vault,
        dataset,
        found.rows,
        uploaded_at,
        lambda: object_store.read(vault, stored.key, if_match=stored.etag),
    )


def _rewrite(
    vault: Vault,
    dataset: Dataset,
    stored: StoredObject,
    erase: Mapping[str, str | None],
    changes: ChangesOf,
    journal: Journal,
    outcome: Outcome,
) -> Outcome:
    before = hashlib.sha256()

    def digested() -> Iterator[bytes]:
        for chunk in stored.chunks():
            before.update(chunk)
            yield chunk

    until = {ref: datetime.fromisoformat(at) for ref, at in erase.items() if at is not None}
    edits = RowEdits(
        frozenset(erase),
        changes,
        rows.reference_of(vault),
        elements=dataset.remove == "element",
        dated=Dated(dataset.as_of or "", until) if until else None,
    )
    codec, content = codecs.unpacked(digested())
    packer = codecs.packer(codec)
    with Rewrite(vault, stored, lambda upload: journal.note(upload=upload)) as rewrite:
        try:
            for piece in edits.applied(rows.reader_of(dataset), content):
                rewrite.write(packer.compress(piece))
        except codecs.DamagedContentError as error:
            outcome.damaged = str(error)
            return outcome
        rewrite.write(packer.flush())
        outcome.take(edits.done)
        outcome.sha256_before = before.hexdigest()
        outcome.sha256_after = rewrite.sha256
        if outcome.rows_dropped or outcome.rows_changed:
            outcome.versions_removed = 1  # the old one, once it is replaced
            journal.note(outcome=outcome.noted(), indexed=outcome.indexed, checksum=rewrite.checksum)
            outcome.new_version = outcome.kept_version = rewrite.commit()
    return outcome


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
