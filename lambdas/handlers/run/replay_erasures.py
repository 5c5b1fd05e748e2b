"""After a restoration, page by page of the ledger: ask again for the erasures that it undid."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.run.replay import Page, ReplayInputError, replay_page
from privacy.vault.sessions import open_vault

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{input: {customer, restored_from} and where it stands} → the same further on, with `done`."""
    started = event["input"]
    customer = _registry.customer(str(started.get("customer", "")))
    if customer is None:
        raise ReplayInputError("customer: not one of this region; write an id from the stack's config")
    if _registry.destruction(customer.id) is not None:
        raise ReplayInputError("customer: its contract is over, and its data is being destroyed")
    page = Page.of(started, datetime.now(UTC))
    gone_on, done = replay_page(open_vault(customer, "replay"), _requests, _lock, page)
    return {"customer": customer.id, **asdict(gone_on), "done": done}
