"""What AWS charges for taking data in and for erasing from it, computed from counted calls.

The functions are called as AWS calls them, on moto, each in a new process, and every AWS call they make is
counted. What one more of something adds is the difference between two plays. What is not counted is taken:
how long a function works (`SECONDS_A_CALL`, `ROWS_A_SECOND`), and what services ask of each other
(`_between_services`).
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import boto3
import yaml
from botocore.client import BaseClient
from moto import mock_aws

from benchmarks.costs import capacity
from benchmarks.costs.calls import counts, recorded
from benchmarks.costs.prices import PRICES
from components.functions.catalogue import FUNCTIONS
from components.machines.run import RunSteps, run_definition
from privacy import environment
from privacy.api import contract as api_contract
from privacy.aws import clients as aws_clients
from privacy.vault import sessions
from tests.unit.lambdas.support import faulty_region, stored_state
from tests.unit.lambdas.support.faults import Faults
from tests.unit.lambdas.support.faulty_region import Region, Step

README: Final = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- computed: make costs -->", "<!-- end of what is computed -->"

ROWS: Final = 1_000_000
ROWS_A_FILE: Final = 10_000
PEOPLE_A_FILE: Final = 5_000

SECONDS_A_CALL: Final = 0.02
"""Estimate of a call to another service, waited for."""

ROWS_A_SECOND: Final = 500_000
"""What `make bench` holds a visit of jsonl to, on a whole CPU: 1,769 MiB of a function's memory."""

_WHOLE_CPU: Final = 1769
_PERSON: Final = "person%d@example.org"
_S3_WRITES: Final = {
    "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "ListObjectVersions",
}  # fmt: skip
_S3_FREE: Final = {"DeleteObjects", "DeleteObject", "AbortMultipartUpload"}


@dataclass
class Charges:
    """How many of each thing that AWS charges for, by the names in the price list."""

    units: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, number: float) -> None:
        self.units[name] = self.units.get(name, 0) + number

    def plus(self, other: "Charges", times: float = 1) -> "Charges":
        names = self.units.keys() | other.units.keys()
        return Charges({n: self.units.get(n, 0) + times * other.units.get(n, 0) for n in names})

    @property
    def dollars(self) -> float:
        return sum(PRICES[name] * number for name, number in self.units.items())


@dataclass
class Meter:
    """Adds up what functions are charged for while `installed`."""

    charges: Charges = field(default_factory=Charges)
    _inside: bool = False
    _calls: int = 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        original = BaseClient._make_api_call

        def call(client: BaseClient, operation: str, sent: dict[str, Any]) -> Any:  # noqa: ANN401
            if not self._inside:
                return original(client, operation, sent)
            self._calls += 1
            asked = {**sent}  # botocore replaces some
            places = _written(operation, asked)
            before = [_item(client, original, *place) for place in places]
            answer = original(client, operation, sent)
            after = [_item(client, original, *place) for place in places]
            self._charge(client.meta.service_model.service_name, operation, asked, answer)
            for old, new in zip(before, after, strict=True):
                units = capacity.written(old, new, transaction=operation == "TransactWriteItems")
                self.charges.add("DynamoDB write units", units)
            return answer

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    def invoke(self, region: Region, function: str, event: Any, rows: int) -> Any:  # noqa: ANN401 - JSON
        """Call a function that has so many rows to read."""
        self._inside, self._calls = True, 0
        try:
            answer = Region.invoke(region, function, event)
        finally:
            self._inside = False
        memory = FUNCTIONS[function].memory
        seconds = self._calls * SECONDS_A_CALL + rows / ROWS_A_SECOND * max(1, _WHOLE_CPU / memory)
        self.charges.add("Lambda invocations", 1)
        self.charges.add("Lambda GB-seconds", seconds * memory / 1024)
        return answer

    def _charge(self, service: str, operation: str, sent: Any, answer: Any) -> None:  # noqa: ANN401
        add = self.charges.add
        if service == "s3" and operation not in _S3_FREE:
            add("S3 writes and listings" if operation in _S3_WRITES else "S3 reads", 1)
        elif service in {"kms", "sqs"}:
            add(f"{service.upper()} requests", 1)
        elif operation == "Query":
            consistent = sent.get("ConsistentRead", False)
            add("DynamoDB read units", capacity.queried(answer["Items"], consistent=consistent))
        elif operation == "GetItem":
            found = [answer["Item"]] if "Item" in answer else []
            add("DynamoDB read units", capacity.read(found, 1))
        elif operation == "BatchGetItem":
            ((table, asked),) = sent["RequestItems"].items()
            add("DynamoDB read units", capacity.read(answer["Responses"][table], len(asked["Keys"])))


