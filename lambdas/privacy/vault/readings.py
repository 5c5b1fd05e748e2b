"""How the index came to know a dataset's files: what it says counts only while they are read in the same way.

A note for each prefix says how its files were read when the index began there, or when a reindex had compared
all of them. Where the config now says something else (another subject field, another format), or the index
began when files were there already, nobody knows whom the index leaves out: runs then visit every file below
the prefix, until a reindex has compared them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from privacy.aws.conditions import ConditionMayFail
from privacy.customers.customer import Customer, Dataset
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from privacy.vault.items import Item

_PK: Final = "vault"
_NOTE: Final = "index#"
_READING: Final = 3  # raised whenever readers come to find, or note, other things in the same file
_UNKNOWN: Final = "unknown"

_TOGETHER: Final = timedelta(minutes=1)
"""Files that came so shortly before the first one that was indexed have events that are on their way."""


def reading_of(customer: Customer, dataset: Dataset) -> bytes:
    """Return what stands for how the dataset's files are read: another subject field, other positions."""
    dialect = asdict(dataset.csv) if dataset.csv else None
    identifiers = [customer.subject_id, dataset.names_by_address]
    how = [_READING, dataset.format, dataset.subjects, dialect, *identifiers]
    return hashlib.sha256(json.dumps(how).encode()).digest()[:8]


def current_readings(customer: Customer) -> dict[str, str]:
    """Return how the files below each indexed prefix are read, by the customer's config."""
    indexed = [d for d in customer.datasets if d.prefix is not None and d.index != "scan"]
    return {dataset.prefix or "": reading_of(customer, dataset).hex() for dataset in indexed}


def note_beginning(vault: Vault, dataset: Dataset, uploaded_at: datetime) -> None:
    """Note how the dataset's files are read, unless there is a note: a file uploaded then was just indexed.

    Nothing of a scanned dataset, of which an event may still come. Where older files are there already, which
    nobody told the index of, it notes that they are not known.
    """
    prefix = dataset.prefix or ""
    if prefix in vault.noted or dataset.index == "scan":
        return
    if vault_items.get(vault, _PK, f"{_NOTE}{prefix}") is None:
        known = not _holds_older(vault, prefix, uploaded_at - _TOGETHER)
        reading = reading_of(vault.customer, dataset).hex() if known else _UNKNOWN
        with ConditionMayFail():
            vault.dynamodb.put_item(
                TableName=vault.customer.table,
                Item=_item(prefix, reading),
                ConditionExpression="attribute_not_exists(sk)",
            )
    vault.noted.add(prefix)


def note_compared(vault: Vault, compared: Mapping[str, str]) -> None:
    """Note that the index is complete below these prefixes, for files that are read so.

    A prefix whose files are read in another way by now is left out. Raises TableBusyError.
    """
    now = current_readings(vault.customer)
    same = [prefix for prefix, reading in compared.items() if now.get(prefix) == reading]
    vault_items.batch_write(vault, put=[_item(prefix, compared[prefix]) for prefix in same])


def is_relied_on(vault: Vault, dataset: Dataset) -> bool:
    """Return whether everything below the dataset's prefix was looked into as files are read now."""
    noted = vault_items.get(vault, _PK, f"{_NOTE}{dataset.prefix or ''}")
    return noted is not None and noted["reading"]["S"] == reading_of(vault.customer, dataset).hex()


def prefixes_to_walk(vault: Vault) -> set[str]:
    """Return the indexed prefixes below which the index may leave somebody out.

    Removes the notes of prefixes that have no indexed dataset any more: what is uploaded there from now on is
    not told to the index, should it have one again. Raises TableBusyError.
    """
    now = current_readings(vault.customer)
    noted = {
        item["sk"]["S"].removeprefix(_NOTE): item["reading"]["S"]
        for item in vault_items.query(vault, _PK, first=_NOTE)
    }
    gone = noted.keys() - now.keys()
    vault_items.batch_write(
        vault, delete=[vault_items.key(_PK, f"{_NOTE}{prefix}") for prefix in sorted(gone)]
    )
    return {prefix for prefix, reading in now.items() if noted.get(prefix) != reading}


def _holds_older(vault: Vault, prefix: str, moment: datetime) -> bool:
    """Return whether a version below the prefix was uploaded before then."""
    pages = vault.s3.get_paginator("list_object_versions").paginate(
        Bucket=vault.customer.bucket, Prefix=prefix
    )
    return any(version["LastModified"] < moment for page in pages for version in page.get("Versions", []))


def _item(prefix: str, reading: str) -> "Item":
    return {**vault_items.key(_PK, f"{_NOTE}{prefix}"), "reading": {"S": reading}}
