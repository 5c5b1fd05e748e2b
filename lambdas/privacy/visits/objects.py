"""One object visited once for everything a run's requests ask of it."""

import logging
from dataclasses import replace
from typing import Final

from privacy.customers.customer import Dataset
from privacy.formats import readers
from privacy.formats.blocks import NO_COLUMN, LineTooLongError
from privacy.formats.edits import ChangesOf
from privacy.index import entries as index_entries
from privacy.index import subjects as index_subjects
from privacy.index.entries import Marker
from privacy.index.file_formats import open_version
from privacy.index.notes import Notes
from privacy.unattributed import UNUSED_VALUES
from privacy.vault import archived
from privacy.vault import notes as vault_notes
from privacy.vault import objects as vault_objects
from privacy.vault.objects import ObjectArchivedError, ObjectChangedError
from privacy.vault.scratch import ObjectTooLargeError
from privacy.vault.sessions import Vault
from privacy.visits import scans
from privacy.visits.current_version import changed_version
from privacy.visits.items import Journal
from privacy.visits.outcome import Outcome
from privacy.visits.visit import Visit

_log: Final = logging.getLogger("privacy")

_OF_ROWS: Final = {"no-field", "unreadable-rows"}
"""Reasons that are about single rows: a visit reports each of them."""

ATTEMPTS: Final = 5
"""How often an object is visited anew because somebody else kept writing it."""


def visit_object(vault: Vault, visit: Visit, changes: ChangesOf, journal: Journal) -> Outcome:
    """Erase and correct in one object, purge its older versions, drop the entries of who was erased.

    Doing it again changes nothing more, and returns the same outcome. An object that is gone, or hidden by a
    delete marker, loses all of its versions to an erasure, none to a correction. Of one whose compression is
    damaged everything stays, entries and older versions too: they may be all that is left of it. So does
    everything of one of which it is not proven that it would be written right. Of one that is archived
    everything stays as well, and what its dataset says is done (`privacy.vault.archived`). Raises
    ObjectChangedError where somebody else kept writing it, readers.DatasetUnknownError,
    blocks.LineTooLongError and scratch.ObjectTooLargeError where it cannot be read.
    """
    key = visit.key or ""
    dataset = vault.customer.dataset_of(key)
    if dataset is None:
        raise readers.DatasetUnknownError
    # A file that is visited without an entry, although its dataset has an index, has a note.
    note = vault_notes.read(vault, key) if visit.scan and dataset.index != "scan" else None
    for _ in range(ATTEMPTS):
        try:
            if "upload" in journal.facts:
                vault_objects.abort_upload(vault, key, journal.facts["upload"])
            found = _changed(vault, dataset, visit, changes, journal)
            if found.is_left_alone:
                _note_unread(vault, dataset, visit, found)
                return found
            outcome = _continued(journal, found)
            # The note first: the event of a version that is marked has nothing to tell.
            _carry_note(vault, key, outcome)
            _mark_new_version(vault, key, outcome, journal)
            entries = _entries_of_erased(vault, visit, found, outcome)
            outcome.purged = _purges(vault, dataset, visit, found, outcome, journal)
            if outcome.purged:
                _purge_others(vault, key, found.new_version or found.old_version, outcome, journal)
        except ObjectChangedError:
            _log.info("object changed meanwhile, visited again: customer=%s", vault.customer.id)
            continue
        # They were read before the versions were listed: of a version that came after, they say so by now.
        index_entries.drop_entries(vault, key, entries)
        if note is not None and visit.erase and note.version_id != outcome.kept_version:
            vault_notes.forget(vault, key, note.version_id)
        _note_unread(vault, dataset, visit, outcome)
        if dataset.index == "scan":
            scans.note_checked(vault, dataset, key, outcome.kept_version)
        return outcome
    raise ObjectChangedError


def _changed(vault: Vault, dataset: Dataset, visit: Visit, changes: ChangesOf, journal: Journal) -> Outcome:
    """Make the object's current version what it has to be, unless it is archived."""
    try:
        return changed_version(vault, dataset, visit, changes, journal)
    except ObjectArchivedError as error:
        key = visit.key or ""
        if (written := _archived_again(vault, key, visit, journal)) is not None:
            return written
        return Outcome(archived=archived.deal_with(vault, dataset, key, error), purged=False)
    except (LineTooLongError, ObjectTooLargeError):
        # What many visits share is about nobody of whom the index knows that they are in here.
        current = vault_objects.describe(vault, visit.key or "") if visit.shared is not None else None
        if current is None:
            raise
        outcome = Outcome(old_version=current.version_id, kept_version=current.version_id)
        outcome.leave_unread("too long a line, or too large a file, to be read")
        return outcome


def _archived_again(vault: Vault, key: str, visit: Visit, journal: Journal) -> Outcome | None:
    """Return the outcome of an earlier attempt whose version is the archived one; None where it is not.

    What a visit writes has the storage class that the object had, so it may be archived at once.
    """
    if "checksum" not in journal.facts:
        return None
    current = vault_objects.checksum(vault, key)
    if current is None or current[1] != journal.facts["checksum"]:
        return None
    outcome = Outcome(**journal.facts["outcome"], indexed=journal.facts["indexed"], erase=visit.erase)
    outcome.new_version = outcome.kept_version = current[0]
    # Whose rows the attempt left is not noted: perhaps of everybody of whom not all rows go.
    extents = visit.extents(journal.facts["uploaded_at"])
    everybody = outcome.entries_stay
    outcome.spared = {ref for ref, extent in extents.items() if everybody or not extent.takes_all}
    return outcome


