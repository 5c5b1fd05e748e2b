"""Everything that can be wrong with a call, as problem details (RFC 9457)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where it is and why. `detail` never repeats what was sent.

    `pointer` is a JSON pointer into the body (RFC 6901, "" is the whole body), `parameter` the name of a
    path, query or header parameter.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def public(self) -> dict[str, str]:
        """Return the member of `errors` that describes it."""
        members = {"pointer": self.pointer, "parameter": self.parameter, "detail": self.detail}
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the last part of its type URN, its HTTP status and its title."""

    slug: str
    status: int
    title: str


INVALID_JSON: Final = Kind("invalid-json", 400, "The body is not JSON")
INVALID_PARAMETER: Final = Kind("invalid-parameter", 400, "A parameter is not valid")
INSUFFICIENT_SCOPE: Final = Kind("insufficient-scope", 403, "The access token lacks a scope")
UNKNOWN_CLIENT: Final = Kind("unknown-client", 403, "The client belongs to no customer")
CONTRACT_NOT_STARTED: Final = Kind("contract-not-started", 403, "The contract has not started")
CONTRACT_ENDED: Final = Kind("contract-ended", 403, "The contract has ended")
NOT_FOUND: Final = Kind("not-found", 404, "Not found")
CONFLICT: Final = Kind("conflict", 409, "Another call is changing the same thing")
EXPORT_RUNNING: Final = Kind("export-running", 409, "An export is being made")
TOO_MANY_EXPORTS: Final = Kind("too-many-exports", 409, "As many exports as may be are kept")
EXPORT_UNAVAILABLE: Final = Kind("export-unavailable", 409, "The export cannot be fetched")
TOO_LARGE: Final = Kind("content-too-large", 413, "The content is too large")
UNSUPPORTED_MEDIA_TYPE: Final = Kind("unsupported-media-type", 415, "The body is not application/json")
INVALID_BODY: Final = Kind("invalid-body", 422, "The body is not valid")
INVALID_NAME: Final = Kind("invalid-name", 422, "A name in the path is not valid")
IDENTIFIER_IN_URL: Final = Kind("identifier-in-url", 422, "A name contains the subject's identifier")
WRONG_FORMAT: Final = Kind("wrong-dataset-format", 422, "The dataset has another format")
KEY_REUSED: Final = Kind("idempotency-key-reused", 422, "The idempotency key came with another body")
TOO_MANY_REQUESTS: Final = Kind("too-many-requests", 429, "Too many requests")
INTERNAL: Final = Kind("internal-error", 500, "Something went wrong here")


@dataclass(slots=True, eq=False)
class ProblemError(Exception):
    """Ends a call with a problem. `detail` says what to do about it, without repeating what was sent."""

    kind: Kind
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def public(self, instance: str) -> dict[str, Any]:
        """Return the problem details object; `instance` names this occurrence."""
        members: dict[str, Any] = {
            "type": f"urn:gdpr:problem:{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.faults:
            members["errors"] = [fault.public() for fault in self.faults]
        return members
