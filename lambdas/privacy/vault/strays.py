"""Objects outside every dataset: nobody is told of them, so they are looked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from privacy.vault.session_policies import EXPORTS
from privacy.vault.sessions import Vault

_LEVEL: Final = "/"


@dataclass(frozen=True, slots=True)
class Stray:
    """An object outside every dataset, and the newest of its versions that has content."""

    key: str
    version_id: str
    size: int


def strays(vault: Vault) -> Iterator[Stray]:
    """Yield the objects below no dataset's prefix in the order of their keys, a page in memory at a time.

    What lies below a dataset's prefix is not listed: one call shows a level of keys. Objects without content,
    such as the markers of folders, hold nobody. Exports are ours.
    """
    inside = {EXPORTS, *(dataset.prefix for dataset in vault.customer.datasets if dataset.prefix)}
    last = None
    for stray in _below(vault, "", inside):
        if stray.key != last:  # newest first
            last = stray.key
            yield stray


def _below(vault: Vault, prefix: str, inside: Collection[str]) -> Iterator[Stray]:
    """Yield every version with content below the prefix and not below any that is `inside`."""
    # Without any of these below it, all of it is listed as it is.
    level: dict[str, Any] = {"Delimiter": _LEVEL} if any(each.startswith(prefix) for each in inside) else {}
    pages = vault.s3.get_paginator("list_object_versions").paginate(
        Bucket=vault.customer.bucket, Prefix=prefix, **level
    )
    for page in pages:
        versions: dict[str, list[Any]] = {}
        for entry in page.get("Versions", []):
            versions.setdefault(entry["Key"], []).append(entry)
        deeper = {each["Prefix"] for each in page.get("CommonPrefixes", [])}
        for name in sorted(versions.keys() | deeper):
            if name.startswith(tuple(inside)):
                continue
            if name in deeper:
                yield from _below(vault, name, inside)
            for entry in versions.get(name, ()):
                if entry["Size"]:
                    yield Stray(name, entry["VersionId"], entry["Size"])