def _mark_new_version(vault: Vault, key: str, outcome: Outcome, journal: Journal) -> None:
    """Mark the version that was written as indexed, if the one in its place was.

    Nobody is in the new version who was not in the old one: its event has nothing to tell.
    """
    if outcome.indexed and outcome.new_version is not None:
        marker = Marker.from_note(journal.facts["marker"])
        index_entries.mark_indexed(vault, key, replace(marker, version_id=outcome.new_version))


def _carry_note(vault: Vault, key: str, outcome: Outcome) -> None:
    """Make a note about the version that was rewritten one about what came out of it, before that one
    goes."""
    if outcome.new_version is None or outcome.old_version is None:
        return
    note = vault_notes.read(vault, key)
    if note is None or note.version_id != outcome.old_version:
        return
    what = replace(note.what, unused=False)  # these went with the version that was rewritten
    if what.reason == "unused-values":
        vault_notes.forget(vault, key, note.version_id)
        return
    if what.reason in _OF_ROWS:
        if not outcome.unparsed_count:
            vault_notes.forget(vault, key, note.version_id)
            return
        if what.rows is not None:  # of a whole file nobody may know
            is_whole = what.detail == NO_COLUMN
            left = what.rows - outcome.rows_dropped if is_whole else outcome.unparsed_count
            what = replace(what, rows=left, line=what.line if is_whole else None)
    carried = replace(note, version_id=outcome.new_version, what=what)
    vault_notes.put_over(vault, carried, note.version_id)


def _note_unread(vault: Vault, dataset: Dataset, visit: Visit, outcome: Outcome) -> None:
    """Have a note of what stays and nobody can attribute where only a walk through all files met it.

    So it is in files that were indexed before there were notes.
    """
    key, version_id = visit.key or "", outcome.kept_version
    if not visit.scan or dataset.index == "scan" or version_id is None or not outcome.unattributed_count:
        return
    note = vault_notes.read(vault, key)
    if note is not None and note.version_id == version_id and note.is_to_mend:
        return
    stored = open_version(vault, dataset, key, version_id)
    if stored is None:
        return
    what = index_subjects.unattributed(vault, dataset, stored)
    if what is None or what == UNUSED_VALUES:
        # Only what would have to be written cannot be read, or not be written.
        what = replace(UNUSED_VALUES, detail=outcome.unread)
    Notes(vault).note(key, version_id, stored.size, what)


def _entries_of_erased(vault: Vault, visit: Visit, found: Outcome, outcome: Outcome) -> dict[str, str]:
    """Return the entries for the object that have to go: subject references with their entries' versions."""
    # What very many visits share is about people who are in few of the objects.
    gone = (outcome.erased if visit.shared else found.erase | outcome.erased) - found.spared - found.left
    gone |= found.unnamed
    key = visit.key or ""
    versions = index_entries.read_entries(vault, key, gone - found.entries.keys()).versions
    return {ref: version for ref, version in found.entries.items() if ref in gone} | versions


def _purges(
    vault: Vault, dataset: Dataset, visit: Visit, found: Outcome, outcome: Outcome, journal: Journal
) -> bool:
    """Return whether the object's other versions have to go."""
    if outcome.erased or outcome.rows_dropped or outcome.new_version is not None:
        return True
    if (journal.facts.get("outcome") or {}).get("rows_dropped"):
        # An attempt before took rows out of what somebody has replaced since: they are in the older versions.
        return True
    if visit.scan:
        return scans.older_versions_go(vault, dataset, visit, found.old_version, found.kept_version, journal)
    return bool(found.erase)


def _continued(journal: Journal, found: Outcome) -> Outcome:
    """Return what an earlier attempt noted where this one found its work done, else what this one found."""
    noted = journal.facts.get("outcome")
    if noted is None or found.new_version is not None:
        return found
    earlier = Outcome(**noted, indexed=journal.facts["indexed"])
    if earlier.sha256_after is None or not earlier.differs:
        # There was nothing to write, but there were versions to remove: this one finds what is left of them.
        same = found.kept_version == earlier.kept_version
        ours = found.old_version in {earlier.old_version, earlier.kept_version}
        return replace(earlier, erased=found.erased) if same and ours else found
    if found.old_version != earlier.old_version and found.sha256_before == earlier.sha256_after:
        # The answer to the write was lost, but what is there now is what was to be written.
        return replace(earlier, new_version=found.old_version, kept_version=found.old_version)
    return found


def _purge_others(vault: Vault, key: str, expected: str | None, outcome: Outcome, journal: Journal) -> None:
    """Delete every version and marker of the key but the kept one.

    What was replaced goes before the listing, which then is the reading back as well: most keys have no other
    versions. Raises ObjectChangedError where the current version is not the expected one: the one examined or
    written.
    """
    if outcome.new_version is not None and outcome.old_version is not None:
        # By its own id: whatever came to the key since, this one was read and rewritten.
        vault_objects.purge(vault, key, [outcome.old_version])
    found = vault_objects.versions(vault, key)
    current = next((v.id for v in found if v.is_latest and not v.is_marker), None)
    if current != expected:
        raise ObjectChangedError
    # The current one last: were it deleted first and then nothing more, an older one would come back.
    others = sorted(
        (version for version in found if version.id != outcome.kept_version),
        key=lambda version: (version.is_latest, version.last_modified),
    )
    # Of this attempt and those before it, which may have rewritten what somebody else replaced again.
    replaced = set(journal.facts.get("replaced", ())) - {version.id for version in found}
    outcome.read_back = not others and outcome.versions_removed <= len(replaced)
    if len(others) + len(replaced) > outcome.versions_removed:
        outcome.versions_removed = len(others) + len(replaced)
        journal.note(outcome=outcome.noted(), indexed=outcome.indexed)
    vault_objects.purge(vault, key, [version.id for version in others])
