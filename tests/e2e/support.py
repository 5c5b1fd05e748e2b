"""What the end-to-end tests share."""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
import botocore.session

from local.client import PrivacyClient, RequestView
from local.commands.reindex import carry_out
from local.demo.generate import RegionData
from local.demo.load import send, wait_until_indexed
from local.deploy.settings import stack_config
from local.emulator.emulator import ACCOUNT, Emulator, client_config
from local.stacks import Stack, Vault
from local.vaults import VaultView
from privacy.requests.run_lock import CONTRACT_END
from privacy.vault.session_policies import VaultResources, session_policy

_numbers = itertools.count(1)
_descriptions = botocore.session.Session().get_component("data_loader")

LEAVING = "hooli"
"""A customer of eu-west whose contract ends, so that no other test may count on it."""


def customers_with_more(**contract: str | int) -> str:
    """The customers of eu-west, acme with a principal, so that its access role exists, and a dataset that is
    walked; and one more customer, with these terms of its contract instead of its own.
    """
    customers: list[dict[str, Any]] = json.loads(stack_config("eu-west")["gdpr:customers"])
    (acme,) = (customer for customer in customers if customer["id"] == "acme")
    acme["principals"] = [f"arn:aws:iam::{ACCOUNT}:root"]
    rows = {"format": "jsonl", "subject": "author.email", "personal": {"author.email": "email"}}
    acme["datasets"].append({"name": "dumps", "prefix": "dumps/", "index": "scan", **rows})
    terms = {"starts": "2026-01-01", "ends": "2099-12-31", "keyDeletionDays": 7, **contract}
    names = {"id": LEAVING, "controller": "Hooli Ltd", "contact": "privacy@hooli.example"}
    return json.dumps([*customers, {**acme, **names, "principals": [], "contract": terms}])


def somebody() -> str:
    """An e-mail address that nobody else has."""
    return f"{next(_numbers):04d}.jemand@Müsterpost.example"


