"""Names of the functions' environment variables: the one thing components and functions both know.

Standard library only, because the Pulumi program imports this file too.
"""

import os
from typing import Final

REGISTRY_TABLE: Final = "REGISTRY_TABLE"
"""Name of the table that maps clients and buckets to customers."""

REQUEST_TABLE: Final = "REQUEST_TABLE"
"""Name of the table of requests, idempotency answers and run locks."""

RUN_STATE_MACHINE_ARN: Final = "RUN_STATE_MACHINE_ARN"
"""ARN of the state machine that carries out a run."""

CONTRACT_END_STATE_MACHINE_ARN: Final = "CONTRACT_END_STATE_MACHINE_ARN"
"""ARN of the state machine that ends a contract and destroys what is in the vault."""

EVENT_BUS: Final = "EVENT_BUS"
"""Name of the bus that events about contracts are put on."""

EVENT_SOURCE: Final = "gdpr.contracts"
"""Source of those events: no variable, but known to the functions and to who lets them put events."""

EXPORT_STATE_MACHINE_ARN: Final = "EXPORT_STATE_MACHINE_ARN"
"""ARN of the state machine that makes an export."""

EVIDENCE_BUCKET: Final = "EVIDENCE_BUCKET"
"""Name of the bucket that keeps the region's evidence under Object Lock."""

PURPOSE_ROLE_ARN: Final = "PURPOSE_ROLE_ARN"
"""ARN of the one purpose role that the function assumes to reach a vault."""


class MissingEnvironmentVariableError(RuntimeError):
    """The function was deployed without a variable that it needs."""

    def __init__(self, name: str) -> None:
        super().__init__(f"environment variable {name} is not set: deploy the function again with it")


def optional(name: str) -> str:
    """Return the variable's value, or the empty text where the function needs none."""
    return os.environ.get(name, "")


def read(name: str) -> str:
    """Return the variable's value.

    Raises MissingEnvironmentVariableError where it is absent or empty, so that a bad deployment
    fails at the cold start instead of in the middle of a request.
    """
    value = optional(name)
    if not value:
        raise MissingEnvironmentVariableError(name)
    return value
