"""The process's own AWS clients, made once and kept for the warm life of the function.

They act with the function's own role, which reaches no customer data; a vault's clients come from
`privacy.vault.sessions`.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_cognito_idp import CognitoIdentityProviderClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient
    from types_boto3_stepfunctions import SFNClient
    from types_boto3_sts import STSClient

CLIENT_CONFIG: Final = Config(
    # A call behind the API has to end well before API Gateway's 29 seconds: 3 attempts of at most 6.
    connect_timeout=2,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 3},
)
"""Timeouts (seconds) and retries for calls that answer quickly: tables, tokens, workflow starts."""

S3_CONFIG: Final = Config(
    signature_version="s3v4",
    # Without these, presigned URLs name the global endpoint: data would be sent by way of another region.
    s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
)
"""How S3 is spoken to, whoever speaks."""


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the DynamoDB client of the function's own role."""
    client: DynamoDBClient = boto3.client("dynamodb", config=CLIENT_CONFIG)
    return client


@cache
def stepfunctions() -> "SFNClient":
    """Return the Step Functions client of the function's own role."""
    client: SFNClient = boto3.client("stepfunctions", config=CLIENT_CONFIG)
    return client


@cache
def s3() -> "S3Client":
    """Return the S3 client of the function's own role: it writes evidence, and reaches no vault."""
    client: S3Client = boto3.client("s3", config=CLIENT_CONFIG.merge(S3_CONFIG))
    return client


@cache
def cognito() -> "CognitoIdentityProviderClient":
    """Return the Cognito client of the function's own role."""
    client: CognitoIdentityProviderClient = boto3.client("cognito-idp", config=CLIENT_CONFIG)
    return client


@cache
def events() -> "EventBridgeClient":
    """Return the EventBridge client of the function's own role."""
    client: EventBridgeClient = boto3.client("events", config=CLIENT_CONFIG)
    return client


@cache
def sqs() -> "SQSClient":
    """Return the SQS client of the function's own role."""
    client: SQSClient = boto3.client("sqs", config=CLIENT_CONFIG)
    return client


@cache
def sts() -> "STSClient":
    """Return the STS client of the function's own role; it signs for the stack's region only."""
    client: STSClient = boto3.client("sts", config=CLIENT_CONFIG)
    return client


def forget() -> None:
    """Drop the clients, as a new process would: for tests and for the emulator."""
    for client in (cognito, dynamodb, events, s3, stepfunctions, sqs, sts):
        client.cache_clear()
