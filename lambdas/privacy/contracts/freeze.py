"""The first step that changes something at a contract's end: from here on nobody works with the vault.

The mark makes the API refuse the customer and the index ignore its events. The lock keeps runs from starting.
Requests that have not ended end `rejected`, because their data is about to be destroyed.
"""

import logging
from datetime import datetime
from typing import Final

from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore

_log: Final = logging.getLogger("privacy")

REJECTED_AT_ONCE: Final = 500
"""Requests that one call rejects; the next call goes on."""


def freeze(requests: RequestStore, lock: RunLock, customer: str, now: datetime) -> bool:
    """Freeze a customer that has the mark; return whether its requests have ended. Otherwise call again.

    The order matters: whoever passed the check of the mark a moment before it was set may still write a
    request, which is found here or when the destruction is verified; no run takes it up, whenever it comes.
    """
    lock.hold_for_contract_end(customer)
    open_requests = requests.pending(customer, REJECTED_AT_ONCE, waiting=True)
    for request in open_requests:
        detail = {"problems": [{"reason": "contract-ended"}], "problem_count": 1}
        if requests.finish(customer, request.id, state="rejected", at=now, detail=detail):
            _log.info("request ended: customer=%s request=%s state=rejected", customer, request.id)
    return len(open_requests) < REJECTED_AT_ONCE
