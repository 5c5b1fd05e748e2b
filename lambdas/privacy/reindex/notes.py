"""The note of a file that nobody can attribute, compared with what its versions hold."""

from collections.abc import Container
from datetime import UTC, datetime

from privacy.reindex.differences import Observed, Repair
from privacy.reindex.items import Difference
from privacy.timestamps import instant
from privacy.unattributed import OUTSIDE, Unattributed
from privacy.vault import items as vault_items
from privacy.vault import notes as vault_notes
from privacy.vault.notes import Note
from privacy.vault.objects import Version
from privacy.vault.session_policies import EXPORTS


def note_difference(
    observed: Observed, note: Note | None, looked_into: Container[str | None]
) -> Repair | None:
    """Return what is wrong with the object's note, or that it is not there; None where all is well.

    `looked_into` are versions that are archived by now and were looked into before. How many rows it is and
    where they are is not compared: a visit that rewrites a file does not count them anew.
    """
    wanted = _wanted(observed, note, looked_into)
    if _says_the_same(note, wanted):
        return None
    difference = Difference(
        "missing-note" if note is None else "stale-note",
        observed.comparison.digest,
        observed.name,
        index_version=note.version_id if note is not None else None,
        object_version=wanted.version_id if wanted is not None else None,
        error=wanted.what.reason if wanted is not None else None,
    )
    return Repair(
        difference,
        vault_items.key(vault_notes.PK, vault_notes.sk_of(observed.comparison.key)),
        over=note.version_id if note is not None else None,
        wanted=wanted.item() if wanted is not None else None,
    )


def _says_the_same(one: Note | None, other: Note | None) -> bool:
    if one is None or other is None:
        return one is other
    if one.superseded and other.superseded:
        return True  # every erasure visits the key, whichever of the older versions it is
    return _told(one) == _told(other)


def _told(note: Note) -> tuple[object, ...]:
    return note.version_id, note.superseded, note.what.reason, note.what.unused


def _wanted(observed: Observed, note: Note | None, looked_into: Container[str | None]) -> Note | None:
    """Return the note that has to be there: about the newest version of which something is left over."""
    for version in observed.versions:
        if (what := _left_over(observed, version, note, looked_into)) is not None:
            return Note(
                observed.comparison.key,
                version.id,
                what,
                version.size,
                instant(datetime.now(UTC)),
                superseded=observed.dataset is not None and not version.is_latest,
            )
    return None


def _left_over(
    observed: Observed, version: Version, note: Note | None, looked_into: Container[str | None]
) -> Unattributed | None:
    if observed.dataset is None:
        is_stray = version.size > 0 and not observed.comparison.key.startswith(EXPORTS)
        return OUTSIDE if is_stray else None
    if version.id in observed.content.archived:
        if note is not None and note.version_id == version.id:
            return note.what  # it was looked into before it was archived: nobody can look again
        return Unattributed("archived", "all") if version.id not in looked_into else None
    return observed.content.unattributed.get(version.id)
