"""Destroys what a vault has besides files: its table, its customer's clients, its key."""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError
from privacy.contracts.destruction_steps import (
    DestructionStep,
    NotOfThisCustomerError,
    check_key,
    check_table,
)
from privacy.customers.registry import secret_key
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_cognito_idp import CognitoIdentityProviderClient

_NOT_THERE = "ResourceNotFoundException"


class KeyDeletionCancelledError(StepFailedError):
    """Somebody took back the order to delete the key: find out who and why, then start again."""


def delete_table(vault: Vault) -> bool:
    """Have the table deleted, its protection first; return whether it is gone. Otherwise call again.

    With point-in-time recovery DynamoDB keeps a last backup of it for 35 days (its Developer Guide, "Deleting
    a table with point-in-time recovery enabled"); it is unreadable once the vault's key is gone.
    """
    name = vault.customer.table
    try:
        table = vault.dynamodb.describe_table(TableName=name)["Table"]
        if table["TableStatus"] == "DELETING":
            return False
        check_table(vault, table["TableArn"])
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

    Raises NotOfThisCustomerError for a client that the registry knows as another customer's: IAM has no
    resource smaller than the pool, so this is what keeps the others' clients from harm.
    """
    customer = step.customer
    for client in customer.clients:
        program = step.registry.program(client)
        if program is None or program.customer != customer.id:
            raise NotOfThisCustomerError("client")
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


def schedule_key_deletion(vault: Vault) -> None:
    """Order the deletion of the vault's key, unless that was ordered before or it is gone."""
    if key_state(vault)[0] in {"PendingDeletion", "Gone"}:
        return
    check_key(vault)
    vault.kms.schedule_key_deletion(
        KeyId=vault.customer.key_arn.rpartition("/")[2],
        PendingWindowInDays=vault.customer.key_deletion_days,
    )


def key_state(vault: Vault) -> tuple[str, datetime | None]:
    """Return KMS's word for the key's state (`Gone` where there is none), and when it is to be deleted."""
    try:
        metadata = vault.kms.describe_key(KeyId=vault.customer.key_arn)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return "Gone", None
    return metadata["KeyState"], metadata.get("DeletionDate")
