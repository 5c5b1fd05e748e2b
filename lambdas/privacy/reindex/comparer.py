"""One object compared with what the index says of it, and the index put right."""

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from privacy import timestamps
from privacy.customers.customer import Dataset
from privacy.index import entries as index_entries
from privacy.index.entries import EntryAbout, Marker
from privacy.index.indexer import Indexer
from privacy.index.late_arrivals import Late, late_arrivals
from privacy.reindex.content import Content, Held, read_content
from privacy.reindex.differences import (
    _about,
    _Compared,
    _entry_difference,
    _follows,
    _mark_difference,
    _name,
    _Repair,
)
from privacy.reindex.items import Comparison, Comparisons, Difference
from privacy.vault import archived
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault.objects import ObjectChangedError, Version
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    pass

_log: Final = logging.getLogger("privacy")

ATTEMPTS: Final = 5
"""How often an object is compared anew because somebody else kept writing it or its entries."""

_PARALLEL: Final = 8
_CHUNK: Final = 1000  # entries read, and repairs handed out, at a time
_REMOVED: Final = {"superfluous-entry", "vanished-object"}


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares objects of one reindex. With `dry_run` it looks and notes, and puts nothing right."""

    indexer: Indexer
    comparisons: Comparisons
    dry_run: bool

    @property
    def vault(self) -> Vault:
        """The vault whose index it is."""
        return self.indexer.vault

    def compare(self, comparison: Comparison) -> None:
        """Note every difference between the object's versions and the index, and put the index right.

        Reads every version to its end and holds the subjects of all of them. An entry is right if the
        newest version that holds rows of its subject is the one it names, or where its rows in the current
        version follow from the marker. Files that are scanned have no index, and are left alone. Somebody
        who was found without an entry and had been erased after the version was uploaded is asked to be
        erased again, as by the index function. Can be done again at any point. Raises ObjectChangedError
        where somebody else kept writing the object.
        """
        for _ in range(ATTEMPTS):
            try:
                if self._compared(comparison):
                    return
            except ObjectChangedError:
                pass
            _log.info("object changed meanwhile, compared again: customer=%s", self.vault.customer.id)
        raise ObjectChangedError

    def _compared(self, comparison: Comparison) -> bool:
        """Compare once; return whether nobody interfered."""
        key = comparison.key
        listed = vault_objects.versions(self.vault, key)
        versions = [version for version in listed if not version.is_marker]
        dataset = self.vault.customer.dataset_of(key)
        if dataset is not None and dataset.index == "scan":
            return True
        content = read_content(self.vault, dataset, key, versions) if dataset is not None else Content()
        marker = index_entries.read_marker(self.vault, key)
        marked = marker.version_id if marker else None
        compared = self._entry_differences(comparison, dataset, versions, content, marker)
        repairs = compared.repairs
        if (difference := _mark_difference(comparison, dataset, versions, content, marked)) is not None:
            repairs.append(difference)
        lasting = [
            Difference(
                "unreadable-object", comparison.digest, _name(dataset), object_version=version, error=error
            )
            for version, error in content.unreadable.items()
        ]
        # Listed again after the entries were read: an entry of a version that was not listed before is
        # about one that is gone, or the listing has changed.
        if vault_objects.versions(self.vault, key) != listed:
            return False
        found = [*(repair.difference for repair in repairs if repair.difference is not None), *lasting]
        self._note(comparison, dataset, found)
        if self.dry_run:
            return True
        if dataset is not None:
            self._note_unread(dataset, key, content, compared.indexed | {marked})
        wanted = self._wanted_marker(dataset, content, marker, compared)
        if wanted is not None and dataset is not None:
            repairs += self._rebased(dataset, content, compared.followed)
        if not self._put_right(repairs):
            return False
        unseen = content.current if marked != content.current_id else None
        late = self._late(comparison, dataset, content, unseen) if dataset is not None else []
        # As by the index function: before whoever was erased is gone, no version may pass for looked into.
        unsettled = any(arrival.whole for _, arrivals in late for arrival in arrivals.values())
        if unsettled and marked is not None:
            pk = vault_items.object_pk(key)
            vault_items.delete_version(self.vault, pk, vault_items.INDEXED, marked)
        if vault_objects.versions(self.vault, key) != listed:
            return False
        for version, arrivals in late:
            self.indexer.erase_late(key, version.id, version.last_modified, arrivals)
        if wanted is None or unsettled:
            return True
        return vault_items.put_over(self.vault, index_entries.marker_item(key, wanted), marked)

    def _wanted_marker(
        self, dataset: Dataset | None, content: Content, marker: Marker | None, compared: _Compared
    ) -> Marker | None:
        """Return the marker to write: of the current version, and entries about it; None where all is well.

        A marker leads from entries of one version, its base, to the rows: so it has to be about the current
        one as soon as some of the entries are.
        """
        current = content.current
        if current is None or dataset is None:
            return None
        wanted = Marker.of(self.vault.customer, dataset, current.version.id, current.found)
        if marker is not None and marker.version_id == wanted.version_id and not compared.exact:
            return None
        return wanted if marker != wanted else None

    def _rebased(
        self,
        dataset: Dataset,
        content: Content,
        followed: Mapping[str, str],
    ) -> list[_Repair]:
        """Return entries about the current version, in place of those that are right by way of the marker."""
        current = content.current
        if current is None or not followed:
            return []
        about = _about(self.vault, dataset, current)
        return [
            _Repair(None, about.key_of(ref), over=indexed, wanted=about.entry(ref, current.found))
            for ref, indexed in followed.items()
        ]

    def _note_unread(
        self, dataset: Dataset, key: str, content: Content, indexed: Collection[str | None]
    ) -> None:
        """Have every erasure visit an object with an archived version that the index never looked into."""
        unknown = next((version for version in content.archived if version not in indexed), None)
        if unknown is not None:
            archived.note_unread(self.vault, dataset, key, unknown)

    def _entry_differences(
        self,
        comparison: Comparison,
        dataset: Dataset | None,
        versions: Sequence[Version],
        content: Content,
        marker: Marker | None,
    ) -> _Compared:
        compared = _Compared()
        known = vault_items.subjects_of(self.vault, comparison.key)
        refs = sorted({*known, *content.newest})
        # Not made again for every subject: all of a version's entries have most in common.
        abouts: dict[str, EntryAbout] = {}
        there = {version.id for version in versions}
        for start in range(0, len(refs), _CHUNK):
            chunk = refs[start : start + _CHUNK]
            sk = vault_items.object_sk(comparison.key)
            keys = {ref: vault_items.key(vault_items.subject_pk(ref), sk) for ref in chunk}
            entries = {
                item["pk"]["S"].removeprefix("subject#"): item
                for item in vault_items.batch_get(self.vault, list(keys.values()))
            }
            for ref in chunk:
                held, entry = content.newest.get(ref), entries.get(ref)
                wanted = None
                indexed = entry["version_id"]["S"] if entry else None
                if indexed is not None:
                    compared.indexed.add(indexed)
                if held is not None and dataset is not None:
                    if held.version.id not in abouts:
                        abouts[held.version.id] = _about(self.vault, dataset, held)
                    about = abouts[held.version.id]
                    wanted = about.entry(ref, held.found)
                    if held is content.current:
                        if entry is not None and _follows(
                            entry, wanted, marker, ref, held, about.reading, there
                        ):
                            compared.followed[ref] = entry["version_id"]["S"]
                            continue
                        compared.exact = True
                difference = _entry_difference(comparison, dataset, versions, content, ref, entry, wanted)
                if difference is not None:
                    compared.repairs.append(_Repair(difference, keys[ref], over=indexed, wanted=wanted))
        return compared

    def _note(self, comparison: Comparison, dataset: Dataset | None, found: Sequence[Difference]) -> None:
        self.comparisons.note_differences(found)
        _log.info(
            "object compared: customer=%s reindex=%s dataset=%s object=%s differences=%d",
            self.vault.customer.id,
            self.comparisons.reindex_id,
            _name(dataset),
            comparison.digest[:12],
            len(found),
        )

    def _put_right(self, repairs: Sequence[_Repair]) -> bool:
        """Write and delete entries, none that somebody else wrote meanwhile; return whether nobody did."""
        _ = self.vault.dynamodb  # made before the threads share it
        undisturbed = True
        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            for start in range(0, len(repairs), _CHUNK):
                undisturbed &= all(list(pool.map(self._repair, repairs[start : start + _CHUNK])))
        return undisturbed

    def _repair(self, repair: _Repair) -> bool:
        difference = repair.difference
        if repair.wanted is not None:
            return vault_items.put_over(self.vault, repair.wanted, repair.over)
        if difference is not None and difference.kind in _REMOVED and repair.over is not None:
            pk, sk = repair.key["pk"]["S"], repair.key["sk"]["S"]
            vault_items.delete_version(self.vault, pk, sk, repair.over)
        return True

    def _late(
        self,
        comparison: Comparison,
        dataset: Dataset,
        content: Content,
        unseen: Held | None,
    ) -> list[tuple[Version, dict[str, Late]]]:
        """Return who was erased after the upload of a version that the index did not know, by version.

        After the entries were written: whoever plans an erasure looks for entries after its tombstone. Those
        who had no entry are read from what was noted, so that an attempt that ended after it wrote the
        entries leaves none of them out.
        """
        concerned: dict[str, tuple[Version, set[str]]] = {}
        if unseen is not None:
            concerned[unseen.version.id] = (unseen.version, set(unseen.found.rows))
        for ref in self.comparisons.missing(comparison):
            if (held := content.oldest.get(ref)) is not None:
                concerned.setdefault(held.version.id, (held.version, set()))[1].add(ref)
        found = []
        for version, refs in concerned.values():
            uploaded_at = timestamps.instant(version.last_modified)
            again = partial(vault_objects.read_version, self.vault, comparison.key, version.id)
            if late := late_arrivals(self.vault, dataset, refs, uploaded_at, again):
                found.append((version, late))
        return found
