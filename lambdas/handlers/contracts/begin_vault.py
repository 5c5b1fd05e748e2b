"""For the deployment: see to it that a vault has its subject secret, before anybody uses the vault."""

import time
from typing import Any, Final

from botocore.exceptions import ClientError

from privacy.aws.failures import StepFailedError, reported
from privacy.contracts.begin_vault import keep_secret
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry
from privacy.requests.store import RequestStore
from privacy.vault.sessions import open_vault

_requests: Final = RequestStore.from_environment()

_SETTLING: Final = 12
_SETTLING_SECONDS: Final = 5
"""What was just deployed may be refused for some seconds (IAM User Guide, "Changes that I make are not always
immediately visible"): a minute is waited for it."""

_REFUSED: Final = {"AccessDenied", "AccessDeniedException"}


class BeginVaultInputError(StepFailedError):
    """The function was called with something wrong; the text says what and the fix."""


@reported("begin-vault")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """{customer} → {customer, secret}: the digest of the sealed secret, null where the data is destroyed."""
    registry = Registry.from_environment()
    customer = registry.customer(str(event.get("customer", "")), consistent=True)
    if customer is None:
        raise BeginVaultInputError("customer: not one of this region; write an id from the stack's config")
    if registry.destruction(customer.id) is not None:
        return {"customer": customer.id, "secret": None}
    return {"customer": customer.id, "secret": _keep_secret(registry, customer)}


def _keep_secret(registry: Registry, customer: Customer) -> str | None:
    for _ in range(_SETTLING):
        try:
            return keep_secret(open_vault(customer, "begin"), registry, _requests)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _REFUSED:
                raise
        time.sleep(_SETTLING_SECONDS)
    return keep_secret(open_vault(customer, "begin"), registry, _requests)