@dataclass(frozen=True, slots=True)
class World:
    """Two regions that are up, and what was sent to them."""

    emulator: Emulator
    stacks: Mapping[str, Stack]
    data: Mapping[str, RegionData]
    _clients: dict[tuple[str, str, str | None], PrivacyClient] = field(default_factory=dict)
    _sessions: dict[tuple[str, ...], boto3.Session] = field(default_factory=dict)
    _aws: dict[tuple[boto3.Session, str, str | None], Any] = field(default_factory=dict)

    def api(self, stack: str, customer: str, program: str | None = None) -> PrivacyClient:
        """An API client of a customer, by default of its first program."""
        key = (stack, customer, program)
        if key not in self._clients:
            self._clients[key] = self.stacks[stack].client(customer, program)
        return self._clients[key]

    def view(self, stack: str, customer: str) -> VaultView:
        """A customer's vault as the account's root sees it."""
        return VaultView(self.emulator, self.stacks[stack], customer)

    def send_everything(self) -> None:
        """Send every customer's data, with records of the first few people, and wait for the index."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._send_everything, self.data))
        for name, region in self.data.items():
            for data in region.customers.values():
                wait_until_indexed(self.emulator, self.stacks[name], data)

    def _send_everything(self, name: str) -> None:
        for customer, data in self.data[name].customers.items():
            some = replace(data, records=data.records[:6] + data.records[-6:])
            send(self.api(name, customer), some)

    def run_everything_once(self) -> None:
        """Have every function of both regions run, so that its credentials exist."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._run_everything_once, self.stacks))

    def _run_everything_once(self, name: str) -> None:
        stack = self.stacks[name]
        customer = next(iter(stack.vaults))
        api = self.api(name, customer)
        api.call("GET", "/v1/health")
        person = somebody()
        dataset = self.data[name].customers[customer].customer.of_format("records")[0]
        api.put_record(dataset.name, "first-1", person, {"name": "First"})
        request = api.request_erasure([person])
        assert api.requests()
        assert api.contract()["state"] == "running"
        export = api.wait_for_export(api.request_export().id)
        assert list(api.export_files(export.id))
        assert list(api.unattributed_files()) == []
        change = {"dataset": dataset.name, "set": {"name": "N"}}
        completed(api, api.request_correction(person, [change]))
        completed(api, request)
        functions = self.emulator.client("lambda", stack.region)
        functions.invoke(FunctionName=f"{stack.prefix}-sweep-runs")
        for step in ("empty-bucket", "verify-destruction"):
            # Refused: nobody is frozen. Refused or not, the function has its credentials then.
            answer = functions.invoke(
                FunctionName=f"{stack.prefix}-{step}",
                Payload=json.dumps({"customer": customer, "round": 0}),
            )
            assert "FunctionError" in answer
        carry_out(self.emulator.client("stepfunctions", stack.region), stack, customer, dry_run=True)
        replayed(self, name, customer, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def settle(self) -> None:
        """Wait until no run is under way and no bucket event is: then nothing changes by itself."""
        for stack in self.stacks.values():
            wait_for(partial(self._is_quiet, stack), f"{stack.name} to come to rest")

    def _is_quiet(self, stack: Stack) -> bool:
        sqs, dynamodb = (self.emulator.client(service, stack.region) for service in ("sqs", "dynamodb"))
        queue = sqs.get_queue_url(QueueName=f"{stack.prefix}-object-events")["QueueUrl"]
        counted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        if int(counted["ApproximateNumberOfMessages"]) + int(
            counted["ApproximateNumberOfMessagesNotVisible"]
        ):
            return False
        locks = [{"pk": {"S": f"customer#{customer}"}, "sk": {"S": "run"}} for customer in stack.vaults]
        table = f"{stack.prefix}-requests"
        held = (dynamodb.get_item(TableName=table, Key=lock, ConsistentRead=True) for lock in locks)
        return not any(answer["Item"]["run_id"]["S"] != CONTRACT_END for answer in held if "Item" in answer)

    def send_rows(self, subjects: Iterable[str], key: str, *, text: str = "fine") -> bytes:
        """Send acme a feedback file with a row for each subject, wait for the index; the file's bytes."""
        rows = [{"author": {"name": "J. Jemand", "email": subject}, "text": text} for subject in subjects]
        content = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        self.send_file(key, content, len({subject.casefold() for subject in subjects}))
        return content

    def send_file(self, key: str, content: bytes, subjects: int) -> None:
        """Send acme a feedback file about so many different people, and wait for the index."""
        self.api("eu-west", "acme").upload("feedback", key, content)
        version = self.newest(key)
        view = self.view("eu-west", "acme")
        wait_for(lambda: view.entries_of(key, version) >= subjects, f"the index of {key}")

    def remove(self, key: str) -> None:
        """Delete every version of one of acme's files; return once the list of what to mend is empty."""
        s3, bucket = self.emulator.client("s3", "eu-west-1"), self.stacks["eu-west"].vaults["acme"].bucket
        listed = s3.list_object_versions(Bucket=bucket, Prefix=key)
        for version in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        api = self.api("eu-west", "acme")
        wait_for(lambda: not list(api.unattributed_files()), "the end of the notes")

    def newest(self, key: str) -> str:
        """Id of the newest version of one of acme's objects."""
        s3 = self.emulator.client("s3", "eu-west-1")
        return str(s3.head_object(Bucket=self.stacks["eu-west"].vaults["acme"].bucket, Key=key)["VersionId"])

    def function_session(self, stack: str, function: str) -> boto3.Session:
        """A session of a function's own role, as the function itself has it.

        The emulator derives a function's credentials from its ARN and its role's.
        """
        if (stack, function) not in self._sessions:
            self._sessions[stack, function] = self._function_session(stack, function)
        return self._sessions[stack, function]

    def _function_session(self, stack: str, function: str) -> boto3.Session:
        region, account = self.stacks[stack].region, self.stacks[stack].account
        name = f"{self.stacks[stack].prefix}-{function}"
        arns = f"arn:aws:lambda:{region}:{account}:function:{name}:arn:aws:iam::{account}:role/{name}"
        digest = hashlib.sha256(arns.encode()).hexdigest()
        return session(
            aws_access_key_id=f"ASIA{digest[:16].upper()}",
            aws_secret_access_key=hashlib.sha256(f"secret:{digest}".encode()).hexdigest(),
            aws_session_token=hashlib.sha256(f"token:{digest}".encode()).hexdigest(),
            region_name=region,
        )

    def purpose_session(
        self, stack: str, function: str, purpose: str, customer: str, uploads: str | None = None
    ) -> boto3.Session:
        """A session of a purpose role for one customer, assumed as the function does."""
        vault = resources(self.stacks[stack], customer, uploads)
        return self.session_within(stack, function, purpose, session_policy(purpose, vault))

    def session_within(self, stack: str, function: str, purpose: str, policy: str) -> boto3.Session:
        """A session of a purpose role under a session policy, assumed with the function's own role."""
        key = (stack, function, purpose, policy)
        if key not in self._sessions:
            self._sessions[key] = self._session_within(stack, function, purpose, policy)
        return self._sessions[key]

    def _session_within(self, stack: str, function: str, purpose: str, policy: str) -> boto3.Session:
        here = self.stacks[stack]
        credentials = self.aws(self.function_session(stack, function), "sts").assume_role(
            RoleArn=f"arn:aws:iam::{here.account}:role/{here.prefix}-purpose-{purpose}",
            RoleSessionName=f"probe-{purpose}",
            Policy=policy,
        )["Credentials"]
        return session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=here.region,
        )

    def aws(self, session: boto3.Session, service: str, region: str | None = None) -> Any:
        """A client of the emulator with a session's credentials."""
        key = (session, service, region)
        if key not in self._aws:
            anything: Any = session
            self._aws[key] = anything.client(
                service,
                region_name=region,
                endpoint_url=self.emulator.url,
                verify=str(self.emulator.authority),
                config=client_config(),
            )
        return self._aws[key]


