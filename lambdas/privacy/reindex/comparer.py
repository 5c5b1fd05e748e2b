"""One object compared with what the index says of it, and the index put right."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from privacy import timestamps
from privacy.customers.customer import Dataset
from privacy.index import entries as index_entries
from privacy.index.entries import Marker
from privacy.index.indexer import Indexer
from privacy.index.late_arrivals import Late, late_arrivals
from privacy.index.notes import tell
from privacy.reindex.content import Content, read_content
from privacy.reindex.differences import (
    EntriesCompared,
    Observed,
    Repair,
    marker_difference,
    unreadable_versions,
    wanted_marker,
)
from privacy.reindex.items import Comparison, Comparisons, Difference
from privacy.reindex.notes import note_difference
from privacy.vault import items as vault_items
from privacy.vault import notes as vault_notes
from privacy.vault import objects as vault_objects
from privacy.vault import readings
from privacy.vault.notes import Note
from privacy.vault.objects import ObjectChangedError, Version
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")

ATTEMPTS: Final = 5
"""How often an object is compared anew because somebody else kept writing it or its entries."""

_PARALLEL: Final = 8
_CHUNK: Final = 1000  # entries read, and repairs handed out, at a time
_REMOVED: Final = {"superfluous-entry", "vanished-object", "stale-note"}
"""Kinds of difference that deleting the item puts right."""


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
        """Compare once; return False where somebody wrote the object or its entries meanwhile."""
        observed = self._observed(comparison)
        if observed.dataset is not None and observed.dataset.index == "scan":
            return True
        compared = self._compare_entries(observed)
        if (repair := marker_difference(observed)) is not None:
            compared.repairs.append(repair)
        note = vault_notes.read(self.vault, comparison.key)
        if (repair := note_difference(observed, note, self._looked_into(compared))) is not None:
            compared.repairs.append(repair)
        # Listed again after the entries were read: an entry of a version that was not listed before is
        # about one that is gone, or the listing has changed.
        if self._has_changed(observed):
            return False
        self._note(compared)
        return self.dry_run or self._put_right(compared)

    def _observed(self, comparison: Comparison) -> Observed:
        """List and read the object's versions, and read its marker. Scanned files are only listed."""
        vault, key = self.vault, comparison.key
        listed = vault_objects.versions(vault, key)
        dataset = vault.customer.dataset_of(key)
        if dataset is not None and dataset.index == "scan":
            return Observed(vault.customer, comparison, dataset, listed, Content(), None)
        content = Content()
        if dataset is not None:
            content = read_content(vault, dataset, key, [v for v in listed if not v.is_marker])
        marker = index_entries.read_marker(vault, key)
        return Observed(vault.customer, comparison, dataset, listed, content, marker)

    def _looked_into(self, compared: EntriesCompared) -> set[str | None]:
        """Return the versions into which somebody looked as files are read now, before they were archived.

        Of others nobody knows what a release of before had no notes for.
        """
        observed = compared.observed
        marker, dataset = observed.marker, observed.dataset
        if dataset is None or not observed.content.archived:
            return set()
        if readings.is_relied_on(self.vault, dataset):
            return {*compared.indexed, observed.marked}
        is_read_so = marker is not None and marker.reading == readings.reading_of(observed.customer, dataset)
        return {observed.marked} if is_read_so else set()

    def _has_changed(self, observed: Observed) -> bool:
        """Return whether the object has other versions by now than were listed."""
        return vault_objects.versions(self.vault, observed.comparison.key) != observed.listed

    def _compare_entries(self, observed: Observed) -> EntriesCompared:
        """Read the entries of everybody who has one for the object or should have one, and compare them."""
        compared = EntriesCompared(observed)
        object_key = observed.comparison.key
        known = vault_items.subjects_of(self.vault, object_key)
        refs = sorted({*known, *observed.content.newest})
        sk = vault_items.object_sk(object_key)
        for start in range(0, len(refs), _CHUNK):
            keys = {
                ref: vault_items.key(vault_items.subject_pk(ref), sk) for ref in refs[start : start + _CHUNK]
            }
            entries = {
                item["pk"]["S"].removeprefix("subject#"): item
                for item in vault_items.batch_get(self.vault, list(keys.values()))
            }
            for ref, key in keys.items():
                compared.take(ref, key, entries.get(ref))
        return compared

    def _note(self, compared: EntriesCompared) -> None:
        """Write the differences down for the report."""
        observed = compared.observed
        found: list[Difference] = [
            *(repair.difference for repair in compared.repairs if repair.difference is not None),
            *unreadable_versions(observed),
        ]
        self.comparisons.note_differences(found)
        _log.info(
            "object compared: customer=%s reindex=%s dataset=%s object=%s differences=%d",
            self.vault.customer.id,
            self.comparisons.reindex_id,
            observed.name,
            observed.comparison.digest[:12],
            len(found),
        )

    def _put_right(self, compared: EntriesCompared) -> bool:
        """Write entries and marker as they have to be; return False where others wrote them meanwhile."""
        wanted = wanted_marker(compared)
        repairs = compared.repairs
        if wanted is not None:
            repairs = [*repairs, *compared.rebased()]
        return self._write(repairs) and self._mark(compared.observed, wanted)

    def _write(self, repairs: Sequence[Repair]) -> bool:
        """Write and delete entries, none that somebody else wrote meanwhile; return whether nobody did."""
        _ = self.vault.dynamodb  # made before the threads share it
        undisturbed = True
        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            for start in range(0, len(repairs), _CHUNK):
                undisturbed &= all(list(pool.map(self._repair, repairs[start : start + _CHUNK])))
        return undisturbed

    def _repair(self, repair: Repair) -> bool:
        """Write or delete one item; return False where somebody else wrote it meanwhile."""
        difference = repair.difference
        if repair.wanted is not None:
            was_put = vault_items.put_over(self.vault, repair.wanted, repair.over)
            if was_put and difference is not None and difference.kind == "missing-note":
                tell(self.vault.customer, Note.of_item(repair.wanted))
            return was_put
        if difference is not None and difference.kind in _REMOVED and repair.over is not None:
            pk, sk = repair.key["pk"]["S"], repair.key["sk"]["S"]
            vault_items.delete_version(self.vault, pk, sk, repair.over)
        return True

    def _mark(self, observed: Observed, wanted: Marker | None) -> bool:
        """Ask for the erasure of late arrivals and write the marker.

        Return False where others wrote the object or the marker meanwhile. As by the index function: before
        whoever was erased is gone, no version may pass for looked into.
        """
        key, marked = observed.comparison.key, observed.marked
        late = self._late(observed, observed.dataset) if observed.dataset is not None else []
        current = observed.content.current_id
        # Of an older version nothing is written: whoever is late there does not touch the current one's mark.
        unsettled = any(
            arrival.whole
            for version, arrivals in late
            if current in {None, version.id}
            for arrival in arrivals.values()
        )
        if unsettled and marked is not None:
            pk = vault_items.object_pk(key)
            vault_items.delete_version(self.vault, pk, vault_items.INDEXED, marked)
        if self._has_changed(observed):
            return False
        for version, arrivals in late:
            self.indexer.erase_late(key, version.id, version.last_modified, arrivals)
        if wanted is None or unsettled:
            return True
        return vault_items.put_over(self.vault, index_entries.marker_item(key, wanted), marked)

    def _late(self, observed: Observed, dataset: Dataset) -> list[tuple[Version, dict[str, Late]]]:
        """Return each version that the index did not know, with those who were erased since it was uploaded.

        Called after the entries were written: whoever plans an erasure looks for entries after its tombstone.
        Those who had no entry are read from what was noted, so that an attempt that ended after it wrote the
        entries leaves none of them out.
        """
        comparison, content = observed.comparison, observed.content
        concerned: dict[str, tuple[Version, set[str]]] = {}
        if content.current is not None and observed.marked != content.current_id:
            unseen = content.current
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
