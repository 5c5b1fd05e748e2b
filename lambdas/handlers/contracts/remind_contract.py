"""Called by a schedule, days before a customer's data is destroyed: put the event that reminds of it."""

from typing import Final, TypedDict

from privacy import environment
from privacy.aws.failures import reported
from privacy.contracts.remind import remind
from privacy.customers.registry import Registry

_registry: Final = Registry.from_environment()
environment.read(environment.EVENT_BUS)  # a deployment without it fails here, not on the day of the reminder


class Reminder(TypedDict):
    """Whose contract, and how many days before its data is destroyed this is."""

    customer: str
    days: int


@reported("remind")
def handler(event: Reminder, _context: object) -> dict[str, bool]:
    """{customer, days} → {reminded}: false where the data will not be destroyed in so many days any more."""
    return {"reminded": remind(_registry, event["customer"], event["days"])}
