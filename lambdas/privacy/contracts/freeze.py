"""The first step that changes something at a contract's end: from here on nobody works with the vault.

The mark makes the API refuse the customer and the index ignore its events. The lock keeps runs from starting.
Requests that have not ended end `rejected`, because their data is about to be destroyed.
"""

from datetime import datetime

from privacy.contracts import destruction_mark
from privacy.requests.contract_over import reject_open
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore


def freeze(registry_table: str, requests: RequestStore, lock: RunLock, customer: str, now: datetime) -> bool:
    """Freeze the customer; return whether all of its requests have ended. Otherwise call again.

    The order matters: whoever passed the check of the mark a moment before it was set may still write a
    request, which is found here, when the destruction is verified or confirmed, or by the sweep; no run takes
    it up, whenever it comes.
    """
    destruction_mark.begin(registry_table, customer, now)
    lock.hold_for_contract_end(customer)
    return reject_open(requests, customer, now)
