"""GET /v1/health and GET /v1/openapi.json: public, and without any input."""

from privacy.api import contract as api_contract
from privacy.api import http
from privacy.api.http import Answer


def get_health() -> Answer:
    """Say that the service answers."""
    return Answer(200, {"status": "ok"})


def get_openapi() -> Answer:
    """Return the document that calls are validated against."""
    return Answer(200, api_contract.text())


handler = http.public({"get_health": get_health, "get_openapi": get_openapi})
