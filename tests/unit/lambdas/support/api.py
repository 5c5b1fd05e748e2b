"""A region as the functions find it: tables, vaults, a state machine; and a way to call the API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from jsonschema_rs import Draft202012Validator

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.vault import sessions

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

    def register(self, customer_id: str, **changes: Any) -> None:  # noqa: ANN401 - facts of a customer
        """Enter the customer with a program `<id>-dpo`, or enter it anew with other facts."""
        facts: dict[str, Any] = {
            "bucket": f"vault-{customer_id}",
            "table": f"vault-{customer_id}",
            "key_arn": self.key_arn(customer_id),
            "datasets": DATASETS,
            "programs": {f"{customer_id}-dpo": "dpo"},
        }
        enter_customer(self.registry_table, customer_id, **{**facts, **changes})

    def key_arn(self, customer_id: str) -> str:
        return str(client("kms").describe_key(KeyId=f"alias/vault-{customer_id}")["KeyMetadata"]["Arn"])

    def items(self, table: str) -> list[dict[str, Any]]:
        return list(aws_clients.dynamodb().scan(TableName=table)["Items"])

    def executions(self, machine: str | None = None) -> list[dict[str, Any]]:
        """The executions of the run's state machine, or of another."""
        pages = client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=machine or self.state_machine_arn)
        return [each for page in found for each in page["executions"]]

    def end_executions(self, machine: str | None = None) -> None:
        for execution in self.executions(machine):
            client("stepfunctions").stop_execution(executionArn=execution["executionArn"])


@dataclass
class Api:
    """Calls handlers with API Gateway's events, and holds every answer against the contract."""

    cloud: Cloud
    document: dict[str, Any] = field(repr=False)
    functions: Functions = field(default_factory=Functions)

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
        claims: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> Response:
        event = self.event(
            method, path, body, raw=raw, client=client, scopes=scopes, query=query, **parameters
        )
        event["requestContext"]["authorizer"]["claims"] |= claims or {}
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
        # As Cognito makes them: the subject of a program's token is the program itself.
        claims = {"client_id": client, "sub": client, "scope": scopes}
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
                "authorizer": {"claims": claims},
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
        return self.functions.module(name)

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


def make_cloud() -> Cloud:
    """Make the region with the customers acme and zenith."""
    region = Cloud(
        registry_table=make_table("registry", sort_key=False),
        request_table=make_table("requests"),
        state_machine_arn=make_state_machine("run"),
        export_machine_arn=make_state_machine("export"),
    )
    customers = ["acme", "zenith"]
    for customer_id in customers:
        make_table(f"vault-{customer_id}")
        make_bucket(f"vault-{customer_id}", versioned=False)
        make_key(alias=f"vault-{customer_id}")
        region.register(customer_id)
        begin_vault(
            region.registry_table,
            customer_id,
            table=f"vault-{customer_id}",
            key_arn=region.key_arn(customer_id),
        )
    enter(region.registry_table, "customers", ids=json.dumps(customers))
    return region


VARIABLES = {
    environment.REGISTRY_TABLE: "registry",
    environment.REQUEST_TABLE: "requests",
    environment.RUN_STATE_MACHINE_ARN: f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:run",
    environment.EXPORT_STATE_MACHINE_ARN: f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:export",
    environment.PURPOSE_ROLE_ARN: f"arn:aws:iam::{ACCOUNT}:role/purpose",
}
"""The environment of that region's functions."""
