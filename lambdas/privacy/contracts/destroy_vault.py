"""Destroys what a vault has besides files: its table, its customer's clients, its key."""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError
from privacy.contracts import destruction_mark
from privacy.contracts.destruction_steps import (
    DestructionStep,
    NotOfThisCustomerError,
    check_bucket,
    check_key,
    check_table,
)
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry, secret_key
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_cognito_idp import CognitoIdentityProviderClient

_NOT_THERE = "ResourceNotFoundException"
_NO_KEY = "NotFoundException"


class KeyDeletionCancelledError(StepFailedError):
    """Somebody took back the order to delete the key: find out who and why, then start again."""


class HoldTooLateError(StepFailedError):
    """A hold came when the key was gone already: nothing is left that it could keep."""


def check_owner(registry: Registry, vault: Vault) -> None:
    """Look, before a mark notes it, whether what the registry leads to is the customer's; touch nothing.

    What is not there is nobody's: the step that was to destroy it finds that out. Raises
    NotOfThisCustomerError.
    """
    check_bucket(vault)
    try:
        check_table(vault, vault.dynamodb.describe_table(TableName=vault.customer.table)["Table"]["TableArn"])
    except ClientError as error:
        if error.response["Error"]["Code"] != _NOT_THERE:
            raise
    try:
        check_key(vault)
    except ClientError as error:
        if error.response["Error"]["Code"] != _NO_KEY:
            raise
    check_clients(registry, vault.customer)


def check_clients(registry: Registry, customer: Customer) -> None:
    """Raise NotOfThisCustomerError for a client that the registry knows as another customer's.

    IAM has no resource smaller than the pool, so this is what keeps the others' clients from harm. A client
    that the registry does not know is of a program whose lines are gone.
    """
    programs = map(registry.program, customer.clients)
    if any(program is not None and program.customer != customer.id for program in programs):
        raise NotOfThisCustomerError("client")


def delete_table(step: DestructionStep, vault: Vault) -> bool:
    """Have the table deleted, its protection first; return whether it is gone. Otherwise call again.

    With point-in-time recovery DynamoDB keeps a last backup of it for 35 days (its Developer Guide, "Deleting
    a table with point-in-time recovery enabled"); it is unreadable once the vault's key is gone.
    """
    name = vault.customer.table
    try:
        table = vault.dynamodb.describe_table(TableName=name)["Table"]
        if table["TableStatus"] == "DELETING":
            step.found("table")
            return False
        check_table(vault, table["TableArn"])
        step.found("table")
        if table.get("DeletionProtectionEnabled"):
            vault.dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        vault.dynamodb.delete_table(TableName=name)
        vault.dynamodb.describe_table(TableName=name)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == _NOT_THERE:
            return True
        # It is being changed: by the call before, or by somebody else.
        if code != "ResourceInUseException":
            raise
    return False


def delete_sealed_secret(step: DestructionStep) -> None:
    """Delete the sealed secret that the registry keeps: as its own item, outside of the vault."""
    aws_clients.dynamodb().delete_item(
        TableName=step.registry.table, Key={"pk": {"S": secret_key(step.customer.id)}}
    )


def delete_clients(step: DestructionStep, cognito: "CognitoIdentityProviderClient") -> None:
    """Delete the customer's OAuth2 clients: whoever has their secrets gets no token any more.

    Raises NotOfThisCustomerError, before it deletes any, as check_clients does.
    """
    customer = step.customer
    check_clients(step.registry, customer)
    for client in customer.clients:
        try:
            cognito.delete_user_pool_client(UserPoolId=customer.user_pool, ClientId=client)
        except ClientError as error:
            if error.response["Error"]["Code"] != _NOT_THERE:
                raise


def clients_left(step: DestructionStep, cognito: "CognitoIdentityProviderClient") -> int:
    """Return how many of the customer's clients are still there."""
    left = 0
    for client in step.customer.clients:
        try:
            cognito.describe_user_pool_client(UserPoolId=step.customer.user_pool, ClientId=client)
        except ClientError as error:
            if error.response["Error"]["Code"] != _NOT_THERE:
                raise
        else:
            left += 1
    return left


def schedule_key_deletion(step: DestructionStep, vault: Vault) -> None:
    """Order the deletion of the vault's key, unless that was ordered before or it is gone.

    Nothing is ordered where S3 refuses to delete some versions: whoever locked them wants them to be read.
    """
    if step.mark.refused:
        return
    state, _ = key_state(vault)
    if state == "Gone":
        return
    check_key(vault)
    # Before the order: a hold that comes from now on finds in the mark that there is one to take back.
    step.found("key")
    if state == "PendingDeletion":
        return
    vault.kms.schedule_key_deletion(
        KeyId=_key_id(vault), PendingWindowInDays=vault.customer.key_deletion_days
    )
    # And after it: such a hold may have come, and gone by the key before the order was there.
    destruction_mark.found(step.registry.table, step.customer.id, "key")


def keep_key(vault: Vault) -> datetime | None:
    """Take back the order to delete the key, which leaves it disabled; return when it would have gone.

    Returns None where no order stood. Raises HoldTooLateError where the key is gone.
    """
    state, deletion = key_state(vault)
    if state == "Gone":
        raise HoldTooLateError("the key is gone; the hold came too late")
    if state != "PendingDeletion":
        return None
    vault.kms.cancel_key_deletion(KeyId=_key_id(vault))
    return deletion


def _key_id(vault: Vault) -> str:
    return vault.customer.key_arn.rpartition("/")[2]


def key_state(vault: Vault) -> tuple[str, datetime | None]:
    """Return KMS's word for the key's state (`Gone` where there is none), and when it is to be deleted."""
    try:
        metadata = vault.kms.describe_key(KeyId=vault.customer.key_arn)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] != _NO_KEY:
            raise
        return "Gone", None
    return metadata["KeyState"], metadata.get("DeletionDate")
