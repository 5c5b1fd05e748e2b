import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.functions.catalogue import FUNCTIONS
from components.machines.contract_end import ContractEndSteps, contract_end_definition
from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.customers.registry import Registry
from privacy.identifiers import uuid7
from privacy.requests.store import RequestStore
from privacy.vault import sessions

from ..runs.state_machine import Execution, TaskFailedError

REGION = "eu-west-1"
ACCOUNT = "123456789012"
REGISTRY, REQUESTS, EVIDENCE = "gdpr-eu-west-registry", "gdpr-eu-west-requests", "gdpr-eu-west-evidence"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gdpr-eu-west-run"
BUS = "gdpr-eu-west-contracts"
CUSTOMERS = ("acme", "globex")
STEPS = {
    "check": "check_contract_end",
    "inventory": "take_inventory",
    "freeze": "freeze_contract",
    "empty": "empty_bucket",
    "table": "delete_table",
    "clients": "delete_clients",
    "key": "schedule_key_deletion",
    "verify": "verify_destruction",
    "confirm": "confirm_key_deletion",
}
DATASETS = [
    {"name": "profiles", "format": "records", "prefix": None, "subject": None, "personal": {"name": "name"}},
    {"name": "feedback", "format": "jsonl", "prefix": "feedback/", "subject": "id", "personal": {"id": "id"}},
    {"name": "letters", "format": "object", "prefix": "letters/", "subject": None, "personal": {}},
]
ENDED = date(2026, 1, 31)


