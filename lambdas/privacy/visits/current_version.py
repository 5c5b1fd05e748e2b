"""What a visit makes of an object's current version: who is erased from it, and what is written instead."""

import hashlib
from collections.abc import Mapping
from typing import Final

from privacy.customers.customer import Dataset
from privacy.customers.sealed_references import SealBrokenError
from privacy.formats.edits import ChangesOf
from privacy.formats.readers import WholeFiles
from privacy.index import entries as index_entries
from privacy.index import subjects as index_subjects
from privacy.index.entries import Entries, Marker
from privacy.index.file_formats import format_of, open_current
from privacy.index.late_arrivals import Late, late_arrivals
from privacy.timestamps import instant
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones
from privacy.vault.objects import StoredObject
from privacy.vault.sessions import Vault
from privacy.vault.side_files import holds_nobody
from privacy.visits import scans
from privacy.visits.items import Journal
from privacy.visits.limits import ALL_ROWS, Extent
from privacy.visits.outcome import Outcome
from privacy.visits.rewriting import Rewriting, read_again
from privacy.visits.visit import Visit

_NO_SUBJECT: Final = "no subject in the metadata"
_SEALED: Final = "encrypted by its sender"


def changed_version(
    vault: Vault,
    dataset: Dataset,
    visit: Visit,
    changes: ChangesOf,
    journal: Journal,
) -> Outcome:
    """Make the object's current version what it has to be. Older versions are still there afterwards.

    Raises DatasetUnknownError, ObjectArchivedError, LineTooLongError and ObjectTooLargeError where it cannot
    be read, ObjectChangedError where somebody else wrote it meanwhile.
    """
    key = visit.key or ""
    # What very many visits share is about people who are in few of the objects: nothing is read for them.
    known = frozenset[str]() if visit.shared else visit.erase | changes.keys()
    entries = index_entries.read_entries(vault, key, known)
    file_format = format_of(dataset)
    stored = open_current(vault, dataset, key)
    if stored is None:
        return Outcome(entries=entries.versions, erase=visit.erase)
    erase = visit.extents(_uploaded_at(vault, stored, journal) if visit.limits else "")
    marker = None if dataset.index == "scan" else _marker_of(vault, stored)
    if not isinstance(file_format, WholeFiles) and holds_nobody(stored):
        return _nobodys(stored, erase, entries, indexed=marker is not None)
    if not isinstance(file_format, WholeFiles) and index_subjects.is_sealed_by_sender(stored):
        found = _nobodys(stored, erase, entries, indexed=marker is not None)
        found.unparsed, found.unparsed_count, found.unattributed_count = [{"reason": _SEALED}], 1, 1
        return found
    last_erasure = None
    if not _is_looked_into(vault, dataset, stored, marker):
        last_erasure = tombstones.last_erasure(vault)
        if last_erasure and (last_erasure >= instant(stored.last_modified) or dataset.as_of is not None):
            _add_late(vault, dataset, stored, entries, erase)
            if not isinstance(file_format, WholeFiles):
                stored = read_again(vault, stored)
    if isinstance(file_format, WholeFiles):
        return _whole_file(vault, stored, erase, entries, indexed=marker is not None)
    rewriting = Rewriting(vault, dataset, erase, changes, journal, marker, entries, last_erasure, visit.scan)
    return rewriting.rewrite(file_format, stored)


def _marker_of(vault: Vault, stored: StoredObject) -> Marker | None:
    """Return the object's marker if it is about this version: then the index has seen it."""
    marker = index_entries.read_marker(vault, stored.key)
    return marker if marker is not None and marker.version_id == stored.version_id else None


def _is_looked_into(vault: Vault, dataset: Dataset, stored: StoredObject, marker: Marker | None) -> bool:
    """Return whether everybody in the version was looked for among those who had been erased before."""
    return scans.is_checked(vault, dataset, stored) if dataset.index == "scan" else marker is not None


def _add_late(
    vault: Vault, dataset: Dataset, stored: StoredObject, entries: Entries, erase: dict[str, Extent]
) -> None:
    """Add to `erase` who was erased before anybody looked into the version, and their entries to `entries`.

    Reads the content to its end.
    """
    late = _late(vault, dataset, stored)
    entries.versions |= index_entries.read_entries(vault, stored.key, late.keys() - erase.keys()).versions
    for each, arrival in late.items():
        reached = ALL_ROWS if arrival.whole else Extent(arrival.erased_at)
        erase[each] = reached.widened(erase.get(each))


def _nobodys(
    stored: StoredObject, erase: Mapping[str, Extent], entries: Entries, *, indexed: bool
) -> Outcome:
    """Return what becomes of a file in which nobody can be: it stays."""
    # What an attempt before left of a file may be empty.
    digest = hashlib.sha256().hexdigest() if stored.size == 0 else None
    return Outcome(
        old_version=stored.version_id,
        kept_version=stored.version_id,
        sha256_before=digest,
        sha256_after=digest,
        indexed=indexed,
        entries=entries.versions,
        erase=frozenset(erase),
    )


def _whole_file(
    vault: Vault, stored: StoredObject, erase: Mapping[str, Extent], entries: Entries, *, indexed: bool
) -> Outcome:
    """Return what becomes of a file that is one subject's as a whole: it goes, or it stays as it is."""
    outcome = Outcome(
        old_version=stored.version_id, indexed=indexed, entries=entries.versions, erase=frozenset(erase)
    )
    try:
        owners = index_subjects.subjects_of_object(vault, stored)
    except SealBrokenError:
        owners, reason = frozenset(), index_subjects.SEAL_BROKEN
    else:
        reason = _NO_SUBJECT
    if not owners and (stored.size or reason == index_subjects.SEAL_BROKEN):
        outcome.unparsed = [{"reason": reason}]
        outcome.unparsed_count = outcome.unattributed_count = 1
    asked = owners & erase.keys()
    gone = {ref for ref in asked if erase[ref].takes_all}
    if gone:
        outcome.rows_dropped = 1
        outcome.erased |= gone
    else:
        outcome.kept_version = stored.version_id
        outcome.spared |= asked
    return outcome


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
