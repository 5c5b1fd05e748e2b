"""What the index keeps of an object: an entry for each of its subjects, and a marker of one version.

Every item states something that stays true: where a subject's rows are in one version, which never changes,
and how another version came out of that one. So no order of events makes one wrong; one that is about another
version than is asked for is of no use, and that is all (docs/adr/0020).
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from privacy import timestamps
from privacy.customers.customer import Customer, Dataset
from privacy.formats.positions import (
    PackedWrongError,
    Position,
    Splice,
    Target,
    followed,
    moved,
    packed_splices,
    unpacked_positions,
    unpacked_splices,
)
from privacy.formats.readers import Subjects
from privacy.vault import items as vault_items
from privacy.vault.readings import reading_of
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_SPLICES_BYTES: Final = 48 * 1024
"""Most that the splices since the indexed version take: about 10,000 rows. They wait in a visit's item, which
may carry 5,000 references too, before they come to the marker. Beyond it, visits parse the file in full."""

_MOST_POSITIONS: Final = 1024 * 1024  # bytes packed, of one visit: it holds them all in memory

_READ_AT_ONCE: Final = 100
_PARALLEL: Final = 8


@dataclass(frozen=True, slots=True)
class Marker:
    """A version of an object whose subjects all have entries, and what leads from these to its rows.

    `base` is the version that the entries' positions are about, `splices` (packed) what made this version out
    of it; `base` is None where nobody knows. `head` is how much of the file its reader has to see before any
    other row; `reading` says how the file was read.
    """

    version_id: str
    base: str | None = None
    splices: bytes = b""
    head: int = 0
    reading: bytes = b""

    @classmethod
    def of(cls, customer: Customer, dataset: Dataset, version_id: str, found: Subjects) -> Self:
        """Return the marker of a version that was just read and found to hold these subjects."""
        if found.positions is None:
            return cls(version_id)
        reading = reading_of(customer, dataset)
        return cls(version_id, base=version_id, head=found.positions.head, reading=reading)

    def rewritten(self, splices: Sequence[Splice] | None, reading: bytes) -> "Marker":
        """Return the marker of the version that comes out of this one, before that has an id.

        `splices` are the rows that changed or went on the way, `reading` is how files are read now. Where
        there are no splices, or too many, or files were read otherwise before, the marker has no `base`.
        """
        nothing = Marker("")
        if splices is None or self.base is None or self.reading != reading:
            return nothing
        try:
            text = packed_splices(followed(unpacked_splices(self.splices), splices))
        except PackedWrongError:
            return nothing
        return replace(self, version_id="", splices=text) if len(text) <= MAX_SPLICES_BYTES else nothing

    def noted(self) -> dict[str, Any]:
        """Return the marker as a visit's journal keeps it."""
        packed = {name: b64encode(getattr(self, name)).decode() for name in ("splices", "reading")}
        return asdict(self) | packed

    @classmethod
    def from_note(cls, noted: Mapping[str, Any]) -> Self:
        """Return the marker that was noted."""
        packed = {name: b64decode(noted[name]) for name in ("splices", "reading")}
        return cls(**{**noted, **packed})


@dataclass(slots=True)
class Entries:
    """Some subjects' entries for one object: the version that each is about, and where rows are in it.

    `positions` are as they are kept, None where they take too much memory together.
    """

    versions: dict[str, str] = field(default_factory=dict)
    positions: dict[str, bytes] | None = field(default_factory=dict)

    def targets(self, marker: Marker, refs: Iterable[str], reading: bytes) -> list[Target] | None:
        """Return every row of the marker's version that names one of the subjects, in the order of the file.

        None where the entries do not tell: one is missing, or about another version, or without positions,
        or the file would now be read in another way.
        """
        if self.positions is None or marker.base is None or marker.reading != reading:
            return None
        found: dict[Position, tuple[str, ...]] = {}
        try:
            splices = unpacked_splices(marker.splices)
            for ref in refs:
                packed = self.positions.get(ref)
                if packed is None or self.versions[ref] != marker.base or not packed.startswith(reading):
                    return None
                for place in moved(unpacked_positions(packed[len(reading) :]), splices):
                    found[place] = (*found.get(place, ()), ref)
        except PackedWrongError:
            return None
        return [Target(place, found[place]) for place in sorted(found)]


def read_entries(vault: Vault, object_key: str, refs: Iterable[str]) -> Entries:
    """Return the subjects' entries for the object (strongly consistent). Raises TableBusyError."""
    found = Entries()
    size = 0
    ordered = sorted(refs)
    for start in range(0, len(ordered), _READ_AT_ONCE):
        for item in vault_items.batch_get(
            vault, [_key(ref, object_key) for ref in ordered[start : start + _READ_AT_ONCE]]
        ):
            ref = item["pk"]["S"].removeprefix("subject#")
            found.versions[ref] = item["version_id"]["S"]
            if found.positions is not None and "at" in item:
                found.positions[ref] = bytes(item["at"]["B"])
                size += len(found.positions[ref])
        if size > _MOST_POSITIONS:
            found.positions = None
    return found


