"""Every hour: end the contracts that are due and that nobody ended, tell of those that are held or late."""

from typing import Final

from privacy import environment
from privacy.registry import Registry
from privacy.step_failures import reported
from privacy.watching_contracts import watch

_registry: Final = Registry(environment.read(environment.REGISTRY_TABLE))
_state_machine_arn: Final = environment.read(environment.CONTRACT_END_STATE_MACHINE_ARN)


@reported("watch")
def handler(_event: object, _context: object) -> dict[str, int]:
    """Look at every contract of the region; return how many are being ended."""
    return {"started": len(watch(_registry, _state_machine_arn))}
