"""What the steps of a contract's end have in common: whose data it is, and whether it may be destroyed.

Each step reads contract and mark anew: between two of them may lie a day. A step destroys nothing unless the
customer is frozen and nothing is held. What it destroys is what the mark noted at the freeze, and only where
that says itself that it is this customer's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from privacy.aws.failures import StepFailedError
from privacy.contracts import destruction_mark
from privacy.contracts.destruction_mark import Mark, What
from privacy.contracts.marked_vault import MarkedVault
from privacy.customers.customer import Customer
from privacy.customers.registry import Entry, Registry
from privacy.vault.sessions import Vault, open_vault

CUSTOMER_TAG = "customer"
"""Tag with which the stack's program says whose a bucket, a table or a key is."""


class DestructionInputError(StepFailedError):
    """What the execution was started with is no input of a contract's end. Its text says what is."""


class NotFrozenError(StepFailedError):
    """The customer is not frozen: start the state machine, which begins with that."""


class DestructionHeldError(StepFailedError):
    """The contract is held (`contract.hold`). Once it is not, the watch over contracts starts again."""


class ContractChangedError(StepFailedError):
    """Held or renewed in the moment before the freeze: nothing was touched. Its text is the reason."""


class EntryChangedError(StepFailedError):
    """Somebody deployed in the moment of the freeze: nothing was touched. Another look says what is so."""


class NotOfThisCustomerError(StepFailedError):
    """What is to be destroyed does not say that it is this customer's. Nothing of it was touched."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} has no tag of this customer's; set the tag or the registry right")


@dataclass(frozen=True, slots=True)
class Found:
    """What the registry has of a customer: its entry and its mark, or only one of them."""

    registry: Registry
    id: str
    entry: Entry | None
    mark: Mark | None

    @property
    def customer(self) -> Customer:
        """The customer as the mark notes it, or as the registry has it where there is no such mark."""
        if self.mark is not None and self.mark.vault is not None:
            return self.mark.vault.customer
        if self.entry is None:
            raise DestructionInputError(
                "customer is none of this region: write an id from the stack's config"
            )
        return self.entry.customer

    @property
    def held(self) -> bool:
        """Whether a hold stands. Without the customer's lines, which say so, none does."""
        return self.entry is not None and self.entry.held

    def reason_to_stop(self, now: datetime) -> Literal["held", "not-due"] | None:
        """Return why the customer's data is not destroyed now, or None where it is to be.

        What has begun goes on, whatever the dates say by now: a renewal after the freeze comes too late.
        """
        if self.held:
            return "held"
        if self.mark is None and now < self.customer.destruction:
            return "not-due"
        return None


def look_up(event: dict[str, Any]) -> Found:
    """Return what is known of the customer, read anew. Raises DestructionInputError."""
    customer_id = event.get("customer")
    if not isinstance(customer_id, str):
        raise DestructionInputError('customer is missing: start with {"customer": "<id>"}')
    registry = Registry.from_environment()
    found = Found(
        registry, customer_id, registry.entry(customer_id), destruction_mark.read(registry.table, customer_id)
    )
    if found.customer.id != customer_id:
        raise DestructionInputError("customer has another's entry in the registry; set the registry right")
    return found


@dataclass(frozen=True, slots=True)
class DestructionStep:
    """A customer whose data is being destroyed, and how far that is.

    `customer` and `prefixes` are as the mark notes them. `held`: a hold stood when the step began.
    """

    registry: Registry
    customer: Customer
    prefixes: tuple[str, ...]
    mark: Mark
    held: bool
    round: int

    @property
    def ids(self) -> dict[str, Any]:
        """What every step passes on."""
        return {"customer": self.customer.id, "round": self.round}

    def open(self, purpose: Literal["destroy", "witness", "keep"]) -> Vault:
        """Open the customer's vault for a purpose."""
        return open_vault(self.customer, purpose)

    def found(self, what: What) -> None:
        """Note that it is there, and the customer's, before it is destroyed."""
        if what not in self.mark.begun:
            destruction_mark.found(self.registry.table, self.customer.id, what)

    def is_held(self) -> bool:
        """Look again whether a hold stands."""
        entry = self.registry.entry(self.customer.id)
        return entry is not None and entry.held


def find_destruction(event: dict[str, Any]) -> DestructionStep:
    """Return the step of a customer that is frozen, held or not. Raises NotFrozenError.

    Of a mark that an earlier version has set, the vault is the one to which the registry leads: such a step
    looks, or takes back an order, and destroys nothing.
    """
    found = look_up(event)
    if found.mark is None:
        raise NotFrozenError("nothing is destroyed before the freeze")
    vault = found.mark.vault or MarkedVault(found.customer, ())
    return DestructionStep(
        found.registry, vault.customer, vault.prefixes, found.mark, found.held, event["round"]
    )


def open_destruction(event: dict[str, Any]) -> DestructionStep:
    """Return the step of a customer whose data is to go. Raises NotFrozenError, DestructionHeldError."""
    step = find_destruction(event)
    if step.mark.vault is None:
        raise NotFrozenError(
            "the mark is an earlier version's: start the state machine, which notes the vault"
        )
    if step.held:
        raise DestructionHeldError("the contract is held")
    return step


def check_bucket(vault: Vault) -> bool:
    """Return whether the bucket is there. Raises NotOfThisCustomerError unless its tag names the customer."""
    try:
        tags = vault.s3.get_bucket_tagging(Bucket=vault.customer.bucket)["TagSet"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            return False
        if code != "NoSuchTagSet":
            raise
        tags = []
    _check("bucket", vault, [(tag["Key"], tag["Value"]) for tag in tags])
    return True


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
