"""The dates that follow from a contract: when reminders go out, access ends, and the data is destroyed.

All days are UTC days, from midnight to midnight, so that none is longer or shorter than another.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from privacy.customers.customer import Customer
from privacy.timestamps import timestamp

REMINDER_DAYS: Final = (90, 30, 7)
"""How long before the destruction the customer is reminded of it."""

NONCURRENT_DAYS: Final = 30
"""Days that the bucket's lifecycle rules keep what they have put a delete marker on."""

_UP_TO_A_DAY: Final = timedelta(days=1)

EventName = Literal[
    "reminder",
    "access-ends",
    "destruction",
    "lifecycle-begins",
    "lifecycle-ended",
    "key-destroyed",
    "backups-unreadable",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the contract's end brings with it, and when.

    `suspended` where it will not happen while the hold stands. `days_before` is a reminder's distance from
    the destruction.
    """

    name: EventName
    at: datetime
    suspended: bool = False
    days_before: int | None = None

    def public(self, now: datetime) -> dict[str, Any]:
        """Return the event as the API shows it."""
        shown: dict[str, Any] = {"event": self.name, "at": timestamp(self.at), "past": self.at <= now}
        if self.days_before is not None:
            shown["days_before"] = self.days_before
        return {**shown, "suspended": True} if self.suspended else shown


def schedule(customer: Customer) -> list[Event]:
    """Return what happens around the contract's end, in its order; no reminder before the contract began.

    The destruction workflow begins at the destruction's moment. What it should leave undone, the bucket's
    lifecycle rules do from the same moment on: first a delete marker, then, after days that S3 rounds up to
    the next midnight, the last bytes. The key's waiting period begins when the data is destroyed, and AWS KMS
    deletes a key up to 24 hours after it; then no backup of the table can be read either.
    """
    begins, destruction = _midnight(customer.contract_starts), customer.destruction
    held = customer.hold is not None
    key_ends = destruction + timedelta(days=customer.key_deletion_days) + _UP_TO_A_DAY
    reminders = [
        # While the data is held they go on, and say so.
        Event("reminder", destruction - timedelta(days=days), days_before=days)
        for days in REMINDER_DAYS
    ]
    found = [
        *(reminder for reminder in reminders if reminder.at >= begins),
        Event("access-ends", _access_ends(customer)),
        Event("destruction", destruction, held),
        Event("lifecycle-begins", destruction, held),
        Event("lifecycle-ended", destruction + timedelta(days=NONCURRENT_DAYS) + _UP_TO_A_DAY, held),
        Event("key-destroyed", key_ends, held),
        Event("backups-unreadable", key_ends, held),
    ]
    return sorted(found, key=lambda event: event.at)


def terms(customer: Customer, now: datetime) -> dict[str, Any]:
    """Return the contract as the API shows it to the customer, who need not know why it is held."""
    return {
        "state": "grace" if customer.contract_ended(now) else "running",
        "held": customer.hold is not None,
        "starts": customer.contract_starts.isoformat(),
        "ends": customer.contract_ends.isoformat(),
        "grace_days": customer.grace_days,
        "access_ends_at": timestamp(_access_ends(customer)),
        "destruction_at": timestamp(customer.destruction),
        "key_deletion_days": customer.key_deletion_days,
        "schedule": [event.public(now) for event in schedule(customer)],
    }


def _access_ends(customer: Customer) -> datetime:
    """Return the midnight after the contract's last day."""
    return _midnight(customer.contract_ends + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
