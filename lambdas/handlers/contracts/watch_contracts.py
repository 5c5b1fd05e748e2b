"""Every hour: start the end of contracts that are due, log those whose destruction is held or late."""

from typing import Final

from privacy import environment
from privacy.aws.failures import reported
from privacy.contracts.watch import watch
from privacy.customers.registry import Registry

_state_machine_arn: Final = environment.read(environment.CONTRACT_END_STATE_MACHINE_ARN)


@reported("watch")
def handler(_event: object, _context: object) -> dict[str, int]:
    """Look at every contract of the region; return {started}: of how many the end was started."""
    # A registry of its own: what the call an hour, or a minute, ago remembered is not what is so now.
    return {"started": len(watch(Registry.from_environment(), _state_machine_arn))}
