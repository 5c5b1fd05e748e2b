"""GET /v1/requests: the customer's requests, newest first, a page at a time."""

import base64
import uuid
from typing import Final

from privacy.api import http
from privacy.api.http import Answer, Call
from privacy.requests.store import RequestStore

_requests: Final = RequestStore.from_environment()


def list_requests(call: Call) -> Answer:
    """Return a page of the customer's requests and, where there may be more, the cursor of the next."""
    query = call.query
    cursor = _id_of(query["cursor"]) if "cursor" in query else None
    page = _requests.page(
        call.customer.id,
        state=query.get("state"),
        type=query.get("type"),
        limit=query["limit"],
        cursor=cursor,
        client_id=query.get("client_id"),
        person_id=query.get("person_id"),
    )
    more = {} if page.cursor is None else {"next_cursor": _cursor_of(page.cursor)}
    return Answer(200, {"requests": [request.public() for request in page.requests], **more})


def _cursor_of(request_id: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(request_id).bytes).decode().rstrip("=")


def _id_of(cursor: str) -> str:
    # 22 characters, as the contract has them, are the 16 bytes of an id: any cursor is some position.
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(f"{cursor}==")))


handler = http.authenticated("list_requests", list_requests)
