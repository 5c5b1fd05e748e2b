"""What the regions of these tests are made of, on an emulated AWS: tables, buckets, keys, customers.

A region is made once in a process. What is stored in it then is put back for each test: that is faster than
making it anew, and a test finds nothing of another one's.
"""

import functools
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, TypeVar

import boto3
import pytest
from moto import mock_aws

from components.functions.catalogue import FUNCTIONS
from privacy.aws import clients as aws_clients
from privacy.customers.registry import secret_key
from privacy.vault import sessions, subject_secret
from privacy.vault.session_policies import encryption_context

from .support import moto_answers, snapshots

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"

moto_answers.remember_names()

Made = TypeVar("Made")

_snapshots: dict[Callable[[], Any], snapshots.Snapshot] = {}
_clients: dict[str, tuple[Any, dict[str, Any]]] = {}
"""Clients by service, with their attributes as they were made."""


@contextmanager
def emulated(
    patch: pytest.MonkeyPatch, make: Callable[[], Made], variables: Mapping[str, str]
) -> Iterator[Made]:
    """Provide an AWS with what `make` makes in it, to a process that has not called it yet.

    `variables` are the functions' environment. Yields what `make` returns, a copy for each test.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    patch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in variables.items():
        patch.setenv(name, value)
    with mock_aws():
        # A session remembers the descriptions of AWS's services: reading them takes longer than a test.
        patch.setattr(boto3, "DEFAULT_SESSION", _session())
        _forget()
        if make not in _snapshots:
            _snapshots[make] = snapshots.take(make())
            _forget()
        yield snapshots.put_back(_snapshots[make])
        _forget()


def _forget() -> None:
    """Drop what a process remembers of AWS, and what an earlier test may have made of the shared clients."""
    aws_clients.forget()
    sessions.forget()
    for made, attributes in _clients.values():
        # Where a test had replaced a method, the one that was put back is the client's own, not its class's:
        # nobody who replaces the class's later would be asked.
        made.__dict__.clear()
        made.__dict__.update(attributes)


@functools.cache
def _session() -> boto3.Session:
    return boto3.Session()


def client(service: str) -> Any:  # noqa: ANN401 - any service's
    """Return the tests' own client of a service; making one takes longer than a whole run."""
    if service not in _clients:
        made = _session().client(service, region_name=REGION)  # type: ignore[call-overload]  # by name
        _clients[service] = made, dict(vars(made))
    return _clients[service][0]


def share_clients(patch: pytest.MonkeyPatch) -> None:
    """Let the functions use the tests' clients, whatever credentials and settings they ask for."""
    patch.setattr(boto3, "client", lambda service, **_: client(service))


@dataclass
class Functions:
    """The functions of a region, each loaded when it is first called, as a new process does."""

    loaded: dict[str, ModuleType] = field(default_factory=dict)

    def module(self, name: str) -> ModuleType:
        """Return the handler's module after a cold start: what an earlier test's remembers is gone."""
        if name not in self.loaded:
            module = importlib.import_module(FUNCTIONS[name].path)
            self.loaded[name] = importlib.reload(module)
        return self.loaded[name]

    def call(self, name: str, event: Any, milliseconds: Callable[[], int]) -> Any:  # noqa: ANN401 - JSON
        """Call a function as Lambda does, with an event and an answer in JSON, and so much time left."""
        answer = self.module(name).handler(json.loads(json.dumps(event)), Context(milliseconds))
        return json.loads(json.dumps(answer))

    def restart(self) -> None:
        """Let every function start anew when it is called next."""
        self.loaded.clear()


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about a call."""

    get_remaining_time_in_millis: Callable[[], int]


def make_table(
    name: str,
    *,
    sort_key: bool = True,
    objects_index: bool = False,
    tags: Mapping[str, str] | None = None,
    protected: bool = False,
) -> str:
    """Make a table; with `objects_index` the one in which the subjects of an object are found."""
    keys = {"pk": "HASH"} | ({"sk": "RANGE"} if sort_key else {})
    indexed = {"object": "HASH", "pk": "RANGE"} if objects_index else {}
    indexes = [
        {
            "IndexName": "objects",
            "KeySchema": _key_schema(indexed),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ]
    client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_key_schema(keys),
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in keys | indexed],
        DeletionProtectionEnabled=protected,
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        **({"GlobalSecondaryIndexes": indexes} if objects_index else {}),
    )
    return name


def _key_schema(keys: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()]


def make_bucket(
    name: str, *, versioned: bool = True, locked: bool = False, tags: Mapping[str, str] | None = None
) -> str:
    """Make a bucket; `locked` is one that keeps what is put into it for five years."""
    s3 = client("s3")
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=locked,
    )
    if versioned and not locked:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if locked:
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 5}}
        s3.put_object_lock_configuration(
            Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    if tags:
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_set})
    return name


def make_key(alias: str | None = None, tags: Mapping[str, str] | None = None) -> str:
    """Make a key, and return its ARN."""
    kms = client("kms")
    made = kms.create_key(Tags=[{"TagKey": key, "TagValue": value} for key, value in (tags or {}).items()])
    if alias is not None:
        kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=made["KeyMetadata"]["KeyId"])
    return str(made["KeyMetadata"]["Arn"])


def make_state_machine(name: str, seconds: int = 0) -> str:
    """Make a state machine that does nothing, for so many seconds, and return its ARN."""
    state = {"Type": "Wait", "Seconds": seconds, "End": True} if seconds else {"Type": "Succeed"}
    made = client("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps({"StartAt": "Only", "States": {"Only": state}}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}",
    )
    return str(made["stateMachineArn"])


def enter(registry: str, pk: str, **attributes: str | int) -> None:
    """Put an item into the registry, in place of what is there under its key."""
    item = {"pk": {"S": pk}} | {
        name: {"N": str(value)} if isinstance(value, int) else {"S": value}
        for name, value in attributes.items()
    }
    client("dynamodb").put_item(TableName=registry, Item=item)


def begin_vault(
    registry: str, customer: str, *, table: str, key_arn: str, sealed: bytes | None = None
) -> None:
    """Keep a subject secret in both places, as the deployment of a vault does."""
    if sealed is None:
        sealed = client("kms").generate_data_key_without_plaintext(
            KeyId=key_arn, NumberOfBytes=32, EncryptionContext=encryption_context(customer)
        )["CiphertextBlob"]
    secret = {"ciphertext": {"B": sealed}}
    kept = {"pk": {"S": secret_key(customer)}, "key_arn": {"S": key_arn}, **secret}
    client("dynamodb").put_item(TableName=registry, Item=kept)
    client("dynamodb").put_item(TableName=table, Item={**subject_secret.ITEM_KEY, **secret})


def enter_customer(
    registry: str,
    customer: str,
    *,
    bucket: str,
    table: str,
    key_arn: str,
    datasets: Sequence[Mapping[str, Any]],
    programs: Mapping[str, str],
    **facts: str | int,
) -> None:
    """Enter a customer as a deployment does; `programs` are names by the ids of their clients.

    What `facts` do not say: the contract runs from 2020 without an end, and people are known by their email.
    """
    enter(
        registry,
        f"customer#{customer}",
        **{
            "customer": customer,
            "bucket": bucket,
            "table": table,
            "key_arn": key_arn,
            "contract_starts": "2020-01-01",
            "contract_ends": "9999-12-31",
            "grace_days": 30,
            "subject_id": "email",
            "datasets": json.dumps(datasets),
            **facts,
        },
    )
    enter(registry, f"bucket#{bucket}", customer=customer)
    for client_id, program in programs.items():
        enter(registry, f"client#{client_id}", customer=customer, program=program)
