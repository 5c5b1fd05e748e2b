"""Requests of a customer whose data is being destroyed: they end `rejected`, whenever they come.

A call that was let in a moment before the freeze may write its request after everybody has looked.
"""

import logging
from datetime import datetime
from typing import Final

from privacy.requests.store import RequestStore

_log: Final = logging.getLogger("privacy")

REJECTED_AT_ONCE: Final = 500
"""Requests that one call rejects; the next call goes on."""


def reject_open(requests: RequestStore, customer: str, now: datetime) -> bool:
    """End the customer's requests that have not ended as `rejected`; return whether those were all."""
    open_requests = requests.pending(customer, REJECTED_AT_ONCE, waiting=True)
    for request in open_requests:
        detail = {"problems": [{"reason": "contract-ended"}], "problem_count": 1}
        if requests.finish(customer, request.id, state="rejected", at=now, detail=detail):
            _log.info("request ended: customer=%s request=%s state=rejected", customer, request.id)
    return len(open_requests) < REJECTED_AT_ONCE