@dataclass
class Region:
    """Two customers of a region; of one the contract and its grace days are over."""

    pool: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    clients: dict[str, list[str]] = field(default_factory=dict)
    definition: dict[str, Any] = field(
        default_factory=lambda: contract_end_definition(ContractEndSteps(**STEPS))
    )
    milliseconds: Callable[[], int] = lambda: 900_000

    def aws(self, service: str) -> Any:  # noqa: ANN401 - clients of several services
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]  # by name

    def make(self) -> None:
        dynamodb, s3 = self.aws("dynamodb"), self.aws("s3")
        self.pool = self.aws("cognito-idp").create_user_pool(PoolName="gdpr-eu-west")["UserPool"]["Id"]
        for name, keys in ((REGISTRY, ["pk"]), (REQUESTS, ["pk", "sk"])):
            make_table(dynamodb, name, keys, {})
        self.aws("events").create_event_bus(Name=BUS)
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=EVIDENCE, CreateBucketConfiguration=where)
        self.aws("stepfunctions").create_state_machine(
            name="gdpr-eu-west-run",
            definition='{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 900, "End": true}}}',
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/gdpr-eu-west-run",
        )
        for customer in CUSTOMERS:
            self._make_vault(customer, where)
        self.register("acme", contract_ends=ENDED)
        self.register("globex", contract_ends=date(2099, 12, 31))

    def _make_vault(self, customer: str, where: dict[str, str]) -> None:
        dynamodb, s3, kms, cognito = (self.aws(each) for each in ("dynamodb", "s3", "kms", "cognito-idp"))
        tags = {"stack": "gdpr-eu-west", "customer": customer, "data-class": "personal"}
        bucket = self.bucket(customer)
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set})
        key_tags = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
        self.keys[customer] = kms.create_key(Tags=key_tags)["KeyMetadata"]["Arn"]
        make_table(dynamodb, self.table(customer), ["pk", "sk"], tags, protected=True)
        self.clients[customer] = []
        for program in ("dpo", "support"):
            name = f"gdpr-eu-west-{customer}.{program}"
            client = cognito.create_user_pool_client(UserPoolId=self.pool, ClientName=name)["UserPoolClient"]
            self.clients[customer].append(client["ClientId"])
            self.enter(f"client#{client['ClientId']}", customer=customer, program=program)
        self.enter(f"bucket#{bucket}", customer=customer)

    def bucket(self, customer: str) -> str:
        return f"gdpr-eu-west-vault-{customer}-{ACCOUNT}-{REGION}"

    def table(self, customer: str) -> str:
        return f"gdpr-eu-west-vault-{customer}"

    def enter(self, pk: str, **attributes: str) -> None:
        item = {"pk": {"S": pk}, **{name: {"S": value} for name, value in attributes.items()}}
        self.aws("dynamodb").put_item(TableName=REGISTRY, Item=item)

    def register(self, customer: str, *, contract_ends: date, **changes: str) -> None:
        """Enter the customer as `pulumi up` does, with a contract of no grace days."""
        facts = {
            "customer": customer,
            "bucket": self.bucket(customer),
            "table": self.table(customer),
            "key_arn": self.keys[customer],
            "contract_starts": "2025-01-01",
            "contract_ends": contract_ends.isoformat(),
            "subject_id": "exact",
            "datasets": json.dumps(DATASETS),
            "user_pool": self.pool,
            "clients": json.dumps(self.clients[customer]),
            **changes,
        }
        item = {"pk": {"S": f"customer#{customer}"}, **{name: {"S": text} for name, text in facts.items()}}
        days = {"grace_days": {"N": "0"}, "key_deletion_days": {"N": "7"}}
        self.aws("dynamodb").put_item(TableName=REGISTRY, Item={**item, **days})

    def furnish(self, customer: str, files: int = 3) -> None:
        """Give the customer files in several versions, a hidden one, unfinished uploads, and records."""
        s3, bucket = self.aws("s3"), self.bucket(customer)
        for number in range(files):
            for body in (b"old", b"new"):
                s3.put_object(Bucket=bucket, Key=f"feedback/{number}.jsonl", Body=body)
        s3.put_object(Bucket=bucket, Key="letters/a b/ü&<>.txt", Body=b"dear sirs")
        s3.delete_object(Bucket=bucket, Key="letters/a b/ü&<>.txt")
        s3.put_object(Bucket=bucket, Key="of no dataset", Body=b"?")
        for number in range(2):
            s3.create_multipart_upload(Bucket=bucket, Key=f"feedback/unfinished-{number}")
        for number in range(5):
            item = {"pk": {"S": f"subject#{number}"}, "sk": {"S": "record#profiles/1"}}
            self.aws("dynamodb").put_item(TableName=self.table(customer), Item=item)

    def ask(self, customer: str) -> str:
        request_id, now = uuid7(), datetime.now(UTC)
        self.requests.create(
            customer, type="erasure", refs=["ab" * 32], request_id=request_id, received_at=now
        )
        return request_id

    @property
    def requests(self) -> RequestStore:
        return RequestStore(REQUESTS)

    @property
    def registry(self) -> Registry:
        return Registry(REGISTRY)

    # -- what AWS does

    def invoke(self, function: str, event: Any) -> Any:  # noqa: ANN401 - what a function takes and gives
        module = importlib.import_module(FUNCTIONS[function].path)
        try:
            answer = module.handler(json.loads(json.dumps(event)), _Context(self.milliseconds))
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error
        return json.loads(json.dumps(answer))

    def start(self, customer: str = "acme", **more: object) -> Execution:
        return Execution.start(self.definition, "execution-1", {"customer": customer, **more})

    def carry_out(self, execution: Execution) -> Execution:
        """Carry it out to its end, or to where it waits for the key to go."""
        for _ in range(500):
            execution.advance(self.invoke)
            if execution.status != "RUNNING" or execution.waiting_until is not None:
                return execution
        raise AssertionError(f"no end: {execution.done[-20:]}")

    def remove_key(self, customer: str) -> None:
        """Let the key's last day pass, if it has not."""
        from moto.backends import get_backend

        backend = get_backend("kms")[ACCOUNT][REGION]
        backend.keys.pop(self.keys[customer].rpartition("/")[2], None)

    # -- what there is

    def contents(self, customer: str) -> dict[str, Any]:
        """Everything in the customer's vault, and its clients."""
        s3, bucket = self.aws("s3"), self.bucket(customer)
        listed = s3.list_object_versions(Bucket=bucket)
        uploads = s3.list_multipart_uploads(Bucket=bucket)
        metadata: dict[str, Any] = {}
        try:
            metadata = self.aws("kms").describe_key(KeyId=self.keys[customer])["KeyMetadata"]
        except self.aws("kms").exceptions.NotFoundException:
            metadata = {"KeyState": "Gone"}
        clients = self.aws("cognito-idp").list_user_pool_clients(UserPoolId=self.pool, MaxResults=60)
        return {
            "versions": sorted(
                (each["Key"], each["VersionId"], s3.get_object(
                    Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read())
                for each in listed.get("Versions", [])
            ),
            "markers": sorted(each["VersionId"] for each in listed.get("DeleteMarkers", [])),
            "uploads": sorted(each["UploadId"] for each in uploads.get("Uploads", [])),
            "items": self._items(customer),
            "key": metadata["KeyState"],
            "clients": sorted(
                client["ClientId"]
                for client in clients["UserPoolClients"]
                if client["ClientId"] in self.clients[customer]
            ),
        }  # fmt: skip

    def _items(self, customer: str) -> list[Any] | None:
        dynamodb = self.aws("dynamodb")
        try:
            found: list[Any] = dynamodb.scan(TableName=self.table(customer))["Items"]
        except dynamodb.exceptions.ResourceNotFoundException:
            return None
        return found

    def evidence(self) -> dict[str, dict[str, Any]]:
        s3 = self.aws("s3")
        return {
            each["Key"]: json.loads(s3.get_object(Bucket=EVIDENCE, Key=each["Key"])["Body"].read())
            for each in s3.list_objects_v2(Bucket=EVIDENCE).get("Contents", [])
        }


NOTHING = {
    "versions": [],
    "markers": [],
    "uploads": [],
    "items": None,
    "key": "PendingDeletion",
    "clients": [],
}
"""What is left of a vault after the first stage."""


@dataclass
class _Context:
    get_remaining_time_in_millis: Callable[[], int]


def make_table(
    dynamodb: Any,  # noqa: ANN401 - a client by name
    name: str,
    keys: list[str],
    tags: dict[str, str],
    *,
    protected: bool = False,
) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=protected,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    """Both customers with data."""
    values = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        environment.REGISTRY_TABLE: REGISTRY,
        environment.REQUEST_TABLE: REQUESTS,
        environment.RUN_STATE_MACHINE_ARN: MACHINE,
        environment.EVIDENCE_BUCKET: EVIDENCE,
        environment.EVENT_BUS: BUS,
        environment.PURPOSE_ROLE_ARN: f"arn:aws:iam::{ACCOUNT}:role/gdpr-eu-west-purpose-destroy",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    make_client = boto3.client

    @cache
    def client(service: str) -> Any:  # noqa: ANN401 - making one takes longer than most calls
        return make_client(service, region_name=REGION)  # type: ignore[call-overload]  # by name

    monkeypatch.setattr(boto3, "client", lambda service, **_: client(service))
    with mock_aws():
        aws_clients.forget()
        sessions.forget()
        for function in STEPS.values():
            importlib.reload(importlib.import_module(FUNCTIONS[function].path))
        made = Region()
        made.make()
        for customer in CUSTOMERS:
            made.furnish(customer)
        yield made
        aws_clients.forget()
        sessions.forget()


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


SECOND = timedelta(seconds=1)
