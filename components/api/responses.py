"""Errors that the gateway answers itself, as problem details (RFC 9457) like those of the functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = "application/problem+json"

_NOT_STORED: Final = {"Cache-Control": "no-store"}
"""What the functions' answers have as well: nobody in between may keep one and answer with it again."""


@dataclass(frozen=True, kw_only=True)
class GatewayProblem:
    """A problem that says nothing of the request but the gateway's id for it."""

    status: int
    slug: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def sent_headers(self) -> Mapping[str, str]:
        """Headers of the answer, but for its type."""
        return {**self.headers, **_NOT_STORED}

    @property
    def template(self) -> str:
        """Body for the gateway, which fills in the id of the request."""
        return json.dumps(
            {
                "type": f"urn:gdpr:problem:{self.slug}",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "instance": "$context.requestId",
            }
        )


_UNAUTHORIZED: Final = GatewayProblem(
    status=401,
    slug="unauthorized",
    title="No valid access token",
    detail="Get a token from the token URL with client credentials and send it as a bearer token.",
    headers={"WWW-Authenticate": "Bearer"},
)
_FORBIDDEN: Final = GatewayProblem(
    status=403, slug="forbidden", title="Refused", detail="This request is not let through."
)
_NOT_FOUND: Final = GatewayProblem(
    status=404, slug="not-found", title="Not found", detail="There is nothing here; see /v1/openapi.json."
)
_TOO_MANY: Final = GatewayProblem(
    status=429,
    slug="too-many-requests",
    title="Too many requests",
    detail="Wait as long as Retry-After says, then send the request again.",
    headers={"Retry-After": "5"},
)
_INTERNAL: Final = GatewayProblem(
    status=500,
    slug="internal-error",
    title="Something went wrong here",
    detail="It is not your request; send it again later, with the same idempotency key.",
)
_TIMEOUT: Final = GatewayProblem(
    status=504,
    slug="timeout",
    title="It took too long",
    detail="It may have been done all the same; send it again with the same idempotency key.",
)

GATEWAY_RESPONSES: Final[Mapping[str, GatewayProblem]] = {
    "ACCESS_DENIED": _FORBIDDEN,
    "API_CONFIGURATION_ERROR": _INTERNAL,
    "AUTHORIZER_CONFIGURATION_ERROR": _INTERNAL,
    "AUTHORIZER_FAILURE": _INTERNAL,
    "BAD_REQUEST_BODY": GatewayProblem(
        status=400,
        slug="invalid-json",
        title="The body is not a JSON object",
        detail="Send one JSON object as described in /v1/openapi.json.",
    ),
    "BAD_REQUEST_PARAMETERS": GatewayProblem(
        status=400,
        slug="invalid-parameter",
        title="A parameter is missing",
        detail="Send the parameters that /v1/openapi.json requires.",
    ),
    "DEFAULT_5XX": _INTERNAL,
    "EXPIRED_TOKEN": _UNAUTHORIZED,
    "INTEGRATION_FAILURE": _INTERNAL,
    "INTEGRATION_TIMEOUT": _TIMEOUT,
    "INVALID_API_KEY": _FORBIDDEN,
    "INVALID_SIGNATURE": _UNAUTHORIZED,
    # What the gateway answers where path and method match no route: nothing is there.
    "MISSING_AUTHENTICATION_TOKEN": _NOT_FOUND,
    "QUOTA_EXCEEDED": _TOO_MANY,
    "REQUEST_TOO_LARGE": GatewayProblem(
        status=413,
        slug="content-too-large",
        title="The content is too large",
        detail="Send at most 1 MiB; files go to the URL that an upload returns.",
    ),
    "RESOURCE_NOT_FOUND": _NOT_FOUND,
    "THROTTLED": _TOO_MANY,
    "UNAUTHORIZED": _UNAUTHORIZED,
    "UNSUPPORTED_MEDIA_TYPE": GatewayProblem(
        status=415,
        slug="unsupported-media-type",
        title="The body is not application/json",
        detail="Send JSON with Content-Type: application/json.",
    ),
    "WAF_FILTERED": _FORBIDDEN,
}
"""Gateway response type → problem. DEFAULT_4XX is left out: it would give every status the same text."""


def method_not_allowed(methods: tuple[str, ...]) -> GatewayProblem:
    """Return the 405 of a path; the header lists what it does have (RFC 9110, 15.5.6)."""
    return GatewayProblem(
        status=405,
        slug="method-not-allowed",
        title="The path has no such method",
        detail="Use one of the methods in Allow.",
        headers={"Allow": ", ".join(methods)},
    )
