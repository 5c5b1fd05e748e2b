"""The plan of a reindex: every object that lies below a dataset's prefix, or that the index knows."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from privacy.aws.executions import BATCH_VISITS, MAX_BATCHES
from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.reindex.items import Comparisons
from privacy.vault import items as vault_items
from privacy.vault import notes as vault_notes
from privacy.vault import readings
from privacy.vault.sessions import Vault
from privacy.vault.strays import strays

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_log: Final = logging.getLogger("privacy")

READINGS: Final = "readings"
"""Step under whose name it is kept how files were read when the reindex began."""

_WALK: Final = "walk"
_PAGE: Final = 1000  # objects written down between two looks at the clock
_DIGESTS: Final = 16**4  # ranges are told apart by the first four hex digits of a digest


@dataclass(slots=True)
class _Walk:
    """How far the walk has come: first through the bucket, prefix by prefix, then through the index.

    `prefix` is the one that is being listed and None when all are; `key` and `version` are S3's markers of
    the next page, `entry` is DynamoDB's. `last` is the key seen last, which may go on over several pages.
    Then come the objects outside every dataset, and the notes of files that nobody can attribute: `after` is
    the key, or the digest, of the one seen last.
    """

    prefix: str | None = ""
    key: str | None = None
    version: str | None = None
    entry: "dict[str, AttributeValueTypeDef] | None" = None
    last: str | None = None
    objects: int = 0
    indexed: int = 0
    stage: str = "objects"
    after: str = ""
    done: bool = False


def plan_reindex(vault: Vault, reindex_id: str, remaining: Callable[[], int]) -> int | None:
    """Write down every object to compare; return about how many there are, None where time was too short.

    Called again it goes on where it stopped. `remaining` tells the milliseconds left. Holds one page of a
    listing in memory. The objects are those of the bucket's listing, also outside every dataset, and those
    that have entries or a note: one whose object is gone is found that way. Files that are scanned have no
    index, and are left out. An object that is uploaded behind the walk is left to its event.
    """
    comparisons = Comparisons(vault, reindex_id)
    walk = _Walk(**comparisons.progress(_WALK))
    if not comparisons.progress(READINGS):
        comparisons.note_progress(READINGS, readings.current_readings(vault.customer))
    while not walk.done:
        if remaining() < RESERVE_MILLISECONDS:
            return None
        if walk.stage == "outside":
            _walk_outside(comparisons, walk, remaining)
        elif walk.stage == "notes":
            _walk_notes(comparisons, walk)
        elif walk.prefix is not None:
            _walk_bucket(comparisons, walk)
        else:
            _walk_index(comparisons, walk)
        comparisons.note_progress(_WALK, asdict(walk))
    _log.info(
        "reindex planned: customer=%s reindex=%s objects=%d indexed=%d",
        vault.customer.id,
        reindex_id,
        walk.objects,
        walk.indexed,
    )
    return max(walk.objects, walk.indexed)


def batches(objects: int) -> list[dict[str, str]]:
    """Cut the objects into ranges of digests, about 100 objects each, at most 5,000; `last` is included."""
    number = min(-(-objects // BATCH_VISITS), MAX_BATCHES)
    starts = [n * _DIGESTS // number for n in range(number)]
    ends = [*starts, _DIGESTS][1:]
    return [
        {"first": f"{start:04x}", "last": f"{end - 1:04x}"} for start, end in zip(starts, ends, strict=True)
    ]


def _walk_bucket(comparisons: Comparisons, walk: _Walk) -> None:
    """Take one page of the bucket's listing."""
    vault = comparisons.vault
    datasets = [dataset for dataset in vault.customer.datasets if dataset.index != "scan"]
    prefixes = sorted(dataset.prefix for dataset in datasets if dataset.prefix)
    walk.prefix = next((prefix for prefix in prefixes if prefix >= (walk.prefix or "")), None)
    if walk.prefix is None:
        walk.last = None
        return
    after: Any = {}
    if walk.key is not None:
        after = {"KeyMarker": walk.key, "VersionIdMarker": walk.version}
    page = vault.s3.list_object_versions(Bucket=vault.customer.bucket, Prefix=walk.prefix, **after)
    walk.objects += _write(comparisons, walk, (version["Key"] for version in page.get("Versions", [])))
    walk.key, walk.version = page.get("NextKeyMarker"), page.get("NextVersionIdMarker")
    if not page["IsTruncated"]:
        walk.key = walk.version = walk.last = None
        walk.prefix = next((prefix for prefix in prefixes if prefix > walk.prefix), None)


def _walk_index(comparisons: Comparisons, walk: _Walk) -> None:
    """Take one page of the index of objects, where the entries of one object stand together."""
    vault = comparisons.vault
    after: Any = {"ExclusiveStartKey": walk.entry} if walk.entry else {}
    page = vault.dynamodb.scan(
        TableName=vault.customer.table,
        IndexName=vault_items.OBJECTS_INDEX,
        ProjectionExpression="#object",
        ExpressionAttributeNames={"#object": "object"},
        **after,
    )
    walk.indexed += _write(comparisons, walk, (item["object"]["S"] for item in page["Items"]))
    walk.entry = page.get("LastEvaluatedKey")
    if walk.entry is None:
        walk.stage, walk.last = "outside", None


def _walk_outside(comparisons: Comparisons, walk: _Walk, remaining: Callable[[], int]) -> None:
    """Take the objects outside every dataset, as many as the time suffices for."""
    keys = (stray.key for stray in strays(comparisons.vault) if stray.key > walk.after)
    while page := list(islice(keys, _PAGE)):
        walk.objects += _write(comparisons, walk, page)
        walk.after = page[-1]
        if remaining() < RESERVE_MILLISECONDS:
            return
    walk.stage, walk.after, walk.last = "notes", "", None


def _walk_notes(comparisons: Comparisons, walk: _Walk) -> None:
    """Take some of the files that have notes: one whose object is gone is found that way."""
    keys = [note.key for note in islice(vault_notes.all_notes(comparisons.vault, walk.after), _PAGE)]
    walk.objects += _write(comparisons, walk, keys)
    walk.after = vault_notes.sk_of(keys[-1]) if keys else ""
    walk.done = len(keys) < _PAGE


def _write(comparisons: Comparisons, walk: _Walk, page: Iterable[str]) -> int:
    """Write down the objects of a page that were not on the one before; return how many they are."""
    keys = dict.fromkeys(page)
    if walk.last is not None:
        keys.pop(walk.last, None)
    walk.last = next(reversed(keys), walk.last)
    compared = [key for key in keys if not _scanned(comparisons.vault, key)]
    comparisons.write(compared)
    return len(compared)


def _scanned(vault: Vault, key: str) -> bool:
    dataset = vault.customer.dataset_of(key)
    return dataset is not None and dataset.index == "scan"
