"""Statements and documents, typed, with the reason of each statement kept beside it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]
"""Condition block: operator → key → value or values."""

VERSION = "2012-10-17"
"""The current version of the policy language."""


@dataclass(frozen=True, kw_only=True)
class Principals:
    """The `Principal` of a statement: whom it allows or denies something."""

    kind: Literal["AWS", "Service", "*"]
    names: Sequence[str] = ()

    def as_json(self) -> str | dict[str, list[str]]:
        """Return the `Principal` element."""
        return "*" if self.kind == "*" else {self.kind: list(self.names)}


EVERYBODY = Principals(kind="*")
"""Anyone at all: only ever used to deny."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. `why` does not reach AWS: it goes into docs/permissions.md."""

    sid: str
    why: str
    actions: Sequence[str]
    resources: Sequence[str] = ()
    conditions: Conditions = field(default_factory=dict)
    effect: Literal["Allow", "Deny"] = "Allow"
    principals: Principals | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the statement as IAM reads it; a trust policy's statement has no resource."""
        element: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        if self.principals is not None:
            element["Principal"] = self.principals.as_json()
        element["Action"] = list(self.actions)
        if self.resources:
            element["Resource"] = list(self.resources)
        if self.conditions:
            element["Condition"] = {
                operator: {
                    key: value if isinstance(value, str) else list(value) for key, value in keys.items()
                }
                for operator, keys in self.conditions.items()
            }
        return element


def document(statements: Iterable[Statement]) -> str:
    """Return a policy document as JSON, without whitespace: size limits count every character."""
    body = {"Version": VERSION, "Statement": [statement.as_json() for statement in statements]}
    return json.dumps(body, separators=(",", ":"))


def through(region: str, *services: str) -> Conditions:
    """Condition that a KMS call is made by these services of the region on the caller's behalf."""
    return {"StringEquals": {"kms:ViaService": [f"{service}.{region}.amazonaws.com" for service in services]}}
