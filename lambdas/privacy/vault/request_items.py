"""What waits in the vault for a request: the request table may know nothing of it.

At most one item a request: the object that a follow-up is about, or whom a request after a restoration erases
again, in the partition `request#<id>` under its kind; the changes of a correction in the partition of its
subject, so that whoever erases the subject finds them. Only this module knows the shapes of the three.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from privacy.aws.conditions import ConditionMayFail
from privacy.identifiers import moment_of
from privacy.timestamps import instant
from privacy.vault.items import backstop, batch_write, get, key, request_pk, subject_pk
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from privacy.vault.items import Item

Kind = Literal["changes", "late", "replay"]

CHANGES: Final = "changes"
FOLLOW_UP: Final = "late"
REPLAY: Final = "replay"

CALL_SECONDS: Final = 6 * 3600
"""How long values are kept whose request is not on record yet: a call takes half a minute at most, and
DynamoDB removes what has expired some hours later."""

_CHANGES_OF: Final = f"{CHANGES}#"


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


def put_changes(vault: Vault, refs: Sequence[str], request_id: str, changes: str) -> None:
    """Keep a correction's changes of the subject's data, a list in JSON, as they were asked for.

    A subject may have several references (where the identifier prints a number); they stand under each.
    They go after CALL_SECONDS, unless `confirm_changes` says that their request is on record.
    """
    for ref in refs:
        waiting: Item = {"changes": {"S": changes}, "expires_at": {"N": _soon()}}
        item: Item = {**_changes_key(ref, request_id), **waiting}
        # Not as a batch: the role that takes requests in may put single items alone.
        vault.dynamodb.put_item(TableName=vault.customer.table, Item=item)


def confirm_changes(vault: Vault, refs: Sequence[str], request_id: str, changes: str) -> None:
    """Keep changes until their request ends. Those that went meanwhile, or wait for a redrive, stay so."""
    for ref in refs:
        with ConditionMayFail():
            vault.dynamodb.put_item(
                TableName=vault.customer.table,
                Item={**_changes_key(ref, request_id), "changes": {"S": changes}, **backstop()},
                ConditionExpression="attribute_exists(sk) AND expires_at <= :soon",
                ExpressionAttributeValues={":soon": {"N": _soon()}},
            )


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


def read_changes(vault: Vault, ref: str, request_id: str) -> str | None:
    """Return a correction's changes, a list in JSON; None where they are no longer there."""
    item = get(vault, subject_pk(ref), f"{_CHANGES_OF}{request_id}")
    return item["changes"]["S"] if item else None


def hold_changes(vault: Vault, ref: str, request_id: str) -> str | None:
    """Return a correction's changes as `read_changes` does, and keep them for a whole run from now on."""
    item = _expire(vault, _changes_key(ref, request_id), backstop()["expires_at"]["N"])
    return item["changes"]["S"] if item else None


def arrived(item: "Item") -> str | None:
    """Return the instant at which a correction arrived whose changes the item keeps; None for other items."""
    sk = item["sk"]["S"]
    if not sk.startswith(_CHANGES_OF):
        return None
    return instant(moment_of(sk.removeprefix(_CHANGES_OF)))


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


def keys(request_id: str, kind: Kind, refs: Sequence[str]) -> "list[Item]":
    """Return under which keys something may wait for a request of this kind about these subjects."""
    if kind == CHANGES:
        return [_changes_key(ref, request_id) for ref in refs]
    return [_key(request_id, kind)]


def expire(vault: Vault, request_id: str, kind: Kind, refs: Sequence[str], at: str) -> None:
    """Set the Unix time at which DynamoDB removes what waits, as far as it is there."""
    for each in keys(request_id, kind, refs):
        _expire(vault, each, at)


def _expire(vault: Vault, item_key: "Item", at: str) -> "Item | None":
    """Set when an item goes, and return it; None where it is gone."""
    with ConditionMayFail():
        answer = vault.dynamodb.update_item(
            TableName=vault.customer.table,
            Key=item_key,
            UpdateExpression="SET expires_at = :at",
            ConditionExpression="attribute_exists(sk)",
            ExpressionAttributeValues={":at": {"N": at}},
            ReturnValues="ALL_NEW",
        )
        return answer["Attributes"]
    return None


def drop_changes(vault: Vault, refs: Sequence[str], request_id: str) -> None:
    """Remove changes that no request came to need."""
    for ref in refs:
        vault.dynamodb.delete_item(TableName=vault.customer.table, Key=_changes_key(ref, request_id))


def _hold(vault: Vault, request_id: str, kind: Kind) -> "Item | None":
    return _expire(vault, _key(request_id, kind), backstop()["expires_at"]["N"])


def _soon() -> str:
    return str(int(time.time()) + CALL_SECONDS)


def _changes_key(ref: str, request_id: str) -> "Item":
    return key(subject_pk(ref), f"{_CHANGES_OF}{request_id}")


def _key(request_id: str, kind: Kind) -> "Item":
    return key(request_pk(request_id), kind)
