"""Files that S3 keeps in an archive: to be brought back before anybody can read them.

A dataset says what becomes of them: `report` leaves them alone, and their requests end partial; `restore`
has S3 bring them back, and their requests wait. One that was archived before the index could look into it is
noted here, so that every erasure visits it: nobody knows whom it holds. So is one that holds values which are
in no row.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from privacy.customers.customer import Dataset
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault.objects import ObjectArchivedError
from privacy.vault.sessions import Vault

REPORTED: Final = "archived"
RESTORING: Final = "restoring"

WAIT: Final = timedelta(hours=6)
"""Until a request looks again. S3 User Guide, "Archive retrieval options": a standard retrieval takes 3 to 5
hours from Glacier Flexible Retrieval, up to 12 from Deep Archive."""

_PK: Final = "archived"


def deal_with(vault: Vault, dataset: Dataset, key: str, error: ObjectArchivedError) -> str:
    """Have S3 bring an archived file back if its dataset says so.

    Returns RESTORING if it does, otherwise REPORTED. Raises ObjectChangedError where the file is not archived
    any more.
    """
    if dataset.archived != "restore":
        return REPORTED
    vault_objects.restore(vault, key, error.storage_class)
    return RESTORING


def note_unread(vault: Vault, dataset: Dataset, key: str, version_id: str) -> None:
    """Note that nobody can tell of this version of the file whom it holds."""
    vault.dynamodb.put_item(
        TableName=vault.customer.table,
        # Not `object`: that attribute would put the note into the index of objects.
        Item={
            **vault_items.key(_PK, vault_items.object_sk(key)),
            "key": {"S": key},
            "dataset": {"S": dataset.name},
            "version_id": {"S": version_id},
        },
    )


def unread_version(vault: Vault, key: str) -> str | None:
    """Return the version of the file that nobody could look into, or None."""
    note = vault_items.get(vault, _PK, vault_items.object_sk(key))
    return note["version_id"]["S"] if note else None


def forget_unread(vault: Vault, key: str, version_id: str) -> None:
    """Remove the note about this version: it was looked into, or is gone."""
    vault_items.delete_version(vault, _PK, vault_items.object_sk(key), version_id)


def unread(vault: Vault) -> Mapping[str | None, list[str]]:
    """Return the keys of all files that nobody could look into, by the name that their dataset has now.

    Those below the prefix of no dataset are found under None.
    """
    found: dict[str | None, list[str]] = {}
    for note in vault_items.query(vault, _PK):
        below = vault.customer.dataset_of(note["key"]["S"])
        found.setdefault(below.name if below else None, []).append(note["key"]["S"])
    return found
