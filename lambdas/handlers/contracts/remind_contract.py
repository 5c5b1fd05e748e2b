"""On the day that a schedule says: tell that a customer's contract ends soon, if it still does."""

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
    """Put the event, if it is true; return whether it was put."""
    return {"reminded": remind(_registry, event["customer"], event["days"])}
