"""A request: what is known of it, and which states it goes through. No personal data is in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

RequestType = Literal["erasure", "correction"]
OpenState = Literal["pending", "running"]
EndState = Literal["completed", "partial", "failed", "rejected"]
State = OpenState | EndState


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the table keeps it; times are RFC 3339 texts, `subjects` counts references.

    `redriven_from` is the last run in which it failed and was then made pending again, `first_failed_in` the
    first. `client_id`,
    `person_id` and `call_id` are its caller's (`privacy.requests.caller`); nobody called for one that follows
    another or came out of a replay.
    """

    id: str
    type: RequestType
    state: State
    received_at: str
    due_at: str
    subjects: int
    reason: str | None = None
    run_id: str | None = None
    completed_at: str | None = None
    detail: dict[str, Any] | None = None
    follows: str | None = None
    redriven_from: str | None = None
    first_failed_in: str | None = None
    restored_from: str | None = None
    client_id: str | None = None
    person_id: str | None = None
    call_id: str | None = None

    def public(self) -> dict[str, Any]:
        """Return the request as the API shows it: what is not known yet is left out."""
        shown = {
            "id": self.id,
            "type": self.type,
            "state": self.state,
            "received_at": self.received_at,
            "due_at": self.due_at,
            "subjects": self.subjects,
            "reason": self.reason,
            "run_id": self.run_id,
            "completed_at": self.completed_at,
            "detail": self.detail,
            "follows": self.follows,
            "restored_from": self.restored_from,
            "client_id": self.client_id,
            "person_id": self.person_id,
            "call_id": self.call_id,
        }
        return {name: value for name, value in shown.items() if value is not None}

    @classmethod
    def of_item(cls, item: "Mapping[str, AttributeValueTypeDef]") -> Self:
        """Return the request that the table's item `request#<id>` holds."""
        known: dict[str, Any] = {
            name: item[name]["S"]
            for name in (
                "type",
                "state",
                "received_at",
                "due_at",
                "reason",
                "run_id",
                "completed_at",
                "follows",
                "redriven_from",
                "first_failed_in",
                "restored_from",
                "client_id",
                "person_id",
                "call_id",
            )
            if name in item
        }
        return cls(
            id=item["sk"]["S"].removeprefix("request#"),
            subjects=int(item["subjects"]["N"]),
            detail=json.loads(item["detail"]["S"]) if "detail" in item else None,
            **known,
        )
