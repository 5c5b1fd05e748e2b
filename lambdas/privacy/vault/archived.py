"""Files that S3 keeps in an archive: to be brought back before anybody can read them.

A dataset says what becomes of them: `report` leaves them alone, and their requests end partial; `restore`
has S3 bring them back, and their requests wait. One that was archived before the index could look into it is
noted (`privacy.vault.notes`), so that every erasure visits it: nobody knows whom it holds.
"""

from datetime import timedelta
from typing import Final

from privacy.customers.customer import Dataset
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault.objects import ObjectArchivedError
from privacy.vault.sessions import Vault

REPORTED: Final = "archived"
RESTORING: Final = "restoring"

_NOTES_OF_BEFORE: Final = "archived"
"""The partition in which releases before `privacy.vault.notes` noted archived files, by their keys."""

WAIT: Final = timedelta(hours=6)
"""Until a request looks again. S3 User Guide, "Archive retrieval options": a standard retrieval takes 3 to 5
hours from Glacier Flexible Retrieval, up to 12 from Deep Archive."""


def deal_with(vault: Vault, dataset: Dataset, key: str, error: ObjectArchivedError) -> str:
    """Have S3 bring an archived file back if its dataset says so.

    Returns RESTORING if it does, otherwise REPORTED. Raises ObjectChangedError where the file is not archived
    any more.
    """
    if dataset.archived != "restore":
        return REPORTED
    vault_objects.restore(vault, key, error.storage_class)
    return RESTORING


def forget_notes_of_before(vault: Vault) -> None:
    """Remove what older releases noted of archived files. Raises TableBusyError."""
    items = vault_items.query(vault, _NOTES_OF_BEFORE)
    vault_items.delete_all(vault, ({"pk": item["pk"], "sk": item["sk"]} for item in items))
