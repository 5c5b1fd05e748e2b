"""The capacity units of DynamoDB that calls use, from the sizes of the items they are about.

As the DynamoDB Developer Guide counts ("Item sizes and formats", "Capacity unit consumption"): a write unit
for each KiB of the larger of the item before and after, two in a transaction; a read unit for each 4 KiB; and
a write unit for each item that appears in, or goes from, a sparse index.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Item = Mapping[str, Any]

INDEXED: Final = "object"
"""The attribute that puts an item into the vault table's index."""


def item_size(item: Item) -> int:
    """Return the bytes of an item in DynamoDB's form, names included."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def written(before: Item | None, after: Item | None, *, transaction: bool = False) -> int:
    """Return the write units of one item's change, the index's included. None: not there."""
    size = max(item_size(before or {}), item_size(after or {}))
    units = max(1, -(-size // 1024)) * (2 if transaction else 1)
    # An entry has one key in the index for as long as it exists.
    return units + ((INDEXED in (before or {})) != (INDEXED in (after or {})))


def queried(items: Sequence[Item], *, consistent: bool) -> float:
    """Return the read units of a query: the sizes together are rounded up."""
    units = max(1, -(-sum(map(item_size, items)) // 4096))
    return units if consistent else units / 2


def read(items: Sequence[Item], asked: int) -> int:
    """Return the read units of consistent reads by key: each is rounded up, one for an item not there."""
    return sum(max(1, -(-item_size(item) // 4096)) for item in items) + asked - len(items)


def _value_size(value: Item) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return -(-len(content.strip("-")) // 2) + 1
    if kind == "B":
        return len(content)
    if kind in {"BOOL", "NULL"}:
        return 1
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in content.items())
    raise ValueError(f"no item here has an attribute of type {kind}")
