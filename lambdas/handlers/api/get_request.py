"""GET /v1/requests/{id}: one request and how it ended."""

from typing import Final

from privacy.api import http, problems
from privacy.api.http import Answer, Call
from privacy.api.problems import ProblemError
from privacy.requests.store import RequestStore

_ID_LENGTH: Final = 36
_requests: Final = RequestStore.from_environment()


def get_request(call: Call) -> Answer:
    """Return the customer's request. Another customer's is not found, as if it did not exist."""
    request_id = call.path["id"]
    # Anything longer than a UUID names no request, and could be more than a table key takes.
    request = _requests.get(call.customer.id, request_id) if len(request_id) == _ID_LENGTH else None
    if request is None:
        raise ProblemError(problems.NOT_FOUND, "The customer has no such request.")
    return Answer(200, request.public())


handler = http.authenticated("get_request", get_request)
