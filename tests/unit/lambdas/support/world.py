"""One customer's vault with a dataset of each kind, and what happens to it."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Literal
from urllib.parse import quote_plus

from privacy import environment
from privacy.api.records import put_record
from privacy.customers import sealed_references
from privacy.customers.customer import Customer
from privacy.customers.references import asked_references, subject_reference
from privacy.customers.registry import dataset_of_entry
from privacy.identifiers import uuid7
from privacy.requests.caller import Caller
from privacy.requests.request import Request
from privacy.requests.store import RequestStore
from privacy.vault import readings, request_items, sessions

from ..region import (
    ACCOUNT,
    REGION,
    Functions,
    begin_vault,
    client,
    enter_customer,
    make_bucket,
    make_key,
    make_state_machine,
    make_table,
)

BUCKET = "gdpr-eu-west-vault-acme-123456789012-eu-west-1"
TABLE = "gdpr-eu-west-vault-acme"
EVIDENCE = "gdpr-eu-west-evidence-123456789012-eu-west-1"
QUEUE = f"arn:aws:sqs:{REGION}:123456789012:gdpr-eu-west-object-events"
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:gdpr-eu-west-run"

DATASETS = [
    {"name": "profiles", "format": "records", "prefix": None, "subject": None,
     "personal": {"name": "name", "email": "email", "phone": "phone"}},
    {"name": "feedback", "format": "jsonl", "prefix": "feedback/", "subject": "author.email",
     "personal": {"author.name": "name", "author.email": "email", "text": "text"}},
    {"name": "reviews", "format": "jsonl", "prefix": "reviews/", "subject": "id",
     "personal": {"id": "text", "text": "text"}},
    {"name": "answers", "format": "csv", "prefix": "answers/", "subject": "email",
     "personal": {"email": "email", "name": "name", "text": "text"}},
    {"name": "sales", "format": "csv", "prefix": "sales/", "subject": "buyer",
     "personal": {"buyer": "id", "note": "text"},
     "csv": {"delimiter": ";", "quote": "'", "encoding": "windows-1252", "columns": ["no", "buyer", "note"]}},
    {"name": "sheets", "format": "csv", "prefix": "sheets/", "subject": "email",
     "personal": {"email": "email", "text": "text"}, "as_of": "at",
     "csv": {"delimiter": "\t", "quote": '"', "encoding": "utf-16", "columns": None, "header": "caseless"}},
    {"name": "copies", "format": "csv", "prefix": "copies/", "subject": "email",
     "personal": {"email": "email", "text": "text"},
     "csv": {"delimiter": "\t", "quote": None, "encoding": "utf-8", "columns": ["email", "text", "no"],
             "escape": "\\", "comment": "#"}},
    {"name": "mails", "format": "jsonl", "prefix": "mails/", "subject": "recipients[].email",
     "personal": {"recipients[].email": "email", "text": "text"}},
    {"name": "threads", "format": "jsonl", "prefix": "threads/", "subject": "members[]",
     "personal": {"members[]": "id", "title": "text"}, "remove": "element"},
    {"name": "notes", "format": "jsonl", "prefix": "notes/", "subject": "by.email",
     "personal": {"by.email": "email", "text": "text"}, "as_of": "at"},
    {"name": "visits", "format": "csv", "prefix": "visits/", "subject": "email",
     "personal": {"email": "email", "text": "text"}, "as_of": "at"},
    {"name": "archive", "format": "jsonl", "prefix": "archive/", "subject": "by.email",
     "personal": {"by.email": "email", "text": "text"}, "as_of": "at", "index": "scan"},
    {"name": "dumps", "format": "csv", "prefix": "dumps/", "subject": "email",
     "personal": {"email": "email", "text": "text"}, "index": "scan"},
    {"name": "papers", "format": "object", "prefix": "papers/", "subject": None, "personal": {},
     "index": "scan"},
    {"name": "vault", "format": "jsonl", "prefix": "vault/", "subject": "by.email",
     "personal": {"by.email": "email", "text": "text"}, "archived": "restore"},
    {"name": "orders", "format": "parquet", "prefix": "orders/", "subject": "buyer.email",
     "personal": {"buyer.email": "email", "buyer.name": "name", "note": "text", "amount": "other"}},
    {"name": "stays", "format": "parquet", "prefix": "stays/", "subject": "guests[].email",
     "personal": {"guests[].email": "email", "title": "text"}},
    {"name": "groups", "format": "parquet", "prefix": "groups/", "subject": "members[].email",
     "personal": {"members[].email": "email", "title": "text"}, "remove": "element"},
    {"name": "messages", "format": "jsonl", "prefix": "messages/", "subject": None,
     "subjects": ["from.email", "to[].email"],
     "personal": {"from.email": "email", "from.name": "name", "to[].email": "email", "text": "text"}},
    {"name": "transfers", "format": "csv", "prefix": "transfers/", "subject": None,
     "subjects": ["payer", "payee"], "personal": {"payer": "email", "payee": "email", "note": "text"}},
    {"name": "calls", "format": "parquet", "prefix": "calls/", "subject": None,
     "subjects": ["caller", "callees[].email"],
     "personal": {"caller": "email", "callees[].email": "email", "note": "text"}},
    {"name": "legs", "format": "parquet", "prefix": "legs/", "subject": None,
     "subjects": ["from.email", "to.email"],
     "personal": {"from.email": "email", "from.name": "name", "to.email": "email", "to.name": "name"}},
    {"name": "teams", "format": "jsonl", "prefix": "teams/", "subject": None,
     "subjects": ["leads[]", "members[].id", "members[].email"],
     "personal": {"leads[]": "id", "members[].id": "id", "members[].email": "email"}, "remove": "element"},
    {"name": "crews", "format": "parquet", "prefix": "crews/", "subject": None,
     "subjects": ["leads[]", "members[].id", "members[].email"],
     "personal": {"leads[]": "id", "members[].id": "id", "members[].email": "email"}, "remove": "element"},
    {"name": "letters", "format": "object", "prefix": "letters/", "subject": None, "personal": {}},
]  # fmt: skip


@dataclass
class World:
    """One customer's vault and the functions of a region, without Step Functions and SQS between them."""

    s3: Any
    dynamodb: Any
    customer: Customer
    requests: RequestStore
    events: list[dict[str, Any]] = field(default_factory=list)
    functions: Functions = field(default_factory=Functions)
    caller: Caller | None = None

    # -- what the customer does

    def ref(self, identifier: str) -> str:
        secret = sessions.open_vault(self.customer, "intake").subject_secret()
        return subject_reference(secret, identifier, self.customer.subject_id)

    def sealed(self, identifier: str) -> str:
        """What an upload's answer has for this person: another text at each call."""
        secret = sessions.open_vault(self.customer, "intake").subject_secret()
        return sealed_references.seal(secret, self.ref(identifier))

    def refs(self, identifier: str) -> list[str]:
        """Whom the API takes an identifier for that somebody asks for."""
        secret = sessions.open_vault(self.customer, "intake").subject_secret()
        return asked_references(secret, identifier, self.customer.subject_id)

    def put(self, key: str, body: bytes, *, indexed: bool = True, **more: object) -> str:
        version: str = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)["VersionId"]
        below = self.customer.dataset_of(key)
        if below is not None and below.index == "scan":
            return version  # nothing tells of it
        self.notify("ObjectCreated:Put", key, version)
        if indexed:
            assert self.deliver() == []
        return version

    def put_letter(self, key: str, subject: str, **more: object) -> str:
        return self.put(key, b"dear sirs", Metadata={"subject": self.sealed(subject)}, **more)

    def put_record(self, record_id: str, subject: str, **fields: object) -> None:
        opened = sessions.open_vault(self.customer, "ingest")
        put_record(opened, "profiles", record_id, self.ref(subject), fields, datetime.now(UTC))

    def erase(self, *subjects: str) -> str:
        return self._ask("erasure", sorted({ref for subject in subjects for ref in self.refs(subject)}))

    def correct(self, subject: str, changes: Sequence[Mapping[str, Any]]) -> str:
        refs = self.refs(subject)
        request_id = self._ask("correction", refs)
        opened = sessions.open_vault(self.customer, "intake")
        request_items.put_changes(opened, refs, request_id, json.dumps(changes))
        return request_id

    def _ask(self, kind: Literal["erasure", "correction"], refs: list[str]) -> str:
        now = datetime.now(UTC)
        request_id = uuid7(now)
        self.requests.create(
            "acme", type=kind, refs=refs, request_id=request_id, received_at=now, caller=self.caller
        )
        return request_id

    # -- what the operator does

    def declare(self, *datasets: dict[str, Any]) -> None:
        """Deploy the customer with these datasets in place of those that it had."""
        _enter(self.customer.key_arn, datasets)
        self.customer = replace(self.customer, datasets=tuple(map(dataset_of_entry, datasets)))
        self.functions.restart()

    # -- what AWS does

    def notify(self, name: str, key: str, version: str, at: str | None = None) -> dict[str, Any]:
        at = at or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {
            "eventSource": "aws:s3",
            "eventTime": at,
            "eventName": name,
            "s3": {
                "bucket": {"name": BUCKET},
                "object": {"key": quote_plus(key, safe="/"), "versionId": version},
            },
        }
        self.events.append(record)
        return record

    def deliver(self, *records: dict[str, Any]) -> list[str]:
        """Hand the waiting events (or these) to the index function; return the messages it gave back."""
        waiting, self.events = (list(records), self.events) if records else (self.events, [])
        bodies = [json.dumps({"Records": [record]}) for record in waiting]
        return self.deliver_bodies(*bodies)

    def deliver_bodies(self, *bodies: str) -> list[str]:
        messages = [
            {
                "messageId": str(number),
                "body": body,
                "receiptHandle": str(number),
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSourceARN": QUEUE,
            }
            for number, body in enumerate(bodies)
        ]
        answer = self.call("index_objects", {"Records": messages})
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def call(self, function: str, event: dict[str, Any], milliseconds: int = 900_000) -> dict[str, Any]:
        answer: dict[str, Any] = self.functions.call(function, event, lambda: milliseconds)
        return answer

    def plan(self, run_id: str) -> dict[str, Any]:
        return self.call("plan_run", {"customer": "acme", "run_id": run_id})

    def visit(self, planned: Mapping[str, Any]) -> None:
        for batch in planned["batches"]:
            step = {"customer": "acme", "run_id": planned["run_id"], **batch, "done": False}
            while not step["done"]:
                step = self.call("visit_objects", step)

    def complete(self, run_id: str, **more: str) -> dict[str, Any]:
        return self.call("complete_run", {"customer": "acme", "run_id": run_id, **more})

    def run(self) -> str:
        """Carry out one run as the state machine does, and deliver the events it caused."""
        run_id = uuid7()
        before = self.versions()
        planned = self.plan(run_id)
        self.visit(planned)
        self.call("verify_run", {"customer": "acme", "run_id": run_id})
        self.complete(run_id)
        self.notify_differences(before)
        return run_id

    def settle(self) -> None:
        """Deliver what is left of events, and carry out what they ask for."""
        while self.events or self.requests.pending("acme", 1):
            assert self.deliver() == []
            if self.requests.pending("acme", 1):
                self.run()

    def erased(self, *subjects: str) -> Request:
        """Ask for an erasure, have it carried out with all that comes of it, and return the request."""
        request_id = self.erase(*subjects)
        self.settle()
        return self.request(request_id)

    def notify_differences(self, before: list[tuple[str, str, bool]]) -> None:
        after = self.versions()
        for key, version, marker in after:
            if (key, version, marker) not in before and not marker:
                self.notify("ObjectCreated:Put", key, version)
        for key, version, marker in before:
            if (key, version, marker) not in after:
                self.notify("ObjectRemoved:Delete", key, version)

    def evidence(self, kind: str) -> dict[str, dict[str, Any]]:
        """What the evidence bucket has of a kind, by key."""
        listed = self.s3.list_objects_v2(Bucket=EVIDENCE, Prefix=f"{kind}/").get("Contents", [])
        bodies = {
            each["Key"]: self.s3.get_object(Bucket=EVIDENCE, Key=each["Key"])["Body"] for each in listed
        }
        return {key: json.loads(body.read()) for key, body in bodies.items()}

    def use_table(self, name: str) -> None:
        """Go on with another table, as functions do once what they remember of the registry is old."""
        self.customer = replace(self.customer, table=name)
        sessions.forget()
        self.functions.restart()

    def use_key(self, key_arn: str) -> None:
        """Go on with another key, as a vault whose lines were removed and put back; files stay."""
        self.customer = replace(self.customer, key_arn=key_arn)
        _enter(key_arn, DATASETS)
        sessions.forget()
        self.functions.restart()

    def replay(self, restored_from: str) -> dict[str, Any]:
        """Carry out a replay as the state machine does, and the runs that it asks for."""
        step: dict[str, Any] = {"customer": "acme", "restored_from": restored_from}
        while not step.get("done"):
            step = self.call("replay_erasures", {"input": step})
        while self.requests.pending("acme", 1):
            self.run()
            assert self.deliver() == []
        return step

    def past_the_second(self) -> None:
        """Wait until S3's whole seconds tell before from after."""
        time.sleep(1 - datetime.now(UTC).microsecond / 1_000_000)

    # -- what is there afterwards

    def versions(self, key: str | None = None) -> list[tuple[str, str, bool]]:
        """(key, version, is a delete marker) of everything in the bucket."""
        answer = self.s3.list_object_versions(Bucket=BUCKET)
        found = [(v["Key"], v["VersionId"], False) for v in answer.get("Versions", [])]
        found += [(v["Key"], v["VersionId"], True) for v in answer.get("DeleteMarkers", [])]
        return [entry for entry in found if key in {None, entry[0]}]

    def contents(self, key: str) -> list[bytes]:
        """The content of every version of the key."""
        return [
            self.s3.get_object(Bucket=BUCKET, Key=key, VersionId=version)["Body"].read()
            for _, version, marker in self.versions(key)
            if not marker
        ]

    def read(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def request(self, request_id: str) -> Request:
        found = self.requests.get("acme", request_id)
        assert found is not None
        return found

    def items(self) -> list[dict[str, Any]]:
        return list(self.dynamodb.scan(TableName=self.customer.table)["Items"])

    def notes(self) -> list[dict[str, Any]]:
        """What is noted of files that nobody can attribute."""
        return [item for item in self.items() if item["pk"]["S"] == "unattributed"]

    def partition(self, subject: str) -> list[str]:
        """The sort keys in the subject's partition."""
        pk = f"subject#{self.ref(subject)}"
        return sorted(item["sk"]["S"] for item in self.items() if item["pk"]["S"] == pk)

    def executions(self) -> int:
        return len(client("stepfunctions").list_executions(stateMachineArn=MACHINE)["executions"])


REGISTRY, REQUESTS = "gdpr-eu-west-registry", "gdpr-eu-west-requests"
VARIABLES = {
    environment.REGISTRY_TABLE: REGISTRY,
    environment.REQUEST_TABLE: REQUESTS,
    environment.RUN_STATE_MACHINE_ARN: MACHINE,
    environment.EVIDENCE_BUCKET: EVIDENCE,
    environment.PURPOSE_ROLE_ARN: f"arn:aws:iam::{ACCOUNT}:role/gdpr-eu-west-purpose-visit",
}
"""The environment of the functions."""


def make_vault() -> str:
    """Make the region, and return the ARN of the vault's key."""
    key_arn = make_key()
    make_bucket(BUCKET)
    make_bucket(EVIDENCE, locked=True)
    make_table(REGISTRY, sort_key=False)
    make_table(REQUESTS)
    make_table(TABLE, objects_index=True)
    _enter(key_arn, DATASETS)
    begin_vault(REGISTRY, "acme", table=TABLE, key_arn=key_arn)
    make_state_machine("gdpr-eu-west-run")
    # A vault that has been in use: its index knows all files there are.
    opened = sessions.open_vault(world_of(key_arn).customer, "reindex")
    readings.note_compared(opened, readings.current_readings(opened.customer))
    return key_arn


def _enter(key_arn: str, datasets: Sequence[Mapping[str, Any]]) -> None:
    enter_customer(
        REGISTRY,
        "acme",
        bucket=BUCKET,
        table=TABLE,
        key_arn=key_arn,
        datasets=datasets,
        programs={},
        contract_starts="2026-01-01",
        contract_ends="2027-12-31",
    )


def world_of(key_arn: str) -> World:
    """Return the world of the vault that has this key."""
    customer = Customer(
        id="acme",
        bucket=BUCKET,
        table=TABLE,
        key_arn=key_arn,
        contract_starts=date(2026, 1, 1),
        contract_ends=date(2027, 12, 31),
        grace_days=30,
        subject_id="email",
        datasets=tuple(map(dataset_of_entry, DATASETS)),
    )
    return World(client("s3"), client("dynamodb"), customer, RequestStore(REQUESTS))
