"""Reminders that a customer's data will be destroyed.

A schedule made them when the stack was deployed. So each looks at the contract again before it is sent.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from privacy.contracts import events as contract_events
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry
from privacy.timestamps import timestamp

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far this clock may be behind the scheduler's, which calls at the very beginning of a day."""

_log: Final = logging.getLogger("privacy")


def remind(
    registry: Registry,
    customer_id: str,
    days: int,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> bool:
    """Put the event that the customer's data will be destroyed in `days` days; return whether it was put.

    It is not put where that is not true (any more): the contract was renewed or ended earlier, the
    destruction has begun, the customer is gone, or the call came on another day. Raises what
    contract_events.put raises.
    """
    customer = registry.customer(customer_id)
    if customer is None or customer.terminated or registry.destruction(customer_id) is not None:
        return False
    if not _is_that_day(customer, days, clock()):
        return False
    contract_events.put(
        contract_events.ENDS_SOON,
        {
            "customer": customer.id,
            "contract_ends": customer.contract_ends.isoformat(),
            "destruction": timestamp(customer.destruction),
            "days_left": days,
            "held": customer.hold is not None,
        },
    )
    _log.info("reminded: customer=%s days=%d", customer.id, days)
    return True


def _is_that_day(customer: Customer, days: int, now: datetime) -> bool:
    """Return whether it is the UTC day that lies so many days before the destruction."""
    left = customer.destruction - now
    return timedelta(days=days - 1) < left <= timedelta(days=days) + CLOCK_SKEW
