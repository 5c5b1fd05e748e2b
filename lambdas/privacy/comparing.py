"""One object compared with what the index says of it, and the index put right."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from privacy import comparisons, indexing, object_store, rows, vault_items
from privacy.comparisons import Comparison, Difference
from privacy.indexing import Indexer
from privacy.object_store import ObjectChangedError, StoredObject, Version
from privacy.registry import Dataset
from privacy.row_blocks import LineTooLongError
from privacy.rows import DatasetUnknownError, Subjects
from privacy.vault import Vault

if TYPE_CHECKING:
    from privacy.vault_items import Item

_log: Final = logging.getLogger("privacy")

ATTEMPTS: Final = 5
"""How often an object is compared anew because somebody else kept writing it or its entries."""

_PARALLEL: Final = 8
_CHUNK: Final = 1000  # entries read, and repairs handed out, at a time
_ARCHIVED: Final = "InvalidObjectState"


@dataclass(slots=True)
class _Held:
    """A version that was read, and whose rows it holds."""

    version: Version
    stored: StoredObject
    found: Subjects


@dataclass(slots=True)
class _Content:
    """What an object's versions hold: for each subject, the newest and the oldest version with its rows.

    `current` is the newest version, where it could be read; `unreadable` names why others could not.
    """

    newest: dict[str, _Held] = field(default_factory=dict)
    oldest: dict[str, _Held] = field(default_factory=dict)
    current: _Held | None = None
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Repair:
    """A difference, and the item that has to be there; None where there has to be none."""

    difference: Difference
    key: "Item"
    wanted: "Item | None" = None


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares objects of one reindex. With `dry_run` it looks and notes, and puts nothing right."""

    indexer: Indexer
    reindex_id: str
    dry_run: bool
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def vault(self) -> Vault:
        """The vault whose index it is."""
        return self.indexer.vault

    def compare(self, comparison: Comparison) -> None:
        """Note every difference between the object's versions and the index, and put the index right.

        Reads every version to its end and holds the subjects of all of them. An entry is right if the
        newest version that holds rows of its subject is the one it names. Somebody who was found without an
        entry and had been erased after the version was uploaded is asked to be erased again, as by the
        index function. Can be done again at any point. Raises ObjectChangedError where somebody else kept
        writing the object.
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
        listed = object_store.versions(self.vault, key)
        versions = [version for version in listed if not version.is_marker]
        dataset = self.vault.customer.dataset_of(key)
        content = _read(self.vault, dataset, key, versions) if dataset is not None else _Content()
        repairs = self._entry_differences(comparison, dataset, versions, content)
        mark = vault_items.get(self.vault, vault_items.object_pk(key), vault_items.INDEXED)
        marked = mark["version_id"]["S"] if mark else None
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
        if object_store.versions(self.vault, key) != listed:
            return False
        found = [*(repair.difference for repair in repairs), *lasting]
        self._note(comparison, dataset, found)
        if self.dry_run:
            return True
        if not self._put_right(repairs):
            return False
        unseen = content.current if marked != _id(content.current) else None
        if not self._erase_late(comparison, listed, content, unseen):
            return False
        if object_store.versions(self.vault, key) != listed:
            return False
        if content.current is None or marked == _id(content.current):
            return True
        return vault_items.put_over(self.vault, indexing.marker(key, content.current.version.id), marked)

    def _entry_differences(
        self, comparison: Comparison, dataset: Dataset | None, versions: Sequence[Version], content: _Content
    ) -> list[_Repair]:
        found: list[_Repair] = []
        known = vault_items.subjects_of(self.vault, comparison.key)
        refs = sorted({*known, *content.newest})
        at = self.clock()
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
                if held is not None and dataset is not None:
                    wanted = indexing.entry(dataset, held.stored, held.found, ref, at)
                difference = _entry_difference(comparison, dataset, versions, content, ref, entry, wanted)
                if difference is not None:
                    found.append(_Repair(difference, keys[ref], wanted))
        return found

    def _note(self, comparison: Comparison, dataset: Dataset | None, found: Sequence[Difference]) -> None:
        comparisons.note_differences(self.vault, self.reindex_id, found)
        _log.info(
            "object compared: customer=%s reindex=%s dataset=%s object=%s differences=%d",
            self.vault.customer.id,
            self.reindex_id,
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
            return vault_items.put_over(self.vault, repair.wanted, difference.index_version)
        if difference.kind in {"superfluous-entry", "vanished-object"} and difference.index_version:
            pk, sk = repair.key["pk"]["S"], repair.key["sk"]["S"]
            vault_items.delete_version(self.vault, pk, sk, difference.index_version)
        return True

    def _erase_late(
        self, comparison: Comparison, listed: Sequence[Version], content: _Content, unseen: _Held | None
    ) -> bool:
        """Look for who was erased after the upload of a version that the index did not know.

        After the entries were written: whoever plans an erasure looks for entries after its tombstone. Those
        who had no entry are read from what was noted, so that an attempt that ended after it wrote the
        entries leaves none of them out. Returns False where a version was removed meanwhile.
        """
        concerned: dict[str, tuple[Version, set[str]]] = {}
        if unseen is not None:
            concerned[unseen.version.id] = (unseen.version, set(unseen.found.rows))
        for ref in comparisons.missing(self.vault, self.reindex_id, comparison):
            if (held := content.oldest.get(ref)) is not None:
                concerned.setdefault(held.version.id, (held.version, set()))[1].add(ref)
        for version, refs in concerned.values():
            uploaded_at = vault_items.instant(version.last_modified)
            late = vault_items.erased_since(self.vault, refs, uploaded_at)
            if late:
                if object_store.versions(self.vault, comparison.key) != listed:
                    return False
                self.indexer.erase_late(comparison.key, version.id, version.last_modified, late)
        return True


def _read(vault: Vault, dataset: Dataset, key: str, versions: Iterable[Version]) -> _Content:
    """Read the versions, newest first. Raises ObjectChangedError where one is gone meanwhile."""
    content = _Content()
    for number, version in enumerate(versions):
        try:
            if dataset.format == "object":
                stored = object_store.describe_version(vault, key, version.id)
            else:
                stored = object_store.read_version(vault, key, version.id)
            if stored is None:
                raise ObjectChangedError
            found = rows.subjects(vault, dataset, stored)
        except (ClientError, DatasetUnknownError, LineTooLongError) as error:
            content.unreadable[version.id] = _reason(error)
            continue
        held = _Held(version, stored, found)
        if number == 0:
            content.current = held
        content.oldest.update(dict.fromkeys(found.rows, held))
        for ref in found.rows:
            content.newest.setdefault(ref, held)
    return content


def _reason(error: Exception) -> str:
    """Return why a version cannot be read; raise what may be different the next time."""
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code != _ARCHIVED:
            raise error
        return code
    return type(error).__name__


def _entry_difference(
    comparison: Comparison,
    dataset: Dataset | None,
    versions: Sequence[Version],
    content: _Content,
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
    names = (entry.keys() | wanted.keys()) - {"indexed_at"}
    differs = tuple(sorted(name for name in names if entry.get(name) != wanted.get(name)))
    return Difference("wrong-entry", *base, differs) if differs else None


def _mark_difference(
    comparison: Comparison,
    dataset: Dataset | None,
    versions: Sequence[Version],
    content: _Content,
    marked: str | None,
) -> _Repair | None:
    """Return what is wrong with the mark of the indexed version, which has to be the newest one."""
    key = vault_items.key(vault_items.object_pk(comparison.key), vault_items.INDEXED)
    if not versions:
        if marked is None:
            return None
        gone = Difference("vanished-object", comparison.digest, _name(dataset), index_version=marked)
        return _Repair(gone, key)
    if content.current is None or marked == content.current.version.id:
        return None
    unmarked = Difference(
        "unmarked-version",
        comparison.digest,
        _name(dataset),
        index_version=marked,
        object_version=content.current.version.id,
    )
    return _Repair(unmarked, key)  # marked at the very end, when late arrivals were looked for


def _id(held: _Held | None) -> str | None:
    return held.version.id if held is not None else None


def _name(dataset: Dataset | None) -> str | None:
    return dataset.name if dataset is not None else None
