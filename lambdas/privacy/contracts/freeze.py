"""The first step that changes something at a contract's end: from here on nobody works with the vault.

The mark makes the API refuse the customer and the index ignore its events. The lock keeps runs from starting.
Requests that have not ended end `rejected`, because their data is about to be destroyed.
"""

from datetime import datetime

from privacy.requests.contract_over import reject_open
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore


def freeze(requests: RequestStore, lock: RunLock, customer: str, now: datetime) -> bool:
    """Freeze a customer that has the mark; return whether its requests have ended. Otherwise call again.

    The order matters: whoever passed the check of the mark a moment before it was set may still write a
    request, which is found here, when the destruction is verified or confirmed, or by the sweep; no run takes
    it up, whenever it comes.
    """
    lock.hold_for_contract_end(customer)
    return reject_open(requests, customer, now)
