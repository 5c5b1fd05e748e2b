"""Differences between an object and its index, and the writes that put the index right."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from privacy.customers.customer import Dataset
from privacy.index import entries as index_entries
from privacy.index.entries import EntryAbout, Marker
from privacy.reindex.content import Content, Held
from privacy.reindex.items import Comparison, Difference
from privacy.vault import items as vault_items
from privacy.vault.objects import Version
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from privacy.vault.items import Item


# The index has the time of the upload from its event, a reindex from the listing.
_NOT_COMPARED: Final = {"indexed_at", "uploaded_at"}


@dataclass(frozen=True, slots=True)
class _Repair:
    """A difference, and the item that has to be there; None where there has to be none.

    `over` is the version that the item names which is there. Without a difference the item was not wrong,
    and goes along with others.
    """

    difference: Difference | None
    key: "Item"
    over: str | None
    wanted: "Item | None" = None


@dataclass(slots=True)
class _Compared:
    """The entries of an object compared: what to put right, and what is known of the others.

    `followed` are the subjects whose entries are right by way of the marker, with the version that they name;
    `exact` whether the entries of others are, or will be, about the current version. `indexed` are all
    versions that are named.
    """

    repairs: list[_Repair] = field(default_factory=list)
    followed: dict[str, str] = field(default_factory=dict)
    exact: bool = False
    indexed: set[str] = field(default_factory=set)


def _about(vault: Vault, dataset: Dataset, held: Held) -> EntryAbout:
    """Return what the entries of a version that was read have in common."""
    return EntryAbout.of(
        vault.customer,
        dataset,
        key=held.stored.key,
        version_id=held.version.id,
        size=held.stored.size,
        uploaded_at=held.version.last_modified,
    )


def _follows(
    entry: "Item",
    wanted: "Item",
    marker: Marker | None,
    ref: str,
    held: Held,
    reading: bytes,
    there: Collection[str],
) -> bool:
    """Return whether an entry of the version that a visit rewrote leads to what it would say of this one.

    Where nobody knows positions, that is one of a version that is gone (not `there`): the mark says that
    everybody in this one has an entry.
    """
    if marker is None or marker.version_id != held.version.id or marker.base == held.version.id:
        return False
    if any(entry.get(name) != wanted[name] for name in ("object", "dataset")):
        return False
    if marker.base is None:
        return entry["version_id"]["S"] not in there and int(entry["rows"]["N"]) >= held.found.rows[ref]
    return index_entries.leads_to(entry, marker, ref, held.found, reading)


def _entry_difference(
    comparison: Comparison,
    dataset: Dataset | None,
    versions: Sequence[Version],
    content: Content,
    ref: str,
    entry: "Item | None",
    wanted: "Item | None",
) -> Difference | None:
    """Return what is wrong with the subject's entry, or that it is not there; None where all is well."""
    indexed = entry["version_id"]["S"] if entry else None
    stored = wanted["version_id"]["S"] if wanted else None
    base = (comparison.digest, _name(dataset), ref, indexed, stored)
    if entry is None:
        return Difference("missing-entry", *base) if wanted is not None else None
    if not versions:
        return Difference("vanished-object", *base)
    if dataset is None:
        # It stays: an erasure then fails and says why. Without it, it would end well and leave the rows.
        return Difference("outside-datasets", *base)
    if indexed in content.unreadable or (wanted is None and content.unreadable):
        return None  # nobody can tell
    if wanted is None:
        return Difference("superfluous-entry", *base)
    names = (entry.keys() | wanted.keys()) - _NOT_COMPARED
    if stored != content.current_id:
        names -= {"at"}
    differs = tuple(sorted(name for name in names if entry.get(name) != wanted.get(name)))
    return Difference("wrong-entry", *base, differs) if differs else None


def _mark_difference(
    comparison: Comparison,
    dataset: Dataset | None,
    versions: Sequence[Version],
    content: Content,
    marked: str | None,
) -> _Repair | None:
    """Return what is wrong with the mark of the indexed version, which has to be the newest one."""
    key = vault_items.key(vault_items.object_pk(comparison.key), vault_items.INDEXED)
    if not versions:
        if marked is None:
            return None
        gone = Difference("vanished-object", comparison.digest, _name(dataset), index_version=marked)
        return _Repair(gone, key, over=marked)
    if content.current is None or marked == content.current.version.id:
        return None
    unmarked = Difference(
        "unmarked-version",
        comparison.digest,
        _name(dataset),
        index_version=marked,
        object_version=content.current.version.id,
    )
    return _Repair(unmarked, key, over=marked)  # marked at the very end, when late arrivals were looked for


def _name(dataset: Dataset | None) -> str | None:
    return dataset.name if dataset is not None else None
