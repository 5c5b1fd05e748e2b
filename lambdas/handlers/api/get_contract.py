"""GET /v1/contract: until when the data is kept, and what happens then."""

from datetime import UTC, datetime

from privacy.api import http
from privacy.api.http import Answer, Call
from privacy.contracts import terms


def get_contract(call: Call) -> Answer:
    """Return the terms of the caller's contract as they are now."""
    return Answer(200, terms.terms(call.customer, datetime.now(UTC)))


handler = http.authenticated("get_contract", get_contract, in_grace=True)