def session(**credentials: str) -> boto3.Session:
    """A session that has the descriptions of the services from all others: reading them takes long."""
    own: Any = botocore.session.Session()
    own.register_component("data_loader", _descriptions)
    return boto3.Session(botocore_session=own, **credentials)


def resources(stack: Stack, customer: str, uploads: str | None = None) -> VaultResources:
    """A vault's resources as a session policy names them."""
    vault: Vault = stack.vaults[customer]
    return VaultResources(
        customer=customer,
        bucket_arn=f"arn:aws:s3:::{vault.bucket}",
        table_arn=f"arn:aws:dynamodb:{stack.region}:{stack.account}:table/{vault.table}",
        key_arn=vault.key_arn,
        uploads=uploads,
        evidence_arn=f"arn:aws:s3:::{stack.prefix}-evidence-{stack.account}-{stack.region}",
    )


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def replayed(world: World, stack: str, customer: str, restored_from: str) -> None:
    """Replay a customer's ledger, and wait until all that it asked for has ended well."""
    here = world.stacks[stack]
    states = world.emulator.client("stepfunctions", here.region)
    execution = states.start_execution(
        stateMachineArn=f"arn:aws:states:{here.region}:{here.account}:stateMachine:{here.prefix}-replay",
        input=json.dumps({"customer": customer, "restored_from": restored_from}),
    )["executionArn"]

    def has_ended() -> bool:
        return str(states.describe_execution(executionArn=execution)["status"]) != "RUNNING"

    wait_for(has_ended, "the replay")
    ended = states.describe_execution(executionArn=execution)
    assert ended["status"] == "SUCCEEDED", ended
    api = world.api(stack, customer)
    asked = [request for request in api.requests(limit=100) if request.restored_from == restored_from]
    assert asked
    for request in asked:
        completed(api, request)


def completed(api: PrivacyClient, request: RequestView) -> RequestView:
    """The request once it has ended; it must have ended well."""
    ended = api.wait(request.id)
    assert ended.state == "completed", ended.detail
    return ended
