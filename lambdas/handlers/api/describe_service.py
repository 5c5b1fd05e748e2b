"""GET and HEAD /v1/health, and GET /v1/openapi.json: public, and without any input."""

from privacy.api import contract as api_contract
from privacy.api import http
from privacy.api.http import Answer


def get_health() -> Answer:
    """Say that the service answers."""
    return Answer(200, {"status": "ok"})


def head_health() -> Answer:
    """Say the same without a body, as monitors ask (RFC 9110, 9.3.2)."""
    return Answer(200, headers={"Content-Type": "application/json"})


def get_openapi() -> Answer:
    """Return the document that calls are validated against."""
    return Answer(200, api_contract.text())


handler = http.public({"get_health": get_health, "head_health": head_health, "get_openapi": get_openapi})