@dataclass(frozen=True, slots=True)
class EntryAbout:
    """What the entries of one version's subjects have in common."""

    key: str
    reading: bytes
    attributes: "dict[str, AttributeValueTypeDef]"

    @classmethod
    def of(
        cls,
        customer: Customer,
        dataset: Dataset,
        *,
        key: str,
        version_id: str,
        size: int,
        uploaded_at: datetime,
    ) -> Self:
        """Return what entries of a version have in common. `size` is the object's in bytes, as it is stored.

        The entries will say that they were made now.
        """
        return cls(
            key,
            reading_of(customer, dataset),
            {
                "object": {"S": key},
                "dataset": {"S": dataset.name},
                "version_id": {"S": version_id},
                "size": {"N": str(size)},
                "uploaded_at": {"S": timestamps.instant(uploaded_at)},
                "indexed_at": {"S": timestamps.instant(datetime.now(UTC))},
            },
        )

    def key_of(self, ref: str) -> "dict[str, AttributeValueTypeDef]":
        """Return the key of a subject's entry."""
        return _key(ref, self.key)

    def entry(self, ref: str, found: Subjects) -> "dict[str, AttributeValueTypeDef]":
        """Return the entry that says: this version holds rows of this subject, who was found in it."""
        item = {**self.key_of(ref), **self.attributes}
        item["rows"] = {"N": str(found.rows[ref])}
        packed = found.positions.packed(ref) if found.positions else None
        if packed is not None:
            item["at"] = {"B": self.reading + packed}
        return item


def leads_to(entry: "vault_items.Item", marker: Marker, ref: str, found: Subjects, reading: bytes) -> bool:
    """Return whether a subject's entry and the marker together lead to all rows in the marker's version.

    `found` is what that version holds, `reading` how files are read now. False where the entry is not about
    the marker's base. Rows of the subject may have gone since the base: those that other people share.
    """
    if marker.base is None or marker.reading != reading or entry["version_id"]["S"] != marker.base:
        return False
    if "at" not in entry:  # too many rows to tell where they are
        return int(entry["rows"]["N"]) >= found.rows[ref]
    packed = bytes(entry["at"]["B"])
    try:
        before = list(unpacked_positions(packed[len(reading) :]))
        after = list(moved(before, unpacked_splices(marker.splices)))
        now = found.positions.packed(ref) if found.positions else None
        there = after if now is None else list(unpacked_positions(now))
    except PackedWrongError:
        return False
    counts = (len(before), len(after)) == (int(entry["rows"]["N"]), found.rows[ref])
    return packed.startswith(reading) and counts and after == there


def write_entries(
    vault: Vault,
    dataset: Dataset,
    *,
    key: str,
    version_id: str,
    size: int,
    uploaded_at: datetime,
    found: Subjects,
) -> None:
    """Write the entries of everybody who has rows in a version, in place of their earlier ones.

    `size` is the object's in bytes, as it is stored. Raises TableBusyError.
    """
    about = EntryAbout.of(
        vault.customer, dataset, key=key, version_id=version_id, size=size, uploaded_at=uploaded_at
    )
    vault_items.batch_write(vault, put=(about.entry(ref, found) for ref in found.rows))


def drop_entries(vault: Vault, object_key: str, versions: Mapping[str, str]) -> None:
    """Delete subjects' entries, each if it still is about the version that it was about (`versions`)."""

    def drop(ref: str) -> None:
        pk, sk = vault_items.subject_pk(ref), vault_items.object_sk(object_key)
        vault_items.delete_version(vault, pk, sk, versions[ref])

    _ = vault.dynamodb  # made before the threads share it
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        for _ in pool.map(drop, sorted(versions)):
            continue


def read_marker(vault: Vault, object_key: str) -> Marker | None:
    """Return the object's marker (strongly consistent), or None."""
    item = vault_items.get(vault, vault_items.object_pk(object_key), vault_items.INDEXED)
    if item is None:
        return None
    if "base" not in item:
        return Marker(item["version_id"]["S"])
    return Marker(
        item["version_id"]["S"],
        base=item["base"]["S"],
        splices=bytes(item["splices"]["B"]),
        head=int(item["head"]["N"]),
        reading=bytes(item["reading"]["B"]),
    )


def mark_indexed(vault: Vault, object_key: str, marker: Marker) -> None:
    """Note that the version's subjects all have entries, and were all checked against the tombstones.

    A visit relies on it: the version that it writes carries a new time, so it has to know whether somebody
    in it was erased before the upload was looked at.
    """
    vault.dynamodb.put_item(TableName=vault.customer.table, Item=marker_item(object_key, marker))


def marker_item(object_key: str, marker: Marker) -> "dict[str, AttributeValueTypeDef]":
    """Return the item in which an object's marker is kept."""
    item: dict[str, AttributeValueTypeDef] = {
        **vault_items.key(vault_items.object_pk(object_key), vault_items.INDEXED),
        "version_id": {"S": marker.version_id},
    }
    if marker.base is not None:
        item |= {
            "base": {"S": marker.base},
            "splices": {"B": marker.splices},
            "head": {"N": str(marker.head)},
            "reading": {"B": marker.reading},
        }
    return item


def _key(ref: str, object_key: str) -> "dict[str, AttributeValueTypeDef]":
    return vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(object_key))
