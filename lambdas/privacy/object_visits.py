"""One object visited once for everything a run's requests ask of it."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from privacy import codecs, indexing, object_store, rows, vault_items
from privacy.journal import Journal
from privacy.object_store import ObjectChangedError, Rewrite, StoredObject
from privacy.registry import Dataset
from privacy.row_edits import ChangesOf, Edited, RowEdits
from privacy.scratch import on_disk
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
    object's content could not be decoded: nothing of it was touched then. `purged` is false where a
    correction found nothing to correct: other versions stay then. `indexed` says whether the index had seen
    the old version.
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
    ObjectChangedError where somebody else kept writing it, rows.DatasetUnknownError,
    row_blocks.LineTooLongError and scratch.ObjectTooLargeError where it cannot be read.
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
                indexing.mark_indexed(vault, key, outcome.new_version)
            outcome.purged = bool(visit.erase or outcome.erased or outcome.new_version is not None)
            if outcome.purged:
                _purge_others(vault, key, found.new_version or found.old_version, outcome, journal)
        except ObjectChangedError:
            _log.info("object changed meanwhile, visited again: customer=%s", vault.customer.id)
            continue
        vault_items.batch_write(
            vault,
            delete=[
                vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(key))
                for ref in sorted(visit.erase | outcome.erased)
            ],
        )
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
    if dataset.format == "object":
        stored = object_store.describe(vault, key)
    else:
        rows.check_readable(dataset)
        stored = object_store.read(vault, key)
    if stored is None:
        return Outcome()
    indexed = _is_indexed(vault, stored)
    if not indexed:
        late = _late(vault, dataset, stored)
        erase |= late
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
    rewrite = _rewrite_parquet if dataset.format == "parquet" else _rewrite
    return rewrite(
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


def _late(vault: Vault, dataset: Dataset, stored: StoredObject) -> frozenset[str]:
    """Return who was erased after this version was uploaded and before anybody looked into it.

    The index has not seen this version yet, and will not: a rewrite takes its place, with a new time. So
    the visit looks for late arrivals itself. Reads the content to its end.
    """
    uploaded_at = vault_items.instant(stored.last_modified)
    if vault_items.last_erasure(vault) < uploaded_at:
        return frozenset()
    found = rows.subjects(vault, dataset, stored)
    return frozenset(vault_items.erased_since(vault, found.rows, uploaded_at))


def _rewrite(
    vault: Vault,
    dataset: Dataset,
    stored: StoredObject,
    erase: frozenset[str],
    changes: ChangesOf,
    journal: Journal,
    outcome: Outcome,
) -> Outcome:
    before = hashlib.sha256()

    def digested() -> Iterator[bytes]:
        for chunk in stored.chunks():
            before.update(chunk)
            yield chunk

    edits = RowEdits(erase, changes, rows.reference_of(vault), elements=dataset.remove == "element")
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
            journal.note(outcome=outcome.noted(), indexed=outcome.indexed)
            outcome.new_version = outcome.kept_version = rewrite.commit()
    return outcome


def _rewrite_parquet(
    vault: Vault,
    dataset: Dataset,
    stored: StoredObject,
    erase: frozenset[str],
    changes: ChangesOf,
    journal: Journal,
    outcome: Outcome,
) -> Outcome:
    from privacy.parquet_visits import ParquetEdits  # Arrow is large: only who meets such a file waits for it

    before = hashlib.sha256()
    reference = rows.reference_of(vault)
    elements = dataset.remove == "element"
    edits = ParquetEdits(dataset.subject or "", erase, changes, reference, elements=elements)
    with (
        on_disk(stored, before.update) as file,
        Rewrite(vault, stored, lambda upload: journal.note(upload=upload)) as rewrite,
    ):
        try:
            written = edits.apply(file, rewrite.write)
        except codecs.DamagedContentError as error:
            outcome.damaged = str(error)
            return outcome
        outcome.take(edits.done)
        outcome.sha256_before = before.hexdigest()
        outcome.sha256_after = rewrite.sha256 if written else outcome.sha256_before
        if written:
            outcome.versions_removed = 1  # the old one, once it is replaced
            journal.note(outcome=outcome.noted(), indexed=outcome.indexed)
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
