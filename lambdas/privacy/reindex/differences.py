"""Differences between an object and its index, and the writes that put the index right.

What is compared was read before (`Observed`); the writes (`Repair`) are carried out by the comparer.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from privacy.customers.customer import Customer, Dataset
from privacy.index import entries as index_entries
from privacy.index.entries import EntryAbout, Marker
from privacy.reindex.content import Content, Held
from privacy.reindex.items import Comparison, Difference
from privacy.vault import items as vault_items
from privacy.vault.objects import Version

if TYPE_CHECKING:
    from privacy.vault.items import Item


# The index has the time of the upload from its event, a reindex from the listing.
_NOT_COMPARED: Final = {"indexed_at", "uploaded_at"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What was found of one object: its versions as they are listed, what they hold, and its marker.

    `dataset` is None where the object lies outside every dataset; nothing of it was read then.
    """

    customer: Customer
    comparison: Comparison
    dataset: Dataset | None
    listed: list[Version]
    content: Content
    marker: Marker | None

    @property
    def versions(self) -> list[Version]:
        """The object's versions without delete markers."""
        return [version for version in self.listed if not version.is_marker]

    @property
    def marked(self) -> str | None:
        """The version that the marker is about."""
        return self.marker.version_id if self.marker else None

    @property
    def name(self) -> str | None:
        """The dataset's name."""
        return self.dataset.name if self.dataset is not None else None


@dataclass(frozen=True, slots=True)
class Repair:
    """A difference, and the item that has to be there; None where there has to be none.

    `over` is the version that the item names which is there. Without a difference the item was not wrong,
    and goes along with others.
    """

    difference: Difference | None
    key: "Item"
    over: str | None
    wanted: "Item | None" = None


@dataclass(slots=True)
class EntriesCompared:
    """The entries of an object compared, one subject after the other: what to put right, and the others.

    `followed` are the subjects whose entries are right by way of the marker, with the version that they name;
    `exact` whether the entries of others are, or will be, about the current version. `indexed` are all
    versions that are named.
    """

    observed: Observed
    repairs: list[Repair] = field(default_factory=list)
    followed: dict[str, str] = field(default_factory=dict)
    exact: bool = False
    indexed: set[str] = field(default_factory=set)
    _abouts: dict[str, EntryAbout] = field(default_factory=dict)
    _there: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._there = frozenset(version.id for version in self.observed.versions)

    def take(self, ref: str, key: "Item", entry: "Item | None") -> None:
        """Compare a subject's entry, which `key` leads to; None where there is none."""
        content = self.observed.content
        indexed = entry["version_id"]["S"] if entry else None
        if indexed is not None:
            self.indexed.add(indexed)
        held = content.newest.get(ref)
        about = self._about(held) if held is not None else None
        wanted = about.entry(ref, held.found) if about is not None and held is not None else None
        if about is not None and held is not None and held is content.current:
            if entry is not None and indexed is not None and self._follows(entry, ref, held, about):
                self.followed[ref] = indexed
                return
            self.exact = True
        difference = self._difference(ref, entry, wanted)
        if difference is not None:
            self.repairs.append(Repair(difference, key, over=indexed, wanted=wanted))

    def rebased(self) -> list[Repair]:
        """Return entries about the current version, in place of those that are right by way of the marker."""
        current = self.observed.content.current
        about = self._about(current) if current is not None and self.followed else None
        if about is None or current is None:
            return []
        return [
            Repair(None, about.key_of(ref), over=indexed, wanted=about.entry(ref, current.found))
            for ref, indexed in self.followed.items()
        ]

    def _about(self, held: Held) -> EntryAbout | None:
        """Return what the entries of a version that was read have in common; None outside every dataset."""
        dataset = self.observed.dataset
        if dataset is None:
            return None
        # Not made again for every subject: all of a version's entries have most in common.
        if held.version.id not in self._abouts:
            self._abouts[held.version.id] = EntryAbout.of(
                self.observed.customer,
                dataset,
                key=held.stored.key,
                version_id=held.version.id,
                size=held.stored.size,
                uploaded_at=held.version.last_modified,
            )
        return self._abouts[held.version.id]

    def _follows(self, entry: "Item", ref: str, held: Held, about: EntryAbout) -> bool:
        """Return whether an entry of the version that a visit rewrote leads to what it would say of this one.

        Where nobody knows positions, that is one of a version that is gone: the marker says that everybody
        in this one has an entry.
        """
        marker = self.observed.marker
        if marker is None or marker.version_id != held.version.id or marker.base == held.version.id:
            return False
        if any(entry.get(name) != about.attributes[name] for name in ("object", "dataset")):
            return False
        if marker.base is None:
            gone = entry["version_id"]["S"] not in self._there
            return gone and int(entry["rows"]["N"]) >= held.found.rows[ref]
        return index_entries.leads_to(entry, marker, ref, held.found, about.reading)

    def _difference(self, ref: str, entry: "Item | None", wanted: "Item | None") -> Difference | None:
        """Return what is wrong with the subject's entry, or that it is not there; None where all is well."""
        observed, content = self.observed, self.observed.content
        indexed = entry["version_id"]["S"] if entry else None
        stored = wanted["version_id"]["S"] if wanted else None
        base = (observed.comparison.digest, observed.name, ref, indexed, stored)
        if entry is None:
            return Difference("missing-entry", *base) if wanted is not None else None
        if not self._there:
            return Difference("vanished-object", *base)
        if observed.dataset is None:
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


def marker_difference(observed: Observed) -> Repair | None:
    """Return what is wrong with the marker, which has to be about the newest version; None if nothing is."""
    digest, marked, current = observed.comparison.digest, observed.marked, observed.content.current_id
    key = vault_items.key(vault_items.object_pk(observed.comparison.key), vault_items.INDEXED)
    if not observed.versions:
        if marked is None:
            return None
        gone = Difference("vanished-object", digest, observed.name, index_version=marked)
        return Repair(gone, key, over=marked)
    if current is None or marked == current:
        return None
    unmarked = Difference(
        "unmarked-version", digest, observed.name, index_version=marked, object_version=current
    )
    return Repair(unmarked, key, over=marked)  # marked at the very end, when late arrivals were looked for


def unreadable_versions(observed: Observed) -> list[Difference]:
    """Return a difference for each version that could not be read."""
    return [
        Difference(
            "unreadable-object",
            observed.comparison.digest,
            observed.name,
            object_version=version,
            error=error,
        )
        for version, error in observed.content.unreadable.items()
    ]


def wanted_marker(compared: EntriesCompared) -> Marker | None:
    """Return the marker to write: of the current version, and entries about it; None where all is well.

    A marker leads from entries of one version, its base, to the rows: so it has to be about the current
    one as soon as some of the entries are.
    """
    observed = compared.observed
    current, marker = observed.content.current, observed.marker
    if current is None or observed.dataset is None:
        return None
    wanted = Marker.of(observed.customer, observed.dataset, current.version.id, current.found)
    if marker is not None and marker.version_id == wanted.version_id and not compared.exact:
        return None
    return wanted if marker != wanted else None
