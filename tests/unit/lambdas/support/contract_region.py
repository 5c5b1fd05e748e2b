"""A region in which the contract of one of two customers is over."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from components.machines.contract_end import ContractEndSteps, contract_end_definition
from privacy import environment
from privacy.customers.registry import Registry
from privacy.identifiers import uuid7
from privacy.requests.store import RequestStore

from ..region import (
    ACCOUNT,
    REGION,
    Functions,
    begin_vault,
    client,
    enter,
    enter_customer,
    make_bucket,
    make_key,
    make_state_machine,
    make_table,
)
from .state_machine import Execution, TaskFailedError

REGISTRY, REQUESTS, EVIDENCE = "gdpr-eu-west-registry", "gdpr-eu-west-requests", "gdpr-eu-west-evidence"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gdpr-eu-west-run"
CONTRACT_END = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gdpr-eu-west-contract-end"
BUS = "gdpr-eu-west-contracts"
CUSTOMERS = ("acme", "globex")
PROGRAMS = ("dpo", "support")
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
    "keep": "keep_key",
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
        default_factory=lambda: contract_end_definition(ContractEndSteps(**STEPS), 2)
    )
    milliseconds: Callable[[], int] = lambda: 900_000
    functions: Functions = field(default_factory=Functions)

    def aws(self, service: str) -> Any:  # noqa: ANN401 - clients of several services
        return client(service)

    def make(self) -> None:
        self.pool = client("cognito-idp").create_user_pool(PoolName="gdpr-eu-west")["UserPool"]["Id"]
        make_table(REGISTRY, sort_key=False)
        make_table(REQUESTS)
        client("events").create_event_bus(Name=BUS)
        make_bucket(EVIDENCE, versioned=False)
        make_state_machine("gdpr-eu-west-run", seconds=900)
        make_state_machine("gdpr-eu-west-contract-end")
        for customer in CUSTOMERS:
            self._make_vault(customer)
            begin_vault(REGISTRY, customer, table=self.table(customer), key_arn=self.keys[customer])
        self.enter("customers", ids=json.dumps(CUSTOMERS))
        self.register("acme", contract_ends=ENDED)
        self.register("globex", contract_ends=date(2099, 12, 31))

    def _make_vault(self, customer: str) -> None:
        tags = {"stack": "gdpr-eu-west", "customer": customer, "data-class": "personal"}
        make_bucket(self.bucket(customer), tags=tags)
        self.keys[customer] = make_key(tags=tags)
        make_table(self.table(customer), tags=tags, protected=True)
        self.clients[customer] = []
        for program in PROGRAMS:
            name = f"gdpr-eu-west-{customer}.{program}"
            made = client("cognito-idp").create_user_pool_client(UserPoolId=self.pool, ClientName=name)
            self.clients[customer].append(made["UserPoolClient"]["ClientId"])

    def bucket(self, customer: str) -> str:
        return f"gdpr-eu-west-vault-{customer}-{ACCOUNT}-{REGION}"

    def table(self, customer: str) -> str:
        return f"gdpr-eu-west-vault-{customer}"

    def enter(self, pk: str, **attributes: str) -> None:
        enter(REGISTRY, pk, **attributes)

    def register(self, customer: str, *, contract_ends: date, **changes: str) -> None:
        """Enter the customer as `pulumi up` does, with a contract of no grace days."""
        facts: dict[str, Any] = {
            "bucket": self.bucket(customer),
            "table": self.table(customer),
            "key_arn": self.keys[customer],
            "datasets": DATASETS,
            "programs": dict(zip(self.clients[customer], PROGRAMS, strict=True)),
            "contract_starts": "2025-01-01",
            "contract_ends": contract_ends.isoformat(),
            "subject_id": "exact",
            "grace_days": 0,
            "key_deletion_days": 7,
            "user_pool": self.pool,
            "clients": json.dumps(self.clients[customer]),
        }
        enter_customer(REGISTRY, customer, **{**facts, **changes})

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
        try:
            return self.functions.call(function, event, self.milliseconds)
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    def start(self, customer: str = "acme", **more: object) -> Execution:
        return Execution.start(self.definition, "execution-1", {"customer": customer, **more})

    def carry_out(self, execution: Execution) -> Execution:
        """Carry it out to its end, or to where it waits for the key to go."""
        for _ in range(500):
            execution.advance(self.invoke)
            if execution.status != "RUNNING" or execution.waiting_until is not None:
                return execution
        raise AssertionError(f"no end: {execution.done[-20:]}")

    def until(self, execution: Execution, step: str) -> Execution:
        """Carry it out until it has done a step."""
        while step not in execution.done:
            execution.advance(self.invoke)
            assert execution.status == "RUNNING", f"it ended before {step}: {execution.done}"
        return execution

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


VARIABLES = {
    environment.REGISTRY_TABLE: REGISTRY,
    environment.REQUEST_TABLE: REQUESTS,
    environment.RUN_STATE_MACHINE_ARN: MACHINE,
    environment.EVIDENCE_BUCKET: EVIDENCE,
    environment.EVENT_BUS: BUS,
    environment.PURPOSE_ROLE_ARN: f"arn:aws:iam::{ACCOUNT}:role/gdpr-eu-west-purpose-destroy",
}
"""The environment of the functions."""


def make_both() -> tuple[str, dict[str, str], dict[str, list[str]]]:
    """Make both customers with data; return the user pool, their keys and their clients."""
    made = Region()
    made.make()
    for customer in CUSTOMERS:
        made.furnish(customer)
    return made.pool, made.keys, made.clients


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


SECOND = timedelta(seconds=1)
