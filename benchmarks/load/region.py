"""One deployed stack as the load sees it: programs to send with, and what it holds afterwards."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.naming import RegionNames
from local.client import PrivacyClient
from local.deploy.settings import project_name, stack_config
from local.emulator.emulator import Emulator
from local.stacks import Stack

_NEEDED_SCOPES = {"ingest", "erase", "correct"}


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """One OAuth2 client that may do everything that the load does, and its customer's config."""

    stack: Stack
    name: str
    customer: Mapping[str, Any]

    def client(self) -> PrivacyClient:
        """Return an API client of this program."""
        return self.stack.client(self.customer["id"], self.name)


@dataclass(frozen=True, slots=True)
class Execution:
    """A run's execution: whose it was, when it started and how it ended."""

    customer: str
    run_id: str
    status: str
    started: datetime


class Region:
    """One stack on the emulator, seen with the rights of the account's root.

    Attributes:
        stack: the deployed stack.
        programs: one program of each customer with all scopes that the load needs.
    """

    def __init__(self, emulator: Emulator, stack: Stack) -> None:
        self.stack = stack
        self.programs = [
            Program(stack, program["name"], customer)
            for customer in json.loads(stack_config(stack.name)["gdpr:customers"])
            for program in _capable(customer)[:1]
        ]
        self._emulator = emulator
        self._names = RegionNames(
            project=project_name(), stack=stack.name, account=stack.account, region=stack.region
        )

    def at_rest(self) -> bool:
        """Return whether no event waits, no request is open, and no run is under way."""
        return self.queues_empty() and not any(self._open_work())

    def queues_empty(self) -> bool:
        """Return whether all bucket events have been taken."""
        return self.messages("object-events") == 0

    def messages(self, queue: str) -> int:
        """Return how many messages a queue holds, those being worked on included."""
        sqs = self._client("sqs")
        url = sqs.get_queue_url(QueueName=self._names.name(queue))["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def executions(self) -> list[Execution]:
        """Return all runs so far, oldest first."""
        pages = self._client("stepfunctions").get_paginator("list_executions")
        listed = pages.paginate(stateMachineArn=self._names.run_machine_arn)
        return sorted(
            (_execution(each) for page in listed for each in page["executions"]),
            key=lambda execution: execution.started,
        )

    def log_lines(self, function: str) -> Iterator[str]:
        """Yield what a function has logged, line by line."""
        pages = self._client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=self._names.function_logs(function)):
            yield from (event["message"] for event in page["events"])

    def objects(self, customer: str) -> Iterator[tuple[str, bytes]]:
        """Yield key and content of every version of every object of a customer."""
        s3, bucket = self._client("s3"), self.stack.vaults[customer].bucket
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in page.get("Versions", []):
                which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
                yield version["Key"], s3.get_object(**which)["Body"].read()

    def vault_items(self, customer: str) -> Iterator[Mapping[str, Any]]:
        """Yield every item of a customer's table."""
        pages = self._client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.stack.vaults[customer].table, ConsistentRead=True):
            yield from page["Items"]

    def _open_work(self) -> Iterator[str]:
        """Yield the markers of requests that have not ended, and the locks of runs."""
        dynamodb = self._client("dynamodb")
        for program in self.programs:
            for kind in ("pending#", "run"):
                answer = dynamodb.query(
                    TableName=self._names.request_table,
                    KeyConditionExpression="pk = :pk AND begins_with(sk, :kind)",
                    ExpressionAttributeValues={
                        ":pk": {"S": f"customer#{program.customer['id']}"},
                        ":kind": {"S": kind},
                    },
                    ConsistentRead=True,
                )
                yield from (item["sk"]["S"] for item in answer["Items"])

    def _client(self, service: str) -> Any:  # noqa: ANN401 - the emulator's clients are typed so
        return self._emulator.client(service, self._names.region)


def _capable(customer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [program for program in customer["programs"] if set(program["scopes"]) >= _NEEDED_SCOPES]


def _execution(listed: Mapping[str, Any]) -> Execution:
    # The name is <customer>-<run id>, and a run id is a UUID of 36 characters.
    name = listed["name"]
    return Execution(name[:-37], name[-36:], listed["status"], listed["startDate"])
