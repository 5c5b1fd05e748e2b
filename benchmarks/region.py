"""One deployed stack as the load sees it: programs to send with, and what it holds afterwards."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from components.naming import RegionNames
from local.client import Credentials, PrivacyClient
from local.deploy.program import deploy
from local.deploy.settings import project_name, stack_config, stack_names
from local.emulator import ACCOUNT, Emulator

_NEEDED_SCOPES = {"ingest", "erase", "correct"}


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """One OAuth2 client that may do everything that the load does, and its customer's config."""

    region: "Region"
    customer: Mapping[str, Any]
    credentials: Credentials

    def client(self) -> PrivacyClient:
        """Return an API client of this program."""
        outputs = self.region.outputs
        return PrivacyClient(
            outputs["apiUrl"], outputs["tokenUrl"], self.credentials, trust=self.region.emulator.authority
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """A run's execution: whose it was, how and when it ended."""

    customer: str
    run_id: str
    status: str
    started: datetime


@dataclass(frozen=True, eq=False)
class Region:
    """One stack on the emulator, seen with the rights of the account's root."""

    emulator: Emulator
    stack: str
    config: Mapping[str, str]
    outputs: Mapping[str, Any]

    @staticmethod
    def names() -> list[str]:
        """Return the names of all stacks."""
        return stack_names()

    @classmethod
    def deploy(cls, emulator: Emulator, stack: str) -> Self:
        """Deploy the stack."""
        return cls(emulator, stack, stack_config(stack), deploy(emulator, stack))

    @property
    def physical(self) -> RegionNames:
        """Names of the stack's resources."""
        return RegionNames(
            project=project_name(), stack=self.stack, account=ACCOUNT, region=self.config["aws:region"]
        )

    @property
    def customers(self) -> list[dict[str, Any]]:
        """The customers' part of the config."""
        found: list[dict[str, Any]] = json.loads(self.config["gdpr:customers"])
        return found

    @property
    def programs(self) -> list[Program]:
        """One program of each customer with all scopes that the load needs."""
        return [
            Program(self, customer, self._credentials(customer["id"], program["name"]))
            for customer in self.customers
            for program in customer["programs"]
            if set(program["scopes"]) >= _NEEDED_SCOPES
        ]

    def at_rest(self) -> bool:
        """Return whether no event waits, no request is open, and no run is under way."""
        return self.queues_empty() and not any(self._open_work())

    def queues_empty(self) -> bool:
        """Return whether all bucket events have been taken."""
        return self.messages("object-events") == 0

    def messages(self, queue: str) -> int:
        """Return how many messages a queue holds, those being worked on included."""
        sqs = self._client("sqs")
        url = sqs.get_queue_url(QueueName=self.physical.name(queue))["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def executions(self) -> list[Execution]:
        """Return all runs so far, oldest first."""
        pages = self._client("stepfunctions").get_paginator("list_executions")
        listed = pages.paginate(stateMachineArn=self.physical.run_machine_arn)
        return sorted(
            (_execution(each) for page in listed for each in page["executions"]),
            key=lambda execution: execution.started,
        )

    def objects(self, customer: str) -> Iterator[tuple[str, bytes]]:
        """Yield key and content of every version of every object of a customer."""
        s3, bucket = self._client("s3"), self.physical.vault_bucket(customer)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in page.get("Versions", []):
                which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
                yield version["Key"], s3.get_object(**which)["Body"].read()

    def vault_items(self, customer: str) -> Iterator[Mapping[str, Any]]:
        """Yield every item of a customer's table."""
        pages = self._client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.physical.vault_table(customer), ConsistentRead=True):
            yield from page["Items"]

    def _open_work(self) -> Iterator[str]:
        """Yield the markers of requests that have not ended, and the locks of runs."""
        dynamodb = self._client("dynamodb")
        for customer in self.customers:
            for kind in ("pending#", "run"):
                answer = dynamodb.query(
                    TableName=self.physical.request_table,
                    KeyConditionExpression="pk = :pk AND begins_with(sk, :kind)",
                    ExpressionAttributeValues={
                        ":pk": {"S": f"customer#{customer['id']}"},
                        ":kind": {"S": kind},
                    },
                    ConsistentRead=True,
                )
                yield from (item["sk"]["S"] for item in answer["Items"])

    def _credentials(self, customer: str, program: str) -> Credentials:
        client = self.outputs["clients"][customer][program]
        return Credentials(client["clientId"], client["clientSecret"])

    def _client(self, service: str) -> Any:  # noqa: ANN401 - the emulator's clients are typed so
        return self.emulator.client(service, self.physical.region)


def _execution(listed: Mapping[str, Any]) -> Execution:
    # The name is <customer>-<run id>, and a run id is a UUID of 36 characters.
    name = listed["name"]
    return Execution(name[:-37], name[-36:], listed["status"], listed["startDate"])
