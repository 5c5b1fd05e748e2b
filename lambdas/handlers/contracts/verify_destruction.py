"""Step of a contract's end: read back from AWS that nothing is left but a key that is about to go."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.contracts.destruction_steps import open_destruction
from privacy.contracts.witness import witness
from privacy.requests.store import RequestStore

_requests: Final = RequestStore.from_environment()


@reported("verify-destruction")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, round} → {customer, round + 1, clean, look_at}.

    Where it is not `clean`, somebody wrote meanwhile: freeze and destroy once more. `look_at` is when the key
    will be gone.
    """
    step = open_destruction(event)
    look_at = witness(step, _requests, context.get_remaining_time_in_millis)
    return {**step.ids, "round": step.round + 1, "clean": look_at is not None, "look_at": look_at}
