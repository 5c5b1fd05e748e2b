"""What a reindex writes down in the vault's table: the objects to compare, and the differences found.

One partition a reindex. An object's item is named by the SHA-256 of its key, and its differences follow it.
So a step that is repeated writes the same items again, and a part of the objects is a range of digests,
which may travel through the state machine where keys may not.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from privacy import timestamps
from privacy.aws.conditions import ConditionMayFail
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from privacy.vault.items import Item

Kind = Literal[
    "missing-entry",
    "wrong-entry",
    "superfluous-entry",
    "unmarked-version",
    "unreadable-object",
    "outside-datasets",
    "vanished-object",
    "missing-note",
    "stale-note",
    "not-compared",
]
"""What differs: no entry for rows that are there; an entry of another version, count or dataset; an entry of
somebody whose rows no version holds; a current version that is not marked as indexed; a version that cannot
be read; an entry of an object outside every dataset; an entry or a mark of an object that is gone; no note
of a file that nobody can attribute, or a note of one that is gone, or mended, or cannot be attributed for
another reason; an object that could not be compared."""

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


@dataclass(frozen=True, slots=True)
class Comparisons:
    """What one reindex has to compare and has found, kept in the table of the customer's vault.

    AWS errors are raised. What writes several items raises TableBusyError.
    """

    vault: Vault
    reindex_id: str

    def write(self, keys: Iterable[str]) -> None:
        """Write down that these objects are to be compared. No key may occur twice."""
        vault_items.batch_write(
            self.vault,
            put=[
                {
                    **self._object_key(Comparison(key)),
                    "key": {"S": key},  # not `object`: that would put the item into the index of objects
                    **vault_items.backstop(),
                }
                for key in keys
            ],
        )

    def between(self, first: str, last: str) -> Iterator[Comparison]:
        """Yield the objects whose digests begin with `first` to `last` (hex), both included."""
        last = f"{_COMPARE}{last}{_AFTER_HEX}"
        for item in vault_items.query(self.vault, self._pk, first=f"{_COMPARE}{first}", last=last):
            if "key" in item:
                yield _comparison(item)

    def begin(self, comparison: Comparison) -> None:
        """Count one more attempt at the object."""
        self._update(comparison, "ADD #attribute :value", "tries", {"N": "1"})

    def mark_done(self, comparison: Comparison) -> None:
        """Note that the object was compared and, unless it was only to be looked at, put right."""
        self._set(comparison, "done_at", timestamps.instant(datetime.now(UTC)))

    def note_failure(self, comparison: Comparison, error: str) -> None:
        """Note the name of the error that ended an attempt at the object."""
        self._set(comparison, "failure", error)

    def note_differences(self, differences: Iterable[Difference]) -> None:
        """Keep the differences. Before anything is put right: a step that is cut short still tells them."""
        vault_items.batch_write(
            self.vault,
            put=[{**self._key(_difference_sk(each)), **_difference_item(each)} for each in differences],
        )

    def missing(self, comparison: Comparison) -> Iterator[str]:
        """Yield the subjects that were found without an entry for the object, by earlier attempts too."""
        kind: Kind = "missing-entry"
        first = f"{_COMPARE}{comparison.digest}#{kind}#"
        for item in vault_items.query(self.vault, self._pk, first=first):
            yield item["ref"]["S"]

    def found(self, after: str = "") -> Iterator[tuple[str, Comparison | Difference]]:
        """Yield what lies behind the sort key `after`, with sort keys: each object, then its differences."""
        for item in vault_items.query(
            self.vault, self._pk, first=after or _COMPARE, last=f"{_COMPARE}{_AFTER_HEX}"
        ):
            sk = item["sk"]["S"]
            if sk != after:
                yield sk, _comparison(item) if "key" in item else _difference(item)

    def note_progress(self, step: str, progress: Mapping[str, Any]) -> None:
        """Keep how far a step has come, under the step's name."""
        item: Item = {
            **self._key(step),
            "progress": {"S": json.dumps(progress, separators=(",", ":"))},
            **vault_items.backstop(),
        }
        vault_items.batch_write(self.vault, put=[item])

    def progress(self, step: str) -> dict[str, Any]:
        """Return how far the step had come; nothing where it has not begun."""
        for item in vault_items.query(self.vault, self._pk, first=step, last=step):
            progress: dict[str, Any] = json.loads(item["progress"]["S"])
            return progress
        return {}

    def sort_keys(self) -> Iterator[str]:
        """Yield the sort key of everything that is kept for the reindex."""
        for item in vault_items.query(self.vault, self._pk):
            yield item["sk"]["S"]

    def remove(self, sort_keys: Iterable[str]) -> None:
        """Remove these items of the reindex."""
        vault_items.batch_write(self.vault, delete=[self._key(sk) for sk in sort_keys])

    def _set(self, comparison: Comparison, attribute: str, value: str) -> None:
        self._update(comparison, "SET #attribute = :value", attribute, {"S": value})

    def _update(
        self, comparison: Comparison, update: str, attribute: str, value: "AttributeValueTypeDef"
    ) -> None:
        # Where the reindex is over, its items are gone.
        with ConditionMayFail():
            self.vault.dynamodb.update_item(
                TableName=self.vault.customer.table,
                Key=self._object_key(comparison),
                UpdateExpression=update,
                ConditionExpression="attribute_exists(sk)",
                ExpressionAttributeNames={"#attribute": attribute},
                ExpressionAttributeValues={":value": value},
            )

    @property
    def _pk(self) -> str:
        return vault_items.reindex_pk(self.reindex_id)

    def _key(self, sk: str) -> "dict[str, AttributeValueTypeDef]":
        return vault_items.key(self._pk, sk)

    def _object_key(self, comparison: Comparison) -> "dict[str, AttributeValueTypeDef]":
        return self._key(f"{_COMPARE}{comparison.digest}")


def _comparison(item: "Item") -> Comparison:
    return Comparison(
        key=item["key"]["S"],
        done="done_at" in item,
        tries=int(item["tries"]["N"]) if "tries" in item else 0,
        failure=item["failure"]["S"] if "failure" in item else None,
    )


def _difference_sk(difference: Difference) -> str:
    # An object may have several versions that cannot be read, but a subject has one entry for an object.
    which = difference.ref or difference.object_version or _NOBODY
    return f"{_COMPARE}{difference.digest}#{difference.kind}#{which}"


def _difference_item(difference: Difference) -> "Item":
    item: dict[str, AttributeValueTypeDef] = {}
    for name in ("dataset", "ref", "index_version", "object_version", "error"):
        value = getattr(difference, name)
        if value is not None:
            item[name] = {"S": value}
    if difference.differs:
        item["differs"] = {"S": " ".join(difference.differs)}
    return {**item, **vault_items.backstop()}


def _difference(item: "Item") -> Difference:
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
