"""How far an export has come, and the note of it in the vault: the place names records and objects.

A call that goes on with an export reads the note, and writes it anew after each part. Two calls may be at it
at the same time; a revision tells the one that comes second that it has been overtaken.
"""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from privacy.aws.conditions import ConditionMayFail
from privacy.timestamps import timestamp
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_WALK: Final = "walk"


@dataclass(slots=True)
class Walk:
    """How far an export has come: first through the table, then through the bucket.

    `entry` is DynamoDB's marker of the next page, `key` and `version` are S3's; `scanned` is set when the
    table is done. `began` is when the first part was begun: from then on S3 counts the days of its life.
    """

    began: str
    entry: "dict[str, AttributeValueTypeDef] | None" = None
    scanned: bool = False
    key: str | None = None
    version: str | None = None
    done: bool = False
    records: int = 0
    files: int = 0
    size: int = 0
    parts: list[list[Any]] = field(default_factory=list)


def read(vault: Vault, export_id: str) -> tuple[Walk, str]:
    """Return how far the export has come, and the note's revision.

    Where nothing is noted yet, a walk that begins now, and the empty text.
    """
    item = vault_items.get(vault, _pk(export_id), _WALK)
    if item is None:
        return Walk(began=timestamp(datetime.now(UTC))), ""
    return Walk(**json.loads(item["walk"]["S"])), item["revision"]["S"]


def note(vault: Vault, export_id: str, walk: Walk, seen: str) -> str | None:
    """Note how far the export has come; return the note's new revision.

    Returns None, and notes nothing, where another call has noted something meanwhile. `seen` is the revision
    that this call has read or written last, empty where nothing was noted yet.
    """
    revision = secrets.token_hex(8)
    before = "revision = :seen" if seen else "attribute_not_exists(sk)"
    with ConditionMayFail():
        vault.dynamodb.put_item(
            TableName=vault.customer.table,
            Item={
                **vault_items.key(_pk(export_id), _WALK),
                "walk": {"S": json.dumps(asdict(walk), ensure_ascii=False, separators=(",", ":"))},
                "revision": {"S": revision},
                **vault_items.backstop(),
            },
            # The last part for a call that is made again because its answer was lost.
            ConditionExpression=f"{before} OR revision = :mine",
            ExpressionAttributeValues={":mine": {"S": revision}, **({":seen": {"S": seen}} if seen else {})},
        )
        return revision
    return None


def forget(vault: Vault, export_id: str) -> None:
    """Remove the note; harmless where there is none."""
    vault.dynamodb.delete_item(TableName=vault.customer.table, Key=vault_items.key(_pk(export_id), _WALK))


def _pk(export_id: str) -> str:
    return f"export#{export_id}"
