"""Access to a customer's vault: credentials for one purpose and one customer, and the vault's secret."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypedDict

import boto3
from botocore.config import Config

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.customers.customer import Customer
from privacy.vault import subject_secret
from privacy.vault.session_policies import VaultResources, encryption_context, session_policy

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_kms import KMSClient
    from types_boto3_s3 import S3Client
    from types_boto3_sts.type_defs import CredentialsTypeDef

_log: Final = logging.getLogger("privacy")

SESSION_SECONDS: Final = 3600
"""Life of a session. AWS caps it at one hour where a role assumes a role (role chaining)."""

REFRESH_SECONDS: Final = 16 * 60
"""A session with less time left is not handed out: no function runs longer than Lambda's 15 minutes."""

MOST_SESSIONS: Final = 100
"""Sessions that a function keeps, the last used: each has clients of its own, which take up to a MiB."""

PACKED_SIZE_FIELD: Final = "packedPolicySize"
"""Field of the log line of a new session: percent of the space that AWS has for a packed session policy."""

_CLIENT_CONFIG: Final = Config(
    connect_timeout=3,
    read_timeout=20,  # a part of 16 MiB has to fit
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=16,
)
_S3_CONFIG: Final = _CLIENT_CONFIG.merge(aws_clients.S3_CONFIG)


class _Keys(TypedDict):
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_session_token: str


@dataclass(frozen=True)
class _Session:
    """Credentials of one assumed session, its clients made when first used, and the secret once read."""

    credentials: "CredentialsTypeDef"
    expires: float
    sealed: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)

    @cached_property
    def s3(self) -> "S3Client":
        client: S3Client = boto3.client("s3", config=_S3_CONFIG, **self._keys())
        return client

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = boto3.client("dynamodb", config=_CLIENT_CONFIG, **self._keys())
        return client

    @cached_property
    def kms(self) -> "KMSClient":
        client: KMSClient = boto3.client("kms", config=_CLIENT_CONFIG, **self._keys())
        return client

    def _keys(self) -> _Keys:
        return {
            "aws_access_key_id": self.credentials["AccessKeyId"],
            "aws_secret_access_key": self.credentials["SecretAccessKey"],
            "aws_session_token": self.credentials["SessionToken"],
        }


@dataclass(frozen=True)
class Vault:
    """One customer's vault as one purpose may reach it. The clients' credentials end with the session."""

    customer: Customer
    _session: _Session

    @property
    def s3(self) -> "S3Client":
        """S3 client: the customer's bucket and nothing else."""
        return self._session.s3

    @property
    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB client: the customer's table and nothing else."""
        return self._session.dynamodb

    @property
    def kms(self) -> "KMSClient":
        """KMS client: the vault's key and nothing else, and of that what the purpose has."""
        return self._session.kms

    @property
    def noted(self) -> set[str]:
        """Prefixes of which this session has seen a note of how their files are read (`readings`)."""
        return self._session.noted

    def sealed_secret(self) -> bytes:
        """Return the vault's subject secret as it is kept: KMS ciphertext.

        Raises what `subject_secret.read` raises.
        """
        known = self._session.sealed.get(self.customer.table)
        if known is None:
            known = subject_secret.read(self.customer, self.dynamodb)
            self._session.sealed[self.customer.table] = known
        return known

    def subject_secret(self) -> bytes:
        """Return the secret behind the vault's subject references: it is in the clear only in memory.

        Raises what `subject_secret.read` raises.
        """
        known = self._session.secrets.get(self.customer.table)
        if known is None:
            known = self._session.kms.decrypt(
                CiphertextBlob=self.sealed_secret(),
                EncryptionContext=encryption_context(self.customer.id),
                KeyId=self.customer.key_arn,
            )["Plaintext"]
            self._session.secrets[self.customer.table] = known
        return known


_sessions: dict[tuple[str, str, str], _Session] = {}


def open_vault(
    customer: Customer,
    purpose: str,
    *,
    uploads: str | None = None,
    clock: Callable[[], float] = time.time,
) -> Vault:
    """Open the customer's vault for one purpose.

    Assumes the function's purpose role (PURPOSE_ROLE_ARN) with the session policy of purpose and customer;
    `uploads` is the dataset's prefix below which an ingest session may put files, none where it is left out.
    Sessions are kept for the warm life of the function while they have `REFRESH_SECONDS` left: the last
    `MOST_SESSIONS` of them.

    Raises KeyError for an unknown purpose and ClientError where the role cannot be assumed.
    """
    role = environment.read(environment.PURPOSE_ROLE_ARN)
    policy = session_policy(purpose, vault_resources(customer, uploads))
    # The policy names whatever the session reaches, so it is the part of the cache key that tells vaults, and
    # datasets that are sent to, apart.
    key = (role, customer.id, policy)
    session = _sessions.pop(key, None)
    if session is None or session.expires - clock() < REFRESH_SECONDS:
        answer = aws_clients.sts().assume_role(
            RoleArn=role,
            RoleSessionName=f"{customer.id}-{purpose}",
            Policy=policy,
            DurationSeconds=SESSION_SECONDS,
        )
        packed = answer.get("PackedPolicySize")
        # Lambda makes a field of the JSON line of what is `extra`, and nothing of None: the metric's value.
        _log.info(
            "session opened: customer=%s purpose=%s packed=%s",
            customer.id,
            purpose,
            packed,
            extra={PACKED_SIZE_FIELD: packed},
        )
        credentials = answer["Credentials"]
        session = _Session(credentials, credentials["Expiration"].timestamp())
    _sessions[key] = session
    while len(_sessions) > MOST_SESSIONS:
        del _sessions[next(iter(_sessions))]
    return Vault(customer, session)


def vault_resources(customer: Customer, uploads: str | None = None) -> VaultResources:
    """Return the ARNs of the customer's vault. Partition, region and account are those of its key."""
    _, partition, _, region, account, _ = customer.key_arn.split(":", 5)
    return VaultResources(
        customer=customer.id,
        bucket_arn=f"arn:{partition}:s3:::{customer.bucket}",
        table_arn=f"arn:{partition}:dynamodb:{region}:{account}:table/{customer.table}",
        key_arn=customer.key_arn,
        uploads=uploads,
        evidence_arn=f"arn:{partition}:s3:::{environment.optional(environment.EVIDENCE_BUCKET)}",
    )


def forget() -> None:
    """Drop the sessions, as a new process would: for tests and for the emulator."""
    _sessions.clear()
