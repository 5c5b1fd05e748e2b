"""Objects outside every dataset: nobody is told of them, so they are looked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from privacy.vault.session_policies import EXPORTS
from privacy.vault.sessions import Vault

_LAST: Final = "\U0010ffff"
"""Sorts behind every other character, by its bytes in UTF-8: behind a prefix, it is behind almost all keys
there."""

_FIRST_LOOK: Final = 10  # entries of a listing that begins behind a prefix: mostly the next prefix follows


@dataclass(frozen=True, slots=True)
class Stray:
    """An object outside every dataset, and the newest of its versions that has content."""

    key: str
    version_id: str
    size: int


def strays(vault: Vault, behind: str = "") -> Iterator[Stray]:
    """Yield the objects below no dataset's prefix in the order of their keys, a page in memory at a time.

    Those whose keys sort behind `behind`. What lies below a dataset's prefix is not listed, but skipped: a
    call a prefix. Objects without content, such as the markers of folders, hold nobody. Exports are ours.
    """
    inside = sorted({EXPORTS, *(dataset.prefix for dataset in vault.customer.datasets if dataset.prefix)})
    after: dict[str, Any] = {"MaxKeys": _FIRST_LOOK, **({"KeyMarker": behind} if behind else {})}
    last: str | None = None
    while True:
        page = vault.s3.list_object_versions(Bucket=vault.customer.bucket, **after)
        entries: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        jump = None
        for entry in sorted(entries, key=lambda entry: str(entry["Key"])):  # stable: newest version first
            key = entry["Key"]
            prefix = next((each for each in inside if key.startswith(each)), None)
            if prefix is not None:
                jump = f"{prefix}{_LAST}"
                if key < jump:
                    break
                jump = None
            elif key != last and entry.get("Size"):
                last = key
                yield Stray(key, entry["VersionId"], entry["Size"])
        if jump is not None:
            after = {"MaxKeys": _FIRST_LOOK, "KeyMarker": jump}
        elif page["IsTruncated"]:
            after = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        else:
            return
