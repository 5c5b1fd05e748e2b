"""What the steps of a contract's end have in common: whose data it is, and whether it may be destroyed.

Each step reads the registry anew: between two of them may lie a day. A step destroys nothing unless the
customer is frozen, nothing is held, and what it is about to destroy says itself that it is this customer's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from privacy.aws.failures import StepFailedError
from privacy.customers.customer import Customer, Destruction
from privacy.customers.registry import Registry
from privacy.vault.sessions import Vault, open_vault

CUSTOMER_TAG = "customer"
"""Tag with which the stack's program says whose a bucket, a table or a key is."""


class DestructionInputError(StepFailedError):
    """What the execution was started with is no input of a contract's end. Its text says what is."""


class NotFrozenError(StepFailedError):
    """The customer is not frozen: start the state machine, which begins with that."""


class DestructionHeldError(StepFailedError):
    """The contract is held (`contract.hold`): take the hold away, and start the state machine again."""


class NotOfThisCustomerError(StepFailedError):
    """The registry leads to a resource whose own tag names somebody else. Nothing of it was touched."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} in the registry has another customer's tag; set the registry right")


@dataclass(frozen=True, slots=True)
class DestructionStep:
    """A customer whose data is being destroyed, and how far that is."""

    registry: Registry
    customer: Customer
    destruction: Destruction
    round: int

    @property
    def ids(self) -> dict[str, Any]:
        """What every step passes on."""
        return {"customer": self.customer.id, "round": self.round}

    def open(self, purpose: Literal["destroy", "witness"]) -> Vault:
        """Open the customer's vault for a purpose."""
        return open_vault(self.customer, purpose)


def find_customer(event: dict[str, Any]) -> tuple[Registry, Customer]:
    """Return a registry that has remembered nothing yet, and the customer. Raises DestructionInputError."""
    customer_id = event.get("customer")
    if not isinstance(customer_id, str):
        raise DestructionInputError('customer is missing: start with {"customer": "<id>"}')
    registry = Registry.from_environment()
    customer = registry.customer(customer_id)
    if customer is None:
        raise DestructionInputError("customer is none of this region: write an id from the stack's config")
    return registry, customer


def reason_to_stop(customer: Customer, destruction: Destruction | None, now: datetime) -> str | None:
    """Return why the customer's data is not destroyed now, or None where it is to be.

    What has begun goes on, whatever the dates say by now: a renewal after the freeze comes too late.
    """
    if customer.hold is not None:
        return "held"
    if destruction is None and now < customer.destruction:
        return "not-due"
    return None


def open_destruction(event: dict[str, Any]) -> DestructionStep:
    """Return the step of a customer that is frozen. Raises NotFrozenError and DestructionHeldError."""
    registry, customer = find_customer(event)
    destruction = registry.destruction(customer.id)
    if destruction is None:
        raise NotFrozenError("nothing is destroyed before the freeze")
    if customer.hold is not None:
        raise DestructionHeldError("the contract is held")
    return DestructionStep(registry, customer, destruction, event["round"])


def check_bucket(vault: Vault) -> None:
    """Raise NotOfThisCustomerError unless the bucket's own tag names the customer."""
    tags = vault.s3.get_bucket_tagging(Bucket=vault.customer.bucket)["TagSet"]
    _check("bucket", vault, [(tag["Key"], tag["Value"]) for tag in tags])


def check_table(vault: Vault, table_arn: str) -> None:
    """Raise NotOfThisCustomerError unless the table's own tag names the customer."""
    tags = vault.dynamodb.list_tags_of_resource(ResourceArn=table_arn)["Tags"]
    _check("table", vault, [(tag["Key"], tag["Value"]) for tag in tags])


def check_key(vault: Vault) -> None:
    """Raise NotOfThisCustomerError unless the key's own tag names the customer."""
    tags = vault.kms.list_resource_tags(KeyId=vault.customer.key_arn)["Tags"]
    _check("key", vault, [(tag["TagKey"], tag["TagValue"]) for tag in tags])


def _check(what: str, vault: Vault, tags: list[tuple[str, str]]) -> None:
    if (CUSTOMER_TAG, vault.customer.id) not in tags:
        raise NotOfThisCustomerError(what)
