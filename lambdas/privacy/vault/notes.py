"""Notes of files that nobody can attribute, or not all of: one a key, about one version of it.

Where the version is the current one, every answer counts it. Where another version or a delete marker has
taken its place (`superseded`), every erasure visits the key and purges what lies behind. A vault's notes lie
in one partition, under digests: their order tells nothing of the keys, and a cursor that names one is no
key.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from privacy.unattributed import OUTSIDE, PARTS, REASONS, Unattributed
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from privacy.vault.items import Item

PK: Final = "unattributed"
"""The partition of all notes."""


@dataclass(frozen=True, slots=True)
class Note:
    """What of one version of a file could not be attributed.

    `size` is the object's in bytes, as it is stored, and `noted_at` when it was looked at. `superseded` says
    that the version is not the current one any more.
    """

    key: str
    version_id: str
    what: Unattributed
    size: int
    noted_at: str
    superseded: bool = False

    @property
    def is_to_visit(self) -> bool:
        """Whether every erasure has to visit the key: to purge, to have S3 bring the file back, or to take
        out values that no row has."""
        # Out of what is damaged, or was not proven, nobody can take them.
        takes_out = self.what.unused and self.what.reason != "damaged" and not self._is_stuck
        return self.superseded or takes_out or self.what.reason == "archived"

    @property
    def is_to_mend(self) -> bool:
        """Whether the file needs somebody: not where it was replaced, or the next erasure does it all."""
        return not self.superseded and (self.what.reason != "unused-values" or self._is_stuck)

    @property
    def _is_stuck(self) -> bool:
        """Whether an erasure has tried in vain to take out the values that no row has; `detail` says why."""
        return self.what.reason == "unused-values" and self.what.detail is not None

    @property
    def is_counted(self) -> bool:
        """Whether every answer counts the file. Otherwise its visit tells what is to be told."""
        return self.is_to_mend and self.what.reason != "archived"

    def item(self) -> "Item":
        """Return the note as the table keeps it."""
        what = self.what
        # Not `object`: that attribute would put the note into the index of objects.
        item: dict[str, AttributeValueTypeDef] = {
            **vault_items.key(PK, sk_of(self.key)),
            "key": {"S": self.key},
            "version_id": {"S": self.version_id},
            "reason": {"S": what.reason},
            "part": {"S": what.part},
            "size": {"N": str(self.size)},
            "noted_at": {"S": self.noted_at},
        }
        if what.detail is not None:
            item["detail"] = {"S": what.detail}
        if what.rows is not None:
            item["rows"] = {"N": str(what.rows)}
        if what.line is not None:
            item["line"] = {"N": str(what.line)}
        if what.unused:
            item["unused"] = {"BOOL": True}
        if self.superseded:
            item["superseded"] = {"BOOL": True}
        return item

    @classmethod
    def of_item(cls, item: "Item") -> Self:
        """Return the note that the item keeps. A reason or part that a later release gave is read as the
        gravest."""
        what = Unattributed(
            reason=next((known for known in REASONS if known == item["reason"]["S"]), "damaged"),
            part=next((known for known in PARTS if known == item["part"]["S"]), "all"),
            detail=item["detail"]["S"] if "detail" in item else None,
            rows=int(item["rows"]["N"]) if "rows" in item else None,
            line=int(item["line"]["N"]) if "line" in item else None,
            unused="unused" in item,
        )
        return cls(
            item["key"]["S"],
            item["version_id"]["S"],
            what,
            size=int(item["size"]["N"]),
            noted_at=item["noted_at"]["S"],
            superseded="superseded" in item,
        )


def sk_of(key: str) -> str:
    """Return the sort key of the note about a file: the SHA-256 of its key, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def read(vault: Vault, key: str) -> Note | None:
    """Return the note about the file (strongly consistent), or None."""
    item = vault_items.get(vault, PK, sk_of(key))
    return Note.of_item(item) if item is not None else None


def put(vault: Vault, note: Note) -> None:
    """Write the note, in place of one about another version."""
    vault.dynamodb.put_item(TableName=vault.customer.table, Item=note.item())


def put_over(vault: Vault, note: Note, version_id: str | None) -> bool:
    """Write the note over the one about this version (None: where there is none); return whether it was
    there."""
    return vault_items.put_over(vault, note.item(), version_id)


def supersede(vault: Vault, note: Note, *, superseded: bool) -> None:
    """Say whether another version or a delete marker has taken the place of the one that the note is
    about."""
    if note.superseded != superseded:
        put_over(vault, replace(note, superseded=superseded), note.version_id)


def forget(vault: Vault, key: str, version_id: str) -> None:
    """Remove the note if it is about this version: it was attributed after all, or is gone."""
    vault_items.delete_version(vault, PK, sk_of(key), version_id)


def all_notes(vault: Vault, after: str = "") -> Iterator[Note]:
    """Yield the vault's notes (strongly consistent) in the order of their digests, from behind `after` on."""
    for item in vault_items.query(vault, PK, first=after or "0", last="g"):  # digests are in hex
        if item["sk"]["S"] != after:
            yield Note.of_item(item)


def counted(vault: Vault) -> Counter[str | None]:
    """Return how many files every answer has to count, by their dataset's name; None: outside every dataset.

    Reads one partition, a page in memory at a time. Files that are visited anyway tell of themselves: those
    that are archived or replaced, and those of datasets that are scanned.
    """
    found: Counter[str | None] = Counter()
    for note in all_notes(vault):
        dataset = vault.customer.dataset_of(note.key)
        if note.is_counted and (dataset is None or dataset.index != "scan"):
            found[dataset.name if dataset is not None else None] += 1
    return found


@dataclass(frozen=True, slots=True)
class Survey:
    """What a plan has to know of the notes.

    `to_visit` are the keys that every erasure has to visit, by the name of their dataset; `outside` the
    objects that are noted because they lie outside every dataset, and still do: the version that was seen,
    by key. `stale` are the keys of those below scanned datasets, which have no notes.
    """

    to_visit: dict[str, list[str]] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)


def survey(vault: Vault) -> Survey:
    """Return what a plan has to know of the notes, in one look through them."""
    found = Survey()
    for note in all_notes(vault):
        dataset = vault.customer.dataset_of(note.key)
        if dataset is None and note.what == OUTSIDE:
            found.outside[note.key] = note.version_id
        elif dataset is not None and dataset.index == "scan":
            found.stale.append(note.key)
        elif dataset is not None and note.is_to_visit:
            found.to_visit.setdefault(dataset.name, []).append(note.key)
    return found


def write(vault: Vault, notes: Iterable[Note]) -> None:
    """Write notes, in place of those about other versions. No key may occur twice. Raises TableBusyError."""
    vault_items.batch_write(vault, put=(note.item() for note in notes))


def remove(vault: Vault, keys: Iterable[str]) -> None:
    """Remove the notes of these keys. Raises TableBusyError."""
    vault_items.batch_write(vault, delete=(vault_items.key(PK, sk_of(key)) for key in keys))
