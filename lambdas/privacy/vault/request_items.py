"""What waits in the vault for a request: the request table may know nothing of it.

At most one item a request, in the partition `request#<id>`, named by its kind: the changes of a correction,
the object that a follow-up is about, or whom a request after a restoration erases again. Only this module
knows the shapes of the three.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from privacy.aws.conditions import ConditionMayFail
from privacy.vault.items import backstop, batch_write, get, key, request_pk
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from privacy.vault.items import Item

Kind = Literal["changes", "late", "replay"]

CHANGES: Final = "changes"
FOLLOW_UP: Final = "late"
REPLAY: Final = "replay"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What is erased again from one object, because it came after the erasure that the request follows.

    From the object with this key go the rows whose own time is not after `erased_at`. With `whole` all of the
    subject's rows go from a version that was uploaded by then.
    """

    key: str
    erased_at: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Subjects who were erased by one request at one instant, and are erased again after a restoration."""

    request: str
    erased_at: str
    subjects: tuple[str, ...]


def put_changes(vault: Vault, request_id: str, changes: str) -> None:
    """Keep a correction's changes, a list in JSON, as they were asked for."""
    item: Item = {**_key(request_id, CHANGES), "changes": {"S": changes}, **backstop()}
    # Not as a batch: the role that takes requests in may put single items alone.
    vault.dynamodb.put_item(TableName=vault.customer.table, Item=item)


def put_follow_up(vault: Vault, request_id: str, follow_up: FollowUp) -> None:
    """Keep what a follow-up is about. Raises TableBusyError."""
    item: Item = {
        **_key(request_id, FOLLOW_UP),
        "key": {"S": follow_up.key},
        "erased_at": {"S": follow_up.erased_at},
        "whole": {"BOOL": follow_up.whole},
        **backstop(),
    }
    batch_write(vault, put=[item])


def put_groups(vault: Vault, request_id: str, groups: Sequence[Group]) -> None:
    """Keep whom a request after a restoration erases again. Raises TableBusyError."""
    item: Item = {**_key(request_id, REPLAY), "groups": {"S": groups_text(groups)}, **backstop()}
    batch_write(vault, put=[item])


def groups_text(groups: Sequence[Group]) -> str:
    """Return the groups as their item keeps them: the same text for the same groups."""
    return json.dumps(
        [{"request": g.request, "erased_at": g.erased_at, "subjects": g.subjects} for g in groups],
        separators=(",", ":"),
    )


def read_changes(vault: Vault, request_id: str) -> str | None:
    """Return a correction's changes, a list in JSON; None where they are no longer there."""
    item = get(vault, request_pk(request_id), CHANGES)
    return item["changes"]["S"] if item else None


def hold_changes(vault: Vault, request_id: str) -> str | None:
    """Return a correction's changes as `read_changes` does, and keep them for a whole run from now on."""
    item = _hold(vault, request_id, CHANGES)
    return item["changes"]["S"] if item else None


def hold_follow_up(vault: Vault, request_id: str) -> FollowUp | None:
    """Return what the follow-up is about, and keep it for a whole run from now on; None where it is gone."""
    item = _hold(vault, request_id, FOLLOW_UP)
    return FollowUp(item["key"]["S"], item["erased_at"]["S"], item["whole"]["BOOL"]) if item else None


def hold_groups(vault: Vault, request_id: str) -> list[Group] | None:
    """Return whom to erase again, and keep that for a whole run from now on; None where it is gone."""
    item = _hold(vault, request_id, REPLAY)
    if item is None:
        return None
    return [
        Group(each["request"], each["erased_at"], tuple(each["subjects"]))
        for each in json.loads(item["groups"]["S"])
    ]


def expire(vault: Vault, request_id: str, kind: Kind, at: str) -> "Item | None":
    """Set the Unix time at which DynamoDB removes what waits, and return the item; None where it is gone."""
    with ConditionMayFail():
        answer = vault.dynamodb.update_item(
            TableName=vault.customer.table,
            Key=_key(request_id, kind),
            UpdateExpression="SET expires_at = :at",
            ConditionExpression="attribute_exists(sk)",
            ExpressionAttributeValues={":at": {"N": at}},
            ReturnValues="ALL_NEW",
        )
        return answer["Attributes"]
    return None


def drop_changes(vault: Vault, request_id: str) -> None:
    """Remove changes that no request came to need."""
    vault.dynamodb.delete_item(TableName=vault.customer.table, Key=_key(request_id, CHANGES))


def _hold(vault: Vault, request_id: str, kind: Kind) -> "Item | None":
    return expire(vault, request_id, kind, backstop()["expires_at"]["N"])


def _key(request_id: str, kind: Kind) -> "Item":
    return key(request_pk(request_id), kind)