def ingesting() -> Charges:
    """Return what it costs to take in `ROWS` rows in files of `ROWS_A_FILE`, with `PEOPLE_A_FILE` in each."""
    few, more = _indexing(people=1), _indexing(people=26)
    a_person = more.plus(few, -1)
    a_file = few.plus(a_person, (PEOPLE_A_FILE - 1) / 25)
    return Charges().plus(a_file, ROWS / ROWS_A_FILE)


def erasing() -> tuple[Charges, Charges]:
    """Return what a request with a run of its own costs, and what each file with the person's rows adds."""
    one, two = _erasure(files=1), _erasure(files=2)
    a_file = two.plus(one, -1)
    return one.plus(a_file, -1), a_file


def table() -> str:
    """Return the table of the README, between its markers."""
    columns = [ingesting(), *erasing()]
    lines = [
        BEGIN,
        f"| | a million rows in {ROWS // ROWS_A_FILE} files | an erasure request | each file it touches |",
        "|---|---:|---:|---:|",
    ]
    for name in PRICES:
        numbers = [column.units.get(name, 0) for column in columns]
        lines.append(f"| {name} | " + " | ".join(map(_number, numbers)) + " |")
    lines += ["| **US dollars** | " + " | ".join(f"**{c.dollars:.2g}**" for c in columns) + " |", END]
    return "\n".join(lines) + "\n"


def shared(people: int, files: int) -> dict[str, int]:
    """Return the S3 calls of a run that erases so many people, each of whom is in two of so many files."""
    each = people // files
    with _region() as region:
        for number in range(files):
            mine = [n % people for n in range((number - 1) * each, (number + 1) * each)]
            content = b"".join(_row(_PERSON % n) for n in mine)
            region.put("acme", f"feedback/{number}.jsonl", content + _row(_PERSON % people))
        region.deliver_all()
        region.scenario = [Step(until=lambda r: r.running is None)]
        region.post("erasure", "erasure", {"subjects": [_PERSON % n for n in range(people)]})
        with recorded() as calls:
            while not region.over:
                region.advance()
        return counts(calls, "s3")


def update(readme: Path = README) -> None:
    """Put the table into the README, in place of the one that is there."""
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(f"{END}\n")[2]
    readme.write_text(f"{before}{table()}{after}", encoding="utf-8")


def _indexing(people: int) -> Charges:
    """What one upload is charged, from asking for the URL to the entries in the index."""
    content = b"".join(_row(_PERSON % number) for number in range(people))
    meter, events = _played([Step(lambda r: r.put("acme", "feedback/a.jsonl", content))], ROWS_A_FILE)
    meter.add("S3 writes and listings", 2)  # what is there, for the URL; the customer's upload through it
    meter.add("API Gateway requests", 1)  # for the URL; its function is an erasure's, about
    return meter.plus(_between_services(events))


def _erasure(files: int) -> Charges:
    """What one erasure of a person with rows in so many files is charged, the events of its run included."""
    content = _row(_PERSON % 0) + _row(_PERSON % 1)

    def upload(region: Region) -> None:
        for number in range(files):
            region.put("acme", f"feedback/{number}.jsonl", content)
        region.deliver_all()

    def ask(region: Region) -> None:
        region.post("erasure", "erasure", {"subjects": [_PERSON % 0]})

    charges, events = _played(
        [Step(ask), Step(until=lambda r: r.running is None and not r.progress.messages)],
        files * ROWS_A_FILE,
        before=Step(upload),
    )
    charges.add("API Gateway requests", 1)
    charges.add("Step Functions transitions", _transitions(batches=1))
    return charges.plus(_between_services(events))


def _between_services(events: int) -> Charges:
    """What the services are charged for on their own, for so many bucket events.

    A message is sent, received and deleted. With bucket keys, and in DynamoDB, a key is asked for once in
    minutes: once a play here, for bucket, table and queue.
    """
    return Charges({"SQS requests": 3.0 * events, "KMS requests": 3.0})


