"""A region as the functions find it: tables, vaults, a state machine; and a way to call the API."""

import functools
import importlib
import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from moto import mock_aws

from components.functions.catalogue import FUNCTIONS
from privacy import environment
from privacy.api import contract as api_contract
from privacy.aws import clients as aws_clients
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.vault import sessions

OPENAPI = Path(api_contract.__file__).with_name("openapi.yaml")
REGION = "eu-west-1"
ACCOUNT = "123456789012"
ALL_SCOPES = "privacy/ingest privacy/erase privacy/correct privacy/access privacy/read privacy/unmask"
DATASETS = [
    {
        "name": "profiles",
        "format": "records",
        "prefix": None,
        "subject": None,
        "personal": {"name": "name", "email": "email", "phone": "phone"},
    },
    {
        "name": "feedback",
        "format": "jsonl",
        "prefix": "feedback/",
        "subject": "author.email",
        "personal": {"author": "name", "author.name": "name", "author.email": "email", "text": "text"},
    },
    {"name": "letters", "format": "object", "prefix": "letters/", "subject": None, "personal": {}},
]


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.text)
        return value

    @property
    def problem(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json"
        return str(self.json["type"]).removeprefix("urn:gdpr:problem:")

    @property
    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.json["errors"]]


@dataclass(frozen=True)
class Cloud:
    """What stands in AWS, and what is in it."""

    registry_table: str
    request_table: str
    state_machine_arn: str
    export_machine_arn: str

    @property
    def requests(self) -> RequestStore:
        return RequestStore(self.request_table)

    @property
    def lock(self) -> RunLock:
        return RunLock(self.request_table, self.state_machine_arn)

    def customer(self, customer_id: str = "acme") -> Customer:
        found = Registry(self.registry_table).customer(customer_id)
        assert found
        return found

    def secret(self, customer_id: str = "acme") -> bytes:
        return sessions.open_vault(self.customer(customer_id), "intake").subject_secret()

    def register(self, customer_id: str, **changes: str) -> None:
        """Enter the customer with a program `<id>-dpo`, or enter it anew with other facts."""
        item = {
            "pk": {"S": f"customer#{customer_id}"},
            "customer": {"S": customer_id},
            "bucket": {"S": f"vault-{customer_id}"},
            "table": {"S": f"vault-{customer_id}"},
            "key_arn": {"S": self.key_arn(customer_id)},
            "contract_starts": {"S": "2020-01-01"},
            "contract_ends": {"S": date.max.isoformat()},
            "grace_days": {"N": "30"},
            "subject_id": {"S": "email"},
            "datasets": {"S": json.dumps(DATASETS)},
        }
        item |= {name: {"S": value} for name, value in changes.items()}
        client = {
            "pk": {"S": f"client#{customer_id}-dpo"},
            "customer": {"S": customer_id},
            "program": {"S": "dpo"},
        }
        bucket = {"pk": {"S": f"bucket#vault-{customer_id}"}, "customer": {"S": customer_id}}
        for each in (item, client, bucket):
            aws_clients.dynamodb().put_item(TableName=self.registry_table, Item=each)

    def key_arn(self, customer_id: str) -> str:
        return str(client("kms").describe_key(KeyId=f"alias/vault-{customer_id}")["KeyMetadata"]["Arn"])

    def items(self, table: str) -> list[dict[str, Any]]:
        return list(aws_clients.dynamodb().scan(TableName=table)["Items"])

    def executions(self, machine: str | None = None) -> list[dict[str, Any]]:
        """The executions of the run's state machine, or of another."""
        listed = client("stepfunctions").list_executions(stateMachineArn=machine or self.state_machine_arn)
        return list(listed["executions"])

    def end_executions(self, machine: str | None = None) -> None:
        for execution in self.executions(machine):
            client("stepfunctions").stop_execution(executionArn=execution["executionArn"])


