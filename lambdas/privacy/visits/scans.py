"""Datasets without an index (`index: scan`): every file below their prefix is visited in a run.

Nobody has noted whose rows a file or one of its older versions holds. So each visit looks: first into the
current version, and where nobody of the run is in it, into the older ones. Files that hold nobody concerned
keep all of their versions.
"""

from typing import Final

from privacy.customers.customer import Dataset
from privacy.formats.blocks import LineTooLongError
from privacy.index import subjects as index_subjects
from privacy.index.file_formats import open_version
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault.objects import ObjectArchivedError, StoredObject, Version
from privacy.vault.sessions import Vault
from privacy.visits.items import Journal
from privacy.visits.visit import Visit

CHECKED: Final = "checked"
"""Sort key of the note that a version's rows were checked against all tombstones by their own time."""

_HELD: Final = "held"
"""Note in a visit's journal: an older version holds somebody, so that all of them go."""


def older_versions_go(
    vault: Vault, dataset: Dataset, visit: Visit, current: str | None, kept: str | None, journal: Journal
) -> bool:
    """Return whether an older version holds somebody to erase, or cannot be read to tell that none does.

    `current` is the version that the visit found and looked into, `kept` the one that stays. True is noted in
    the journal: an attempt that was cut short may have deleted the very version that was the reason. AWS
    errors are raised.
    """
    if _HELD in journal.facts:
        return True
    if not visit.erase or (current is not None and current == visit.sole):
        return False
    key = visit.key or ""
    older = (v for v in vault_objects.versions(vault, key) if not v.is_marker and v.id != kept)
    held = any(_holds(vault, dataset, key, version, visit.erase) for version in older)
    if held:
        journal.note(**{_HELD: True})
    return held


def _holds(vault: Vault, dataset: Dataset, key: str, version: Version, erase: frozenset[str]) -> bool:
    try:
        stored = open_version(vault, dataset, key, version.id)
        if stored is None:
            return False
        found = index_subjects.subjects(vault, dataset, stored)
    except (LineTooLongError, ObjectArchivedError):
        return True
    return found.unreadable > 0 or found.unattributed is not None or not erase.isdisjoint(found.rows)


def is_checked(vault: Vault, dataset: Dataset, stored: StoredObject) -> bool:
    """Return whether the version was checked for subjects who had been erased before it was uploaded.

    Without an `as_of` field that is always so: every run looks into every file, so whoever was erased after
    the upload went with that run. Only a row's own time can show that it is older than an earlier erasure.
    """
    if dataset.as_of is None:
        return True
    note = vault_items.get(vault, vault_items.object_pk(stored.key), CHECKED)
    return note is not None and note["version_id"]["S"] == stored.version_id


def note_checked(vault: Vault, dataset: Dataset, key: str, version_id: str | None) -> None:
    """Note that the version was checked. The note expires: checking again finds nothing more."""
    if dataset.as_of is None or version_id is None:
        return
    vault.dynamodb.put_item(
        TableName=vault.customer.table,
        Item={
            **vault_items.key(vault_items.object_pk(key), CHECKED),
            "version_id": {"S": version_id},
            **vault_items.backstop(),
        },
    )
