"""Walking a prefix of a vault's bucket: every key that has any version or delete marker."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Any

from privacy.vault.sessions import Vault


@dataclass(frozen=True, slots=True)
class Found:
    """A key with at least one version or delete marker; `sole` is its version where it has nothing else."""

    key: str
    sole: str | None


def files_below(vault: Vault, prefix: str) -> Iterator[Found]:
    """Yield every key below the prefix, also those with older versions only, a page in memory at a time."""
    pages = vault.s3.get_paginator("list_object_versions").paginate(
        Bucket=vault.customer.bucket, Prefix=prefix
    )
    key: str | None = None
    entries: list[Any] = []
    for entry in _entries(pages):
        if entry["Key"] != key:
            if key is not None:
                yield _found(key, entries)
            key, entries = entry["Key"], []
        entries = [*entries[-1:], entry]  # two tell as much as all
    if key is not None:
        yield _found(key, entries)


def _entries(pages: Iterable[Any]) -> Iterator[Any]:
    for page in pages:
        lists = page.get("Versions", []), page.get("DeleteMarkers", [])
        yield from merge(*lists, key=lambda entry: str(entry["Key"]))


def _found(key: str, entries: list[Any]) -> Found:
    alone = len(entries) == 1 and "ETag" in entries[0]  # delete markers have none
    return Found(key, entries[0]["VersionId"] if alone else None)
