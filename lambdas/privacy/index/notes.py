"""Keeping the notes of files that nobody can attribute, or not all of, from what the index sees of each
version.

Events come in any order. So each note is written first, and then the versions are listed: whoever comes
later finds the note, and whoever came before is in the listing.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from privacy.customers.customer import Customer
from privacy.timestamps import instant
from privacy.unattributed import Unattributed
from privacy.vault import notes as vault_notes
from privacy.vault import objects as vault_objects
from privacy.vault.notes import Note
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of one vault."""

    vault: Vault

    def settle(self, key: str, version_id: str, size: int, what: Unattributed | None) -> None:
        """Note what of a version that was read could not be attributed; where all of it could, end its
        note."""
        if what is not None:
            self.note(key, version_id, size, what)
        elif (note := vault_notes.read(self.vault, key)) is not None:
            if note.version_id == version_id:
                vault_notes.forget(self.vault, key, version_id)
            else:
                self.look_again(note)

    def note(self, key: str, version_id: str, size: int, what: Unattributed) -> None:
        """Note what of a version cannot be attributed, unless there is a note about a newer version."""
        made = Note(key, version_id, what, size, instant(datetime.now(UTC)))
        if not vault_notes.put_over(self.vault, made, None):
            before = vault_notes.read(self.vault, key)
            if before is not None and before.version_id != version_id:
                listed = vault_objects.versions(self.vault, key)
                if not any(version.is_latest and version.id == version_id for version in listed):
                    self.look_again(before)
                    return
            vault_notes.put(self.vault, made)
        self.look_again(made)
        tell(self.vault.customer, made)

    def look_again(self, note: Note) -> None:
        """Bring a note up to date with the versions that are there.

        It goes where no version is left but a current one that is another: that was, or will be, looked into.
        """
        there = vault_objects.versions(self.vault, note.key)
        current = next((version for version in there if version.is_latest), None)
        if current is not None and current.id == note.version_id:
            vault_notes.supersede(self.vault, note, superseded=False)
        elif any(not version.is_marker and version is not current for version in there):
            vault_notes.supersede(self.vault, note, superseded=True)
        else:
            vault_notes.forget(self.vault, note.key, note.version_id)


def tell(customer: Customer, note: Note) -> None:
    """Log that a file cannot be attributed, for the metric and its alarm, unless its dataset accepts that."""
    dataset = customer.dataset_of(note.key)
    if not note.is_to_mend or (dataset is not None and dataset.accepted is not None):
        return
    _log.warning(
        "content not attributed: customer=%s dataset=%s object=%s reason=%s part=%s rows=%s",
        customer.id,
        dataset.name if dataset is not None else None,
        vault_notes.sk_of(note.key)[:12],
        note.what.reason,
        note.what.part,
        note.what.rows,
    )
