"""What a reindex writes down in the vault's table: the objects to compare, and the differences found.

One partition a reindex. An object's item is named by the SHA-256 of its key, and its differences follow it.
So a step that is repeated writes the same items again, and a part of the objects is a range of digests,
which may travel through the state machine where keys may not.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from privacy import timestamps
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

Kind = Literal[
    "missing-entry",
    "wrong-entry",
    "superfluous-entry",
    "unmarked-version",
    "unreadable-object",
    "outside-datasets",
    "vanished-object",
    "not-compared",
]
"""What differs: no entry for rows that are there; an entry of another version, count or dataset; an entry of
somebody whose rows no version holds; a current version that is not marked as indexed; a version that cannot
be read; an entry of an object outside every dataset; an entry or a mark of an object that is gone; an object
that could not be compared."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LASTING: Final[frozenset[Kind]] = frozenset({"unreadable-object", "outside-datasets", "not-compared"})
"""Kinds that a reindex reports and cannot put right."""

_COMPARE: Final = "compare#"
_AFTER_HEX: Final = "g"
_NOBODY: Final = "-"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One object of a reindex. `tries` counts how often comparing it was begun before it was done."""

    key: str
    done: bool = False
    tries: int = 0
    failure: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the key, in hex: what stands for it wherever the key must not be."""
        return hashlib.sha256(self.key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the index says otherwise than the object, without anything personal.

    `digest` is the SHA-256 of the object's key. `index_version` is the version that the index names,
    `object_version` the one that it should name. `differs` lists the attributes of a wrong entry; `error`
    says why an object could not be read or compared.
    """

    kind: Kind
    digest: str
    dataset: str | None = None
    ref: str | None = None
    index_version: str | None = None
    object_version: str | None = None
    differs: tuple[str, ...] = ()
    error: str | None = None

    def reported(self, *, repaired: bool) -> dict[str, Any]:
        """Return the difference as evidence: the beginning of the digest names the object, as elsewhere."""
        shown = {
            "kind": self.kind,
            "dataset": self.dataset,
            "object": self.digest[:12],
            "subject": self.ref,
            "index_version": self.index_version,
            "object_version": self.object_version,
            "differs": list(self.differs) or None,
            "error": self.error,
        }
        return {name: value for name, value in shown.items() if value is not None} | {"repaired": repaired}


def write(vault: Vault, reindex_id: str, keys: Iterable[str]) -> None:
    """Write down that these objects are to be compared. No key may occur twice."""
    vault_items.batch_write(
        vault,
        put=[
            {
                **_key(reindex_id, Comparison(key).digest),
                "key": {"S": key},  # not `object`: that would put the item into the index of objects
                **vault_items.backstop(),
            }
            for key in keys
        ],
    )


def between(vault: Vault, reindex_id: str, first: str, last: str) -> Iterator[Comparison]:
    """Yield the objects whose digests begin with `first` to `last` (hex), both included."""
    for item in vault_items.query(
        vault,
        vault_items.reindex_pk(reindex_id),
        first=f"{_COMPARE}{first}",
        last=f"{_COMPARE}{last}{_AFTER_HEX}",
    ):
        if "key" in item:
            yield _comparison(item)


def begin(vault: Vault, reindex_id: str, comparison: Comparison) -> None:
    """Count one more attempt at the object."""
    vault.dynamodb.update_item(
        TableName=vault.customer.table,
        Key=_key(reindex_id, comparison.digest),
        UpdateExpression="ADD tries :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def mark_done(vault: Vault, reindex_id: str, comparison: Comparison) -> None:
    """Note that the object was compared and, unless it was only to be looked at, put right."""
    _set(vault, reindex_id, comparison, "done_at", timestamps.instant(datetime.now(UTC)))


def note_failure(vault: Vault, reindex_id: str, comparison: Comparison, error: str) -> None:
    """Note the name of the error that ended an attempt at the object."""
    _set(vault, reindex_id, comparison, "failure", error)


def note_differences(vault: Vault, reindex_id: str, differences: Iterable[Difference]) -> None:
    """Keep the differences, before anything is put right: a step that is cut short then still tells them."""
    vault_items.batch_write(vault, put=[_difference_item(reindex_id, each) for each in differences])


def missing(vault: Vault, reindex_id: str, comparison: Comparison) -> Iterator[str]:
    """Yield the subjects that were found without an entry for the object, by earlier attempts too."""
    kind: Kind = "missing-entry"
    first = f"{_COMPARE}{comparison.digest}#{kind}#"
    for item in vault_items.query(vault, vault_items.reindex_pk(reindex_id), first=first):
        yield item["ref"]["S"]


def found(vault: Vault, reindex_id: str, after: str = "") -> Iterator[tuple[str, Comparison | Difference]]:
    """Yield what is behind the sort key `after`: each object, then its differences; with their sort keys."""
    for item in vault_items.query(
        vault,
        vault_items.reindex_pk(reindex_id),
        first=after or _COMPARE,
        last=f"{_COMPARE}{_AFTER_HEX}",
    ):
        sk = item["sk"]["S"]
        if sk != after:
            yield sk, _comparison(item) if "key" in item else _difference(item)


def note(vault: Vault, reindex_id: str, name: str, progress: Mapping[str, Any]) -> None:
    """Keep how far a step has come, under the step's name."""
    item: dict[str, AttributeValueTypeDef] = {
        **vault_items.key(vault_items.reindex_pk(reindex_id), name),
        "progress": {"S": json.dumps(progress, separators=(",", ":"))},
        **vault_items.backstop(),
    }
    vault_items.batch_write(vault, put=[item])


def noted(vault: Vault, reindex_id: str, name: str) -> dict[str, Any]:
    """Return how far the step had come; nothing where it has not begun."""
    for item in vault_items.query(vault, vault_items.reindex_pk(reindex_id), first=name, last=name):
        progress: dict[str, Any] = json.loads(item["progress"]["S"])
        return progress
    return {}


def clear(vault: Vault, reindex_id: str, sort_keys: Sequence[str]) -> None:
    """Remove these items of the reindex."""
    pk = vault_items.reindex_pk(reindex_id)
    vault_items.batch_write(vault, delete=[vault_items.key(pk, sk) for sk in sort_keys])


def _key(reindex_id: str, digest: str) -> "dict[str, AttributeValueTypeDef]":
    return vault_items.key(vault_items.reindex_pk(reindex_id), f"{_COMPARE}{digest}")


def _set(vault: Vault, reindex_id: str, comparison: Comparison, attribute: str, value: str) -> None:
    vault.dynamodb.update_item(
        TableName=vault.customer.table,
        Key=_key(reindex_id, comparison.digest),
        UpdateExpression="SET #attribute = :value",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":value": {"S": value}},
    )


