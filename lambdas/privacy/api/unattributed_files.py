"""Files that nobody can attribute, as the customer is told of them: with keys, and how each is mended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from privacy.customers.customer import Customer
from privacy.unattributed import Reason
from privacy.vault import notes as vault_notes
from privacy.vault.notes import Note
from privacy.vault.sessions import Vault

MEND: Final[Mapping[Reason, str]] = {
    "no-field": (
        "Send the file again with the field that the dataset declares, or have the declaration changed and "
        "the vault reindexed."
    ),
    "unreadable-rows": "Send the file again with each row as the dataset's format has it.",
    "other-format": "Send it again in the dataset's format, compressed at most once (gzip or zstd).",
    "damaged": "Send the file again, whole.",
    "encrypted": "Send the file again without encryption of its own: the vault encrypts it.",
    "summary-file": "Delete the file: it repeats what other files hold, and readers do without it.",
    "line-too-long": "Send the file again with a row on each line.",
    "too-large": "Send the file again in parts.",
    "no-subject": "Upload the file again with its subject: POST /v1/datasets/{dataset}/uploads.",
    "archived": "Ask the operator to have the file brought back from S3's archive.",
    "unused-values": "Write the file again with another program, and send it.",
    "outside-datasets": "Ask the operator to declare a dataset for it, or to delete all of its versions.",
}
"""What a customer does about a file, by the reason for which it is listed."""

_EXAMINED: Final = 1000
"""Notes that a page looks at: all lie in one partition, also those of other datasets."""


@dataclass(frozen=True, slots=True)
class Page:
    """Files as the API shows them; `cursor` continues after them and is None at the end."""

    files: list[dict[str, Any]]
    cursor: str | None


def page(vault: Vault, dataset: str | None, cursor: str | None, limit: int) -> Page:
    """Return at most `limit` files, of one dataset if it is given, from behind the cursor on. It may be
    short.

    What needs no mending is left out: what has been replaced by a newer upload, or deleted, and values that
    the next erasure takes out.
    """
    files: list[dict[str, Any]] = []
    for number, note in enumerate(vault_notes.all_notes(vault, cursor or "")):
        if len(files) == limit or number == _EXAMINED:
            return Page(files, cursor)
        cursor = vault_notes.sk_of(note.key)
        if note.is_to_mend and (shown := _shown(vault.customer, note, dataset)) is not None:
            files.append(shown)
    return Page(files, None)


def _shown(customer: Customer, note: Note, wanted: str | None) -> dict[str, Any] | None:
    dataset = customer.dataset_of(note.key)
    if dataset is not None and dataset.index == "scan":
        return None  # of before it came to be scanned: now its files are read in every run
    if wanted is not None and (dataset is None or dataset.name != wanted):
        return None
    what = note.what
    shown = {
        "key": note.key,
        "version_id": note.version_id,
        "dataset": dataset.name if dataset is not None else None,
        "reason": what.reason,
        "detail": what.detail,
        "part": what.part,
        "fields": list(dataset.subjects) if dataset is not None and what.reason == "no-field" else None,
        "lines": what.rows,
        "first_line": what.line,
        "size": note.size,
        "noted_at": note.noted_at,
        "accepted": dataset.accepted if dataset is not None else None,
        "mend": MEND[what.reason],
    }
    return {name: value for name, value in shown.items() if value is not None}