@dataclass
class Api:
    """Calls handlers with API Gateway's events, and holds every answer against the contract."""

    cloud: Cloud
    document: dict[str, Any] = field(repr=False)
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: str | None = None,
        client: str = "acme-dpo",
        scopes: str = ALL_SCOPES,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | list[str]] | None = None,
        **parameters: str,
    ) -> Response:
        event = self.event(
            method, path, body, raw=raw, client=client, scopes=scopes, query=query, **parameters
        )
        event["multiValueHeaders"] |= {name: [value] for name, value in (headers or {}).items()}
        return self.send(event)

    def event(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: str | None = None,
        client: str = "acme-dpo",
        scopes: str = ALL_SCOPES,
        query: Mapping[str, str | list[str]] | None = None,
        **parameters: str,
    ) -> dict[str, Any]:
        values = {n: v if isinstance(v, list) else [v] for n, v in (query or {}).items()}
        return {
            "resource": path,
            "httpMethod": method,
            "multiValueHeaders": {"Content-Type": ["application/json"]},
            "multiValueQueryStringParameters": values or None,
            "pathParameters": parameters or None,
            "body": raw if raw is not None or body is None else json.dumps(body),
            "isBase64Encoded": False,
            "requestContext": {
                "requestId": "request-1",
                "authorizer": {"claims": {"client_id": client, "scope": scopes}},
            },
        }

    def send(self, event: dict[str, Any]) -> Response:
        operation = self.document["paths"][event["resource"]][event["httpMethod"].lower()]
        answer = self.module(operation["x-function"]).handler(event, None)
        response = Response(answer["statusCode"], answer["headers"], answer["body"])
        self._check(operation, response)
        return response

    def module(self, name: str) -> ModuleType:
        """The handler's module after a cold start of its own."""
        if name not in self.modules:
            sys.modules.pop(FUNCTIONS[name].path, None)
            self.modules[name] = importlib.import_module(FUNCTIONS[name].path)
        return self.modules[name]

    def _check(self, operation: Mapping[str, Any], response: Response) -> None:
        assert response.headers["Cache-Control"] == "no-store"
        if response.status == 500:
            return
        described = operation["responses"][str(response.status)]
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rpartition("/")[2]]
        for name, header in described.get("headers", {}).items():
            assert name in response.headers or not header.get("required")
        if "content" not in described:
            assert response.text == ""
            return
        (media_type, content), *_ = described["content"].items()
        assert response.headers["Content-Type"] == media_type
        schema = {**content["schema"], "components": self.document["components"]}
        Draft202012Validator(schema, validate_formats=True).validate(response.json)


def make_table(name: str, *, sort_key: bool = True) -> str:
    keys = {"pk": "HASH"} | ({"sk": "RANGE"} if sort_key else {})
    client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
    )
    return name


@pytest.fixture(scope="session", autouse=True)
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The contract, put where the package has it: the package's build does the same."""
    loaded = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    path = tmp_path_factory.mktemp("contract") / "openapi.json"
    path.write_text(json.dumps(loaded), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_contract, "DOCUMENT", path)
        yield loaded


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty AWS in one region, and a process that has not called it yet."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        # A session remembers the descriptions of AWS's services: reading them takes longer than a test.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session())
        aws_clients.forget()
        sessions.forget()
        yield REGION
    aws_clients.forget()
    sessions.forget()


@functools.cache
def _session() -> boto3.Session:
    return boto3.Session()


@functools.cache
def client(service: str) -> Any:  # noqa: ANN401 - any service's
    """A client of the tests' own."""
    return _session().client(service)


@pytest.fixture
def cloud(aws: str, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The region with the customers acme and zenith."""
    role = f"arn:aws:iam::{ACCOUNT}:role/purpose"
    machines = [
        client("stepfunctions").create_state_machine(
            name=name, definition='{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}', roleArn=role
        )["stateMachineArn"]
        for name in ("run", "export")
    ]
    region = Cloud(
        registry_table=make_table("registry", sort_key=False),
        request_table=make_table("requests"),
        state_machine_arn=machines[0],
        export_machine_arn=machines[1],
    )
    for customer_id in ("acme", "zenith"):
        make_table(f"vault-{customer_id}")
        client("s3").create_bucket(
            Bucket=f"vault-{customer_id}", CreateBucketConfiguration={"LocationConstraint": aws}
        )
        kms = client("kms")
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/vault-{customer_id}", TargetKeyId=key_id)
        region.register(customer_id)
    aws_clients.dynamodb().put_item(
        TableName=region.registry_table,
        Item={"pk": {"S": "customers"}, "ids": {"S": json.dumps(["acme", "zenith"])}},
    )
    monkeypatch.setenv(environment.REGISTRY_TABLE, region.registry_table)
    monkeypatch.setenv(environment.REQUEST_TABLE, region.request_table)
    monkeypatch.setenv(environment.RUN_STATE_MACHINE_ARN, region.state_machine_arn)
    monkeypatch.setenv(environment.EXPORT_STATE_MACHINE_ARN, region.export_machine_arn)
    monkeypatch.setenv(environment.PURPOSE_ROLE_ARN, role)
    return region


@pytest.fixture
def fresh() -> Iterator[str]:
    """Names that nobody had before, for the examples of a property: they all meet the same tables."""
    return (f"fresh-{number}" for number in itertools.count())


@pytest.fixture
def api(cloud: Cloud, document: dict[str, Any]) -> Api:
    """The API of that region, just deployed."""
    return Api(cloud, document)