def _comparison(item: "vault_items.Item") -> Comparison:
    return Comparison(
        key=item["key"]["S"],
        done="done_at" in item,
        tries=int(item["tries"]["N"]) if "tries" in item else 0,
        failure=item["failure"]["S"] if "failure" in item else None,
    )


def _difference_item(reindex_id: str, difference: Difference) -> "vault_items.Item":
    # An object may have several versions that cannot be read, but a subject has one entry for an object.
    which = difference.ref or difference.object_version or _NOBODY
    item = vault_items.key(
        vault_items.reindex_pk(reindex_id), f"{_COMPARE}{difference.digest}#{difference.kind}#{which}"
    )
    for name in ("dataset", "ref", "index_version", "object_version", "error"):
        value = getattr(difference, name)
        if value is not None:
            item[name] = {"S": value}
    if difference.differs:
        item["differs"] = {"S": " ".join(difference.differs)}
    return {**item, **vault_items.backstop()}


def _difference(item: "vault_items.Item") -> Difference:
    digest, kind, _ = item["sk"]["S"].removeprefix(_COMPARE).split("#", 2)
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    return Difference(
        kind=next(known for known in KINDS if known == kind),
        digest=digest,
        dataset=text.get("dataset"),
        ref=text.get("ref"),
        index_version=text.get("index_version"),
        object_version=text.get("object_version"),
        differs=tuple(text.get("differs", "").split()),
        error=text.get("error"),
    )
