"""Every hour: end the contracts that are due and that nobody ended, tell of those that are held or late."""

from typing import Final

from privacy import environment
from privacy.aws.failures import reported
from privacy.contracts.watch import watch
from privacy.customers.registry import Registry

_registry: Final = Registry.from_environment()
_state_machine_arn: Final = environment.read(environment.CONTRACT_END_STATE_MACHINE_ARN)


@reported("watch")
def handler(_event: object, _context: object) -> dict[str, int]:
    """Look at every contract of the region; return how many are being ended."""
    return {"started": len(watch(_registry, _state_machine_arn))}