def _transitions(batches: int) -> int:
    """The transitions of a run in which nothing fails: the states on its way, and each start."""
    run = run_definition(RunSteps(plan="-", visit="-", verify="-", complete="-"), 1)
    batch = run["States"]["VisitAll"]["ItemProcessor"]
    return _way(run) + batches * _way(batch)


def _way(definition: Mapping[str, Any]) -> int:
    state, steps = definition["StartAt"], 2
    while not (definition["States"][state].get("End") or definition["States"][state]["Type"] == "Succeed"):
        found = definition["States"][state]
        state = found["Choices"][0]["Next"] if found["Type"] == "Choice" else found["Next"]
        steps += 1
    return steps


def _played(steps: list[Step], rows: int, before: Step | None = None) -> tuple[Charges, int]:
    """Play the steps and what follows from them; return the charges and the number of bucket events.

    Functions that read files have `rows` rows to read altogether. `before` is played without charge.
    """
    meter = Meter()
    with _region() as region:
        if before is not None and before.act is not None:
            before.act(region)
        events = _noted_events(region)
        readers = {"index_objects": rows if before is None else 0, "visit_objects": rows}
        region.invoke = lambda function, event: meter.invoke(
            region, function, event, readers.get(function, 0)
        )
        region.scenario = [*steps, Step(until=lambda r: r.running is None and not r.progress.messages)]
        with meter.installed():
            while not region.over:
                region.advance()
        return meter.charges, len(events)


def _noted_events(region: Region) -> list[None]:
    """Give a list that grows by one with every bucket event."""
    events: list[None] = []
    notify = region.notify

    def noted(before: Any) -> None:  # noqa: ANN401
        known = len(region.progress.messages)
        notify(before)
        events.extend([None] * (len(region.progress.messages) - known))

    region.notify = noted
    return events


@contextmanager
def _region() -> Iterator[Region]:
    variables = {
        "AWS_DEFAULT_REGION": stored_state.REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        environment.REGISTRY_TABLE: stored_state.REGISTRY,
        environment.REQUEST_TABLE: stored_state.REQUESTS,
        environment.RUN_STATE_MACHINE_ARN: faulty_region.MACHINE,
        environment.EVIDENCE_BUCKET: stored_state.EVIDENCE,
        environment.PURPOSE_ROLE_ARN: f"arn:aws:iam::{stored_state.ACCOUNT}:role/purpose",
    }
    make = boto3.client
    clients = cache(lambda service: make(service))
    source = Path(api_contract.__file__).with_name("openapi.yaml")
    faults = Faults()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        document = Path(folder) / "openapi.json"
        document.write_text(json.dumps(yaml.safe_load(source.read_text(encoding="utf-8"))), encoding="utf-8")
        for each in (
            patch.dict(os.environ, variables),
            patch.object(boto3, "client", lambda service, **_: clients(service)),
            patch.object(api_contract, "DOCUMENT", document),
            mock_aws(),
            faults.installed(),
        ):
            stack.enter_context(each)
        os.environ.pop("AWS_ENDPOINT_URL", None)
        aws_clients.forget()
        sessions.forget()
        stored_state.make()
        yield faulty_region.region_of(faults)
        aws_clients.forget()
        sessions.forget()


def _row(person: str) -> bytes:
    return b'{"author": {"email": "%s", "name": "Some Body"}, "text": ""}\n' % person.encode()


def _written(operation: str, sent: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return table and key of every item that the call writes or deletes."""
    if operation == "PutItem":
        return [(sent["TableName"], _key(sent["Item"]))]
    if operation in {"UpdateItem", "DeleteItem"}:
        return [(sent["TableName"], sent["Key"])]
    if operation == "BatchWriteItem":
        ((table, writes),) = sent["RequestItems"].items()
        return [
            (table, w["DeleteRequest"]["Key"] if "DeleteRequest" in w else _key(w["PutRequest"]["Item"]))
            for w in writes
        ]
    if operation == "TransactWriteItems":
        found = [next(iter(write.values())) for write in sent["TransactItems"]]
        return [(each["TableName"], each.get("Key") or _key(each["Item"])) for each in found]
    return []


def _key(item: Any) -> Any:  # noqa: ANN401
    return {name: item[name] for name in ("pk", "sk")}


def _item(client: BaseClient, call: Any, table: str, key: Any) -> Any:  # noqa: ANN401
    return call(client, "GetItem", {"TableName": table, "Key": key}).get("Item")


def _number(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"
