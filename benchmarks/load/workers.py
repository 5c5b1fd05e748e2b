"""Workers that send a mix of requests, and remember what must be true of the data afterwards.

Each worker makes up people of its own and never touches another worker's. It writes records, row files and
letters, erases some of the people, and never mentions an erased one again. One person, the worker's *ledger*,
is corrected again and again: the last value, and the number of revisions, show whether a correction was lost
or carried out twice.
"""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.load.datasets import Datasets
from benchmarks.load.figures import Call
from benchmarks.load.region import Program
from local.client import PrivacyClient

MAX_ATTEMPTS = 8
"""Tries of one request that is answered 429 or 409, with growing pauses, before it counts as failed."""

_ROWS_PER_FILE = 20
_ERASED_AT_ONCE = 3


Upload = Callable[[str, Mapping[str, str], bytes], int]
"""Sends a file to the URL that an upload's answer gave, with its headers; returns the status."""


class UnexpectedAnswerError(Exception):
    """The service answered something else than it should."""


@dataclass(slots=True)
class Worker:
    """One closed loop of requests for one program of one customer; `name` is unique in the load run."""

    name: str
    program: Program
    client: PrivacyClient
    upload: Upload
    datasets: Datasets
    random: random.Random
    calls: list[Call] = field(default_factory=list)
    retries: int = 0
    accepted: list[str] = field(default_factory=list)
    """Ids of the requests that were answered 202, one entry a distinct idempotency key."""
    replays: int = 0
    living: set[str] = field(default_factory=set)
    """Subjects with a record who must be as they were written."""
    erased: set[str] = field(default_factory=set)
    files: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    """Row files: key, and whose row each line is."""
    letters: dict[str, str] = field(default_factory=dict)
    """Files of one person each: key and subject."""
    corrections: int = 0
    _people: int = 0

    @property
    def ledger(self) -> str:
        """The subject who is corrected and never erased."""
        return f"{self.name}-ledger@load.example"

    @property
    def ledger_file(self) -> str:
        """Key of the file that holds the ledger's one row."""
        return f"{self.datasets.rows_prefix}load/{self.name}/ledger.jsonl"

    @property
    def ledger_value(self) -> str:
        """The value that the latest correction set."""
        return f"value {self.corrections}"

    def record_id(self, subject: str) -> str:
        """Return the id of the subject's record: the part of the made-up address that is no address."""
        return "r-" + subject.split("@")[0]

    def prepare(self) -> None:
        """Write what corrections will change: the ledger's record and its row."""
        self._put_record(self.ledger, self.ledger_value)
        self._put_rows(self.ledger_file, [(self.ledger, self.datasets.row(self.ledger, self.ledger_value))])

    def step(self) -> None:
        """Do one thing of the mix. Raises UnexpectedAnswerError where an answer is not what it should be."""
        action = self.random.choices(_ACTIONS, _WEIGHTS)[0]
        action(self)

    def put_record(self) -> None:
        """Write the record of a new person."""
        subject = f"{self.name}-{self._people:06}@load.example"
        self._people += 1
        self._put_record(subject, "as written")
        self.living.add(subject)

    def put_rows(self) -> None:
        """Upload a file with rows of several living people."""
        people = self._some_living(_ROWS_PER_FILE)
        if people:
            key = f"{self.datasets.rows_prefix}load/{self.name}/{len(self.files):05}.jsonl"
            subjects = [self.random.choice(people) for _ in range(_ROWS_PER_FILE)]
            self._put_rows(
                key, [(subject, self.datasets.row(subject, f"row {uuid.uuid4()}")) for subject in subjects]
            )

    def put_letter(self) -> None:
        """Upload a file that belongs to one living person."""
        for subject in self._some_living(1):
            key = f"{self.datasets.files_prefix}load/{self.name}/{len(self.letters):05}.txt"
            self._send_file("upload letter", self.datasets.files, key, f"Dear {subject}".encode(), subject)
            self.letters[key] = subject

    def erase(self) -> None:
        """Erase a few living people for good."""
        people = self._some_living(self.random.randint(1, _ERASED_AT_ONCE))
        if people:
            self.living.difference_update(people)
            self.erased.update(people)
            self._request("erasure", "/v1/erasure-requests", {"subjects": people})

    def correct(self) -> None:
        """Correct the ledger's record and row."""
        self.corrections += 1
        changes = [
            {
                "dataset": self.datasets.records,
                "record": self.record_id(self.ledger),
                "set": {self.datasets.record_field: self.ledger_value},
            },
            {"dataset": self.datasets.rows, "set": {self.datasets.rows_field: self.ledger_value}},
        ]
        self._request("correction", "/v1/correction-requests", {"subject": self.ledger, "changes": changes})

    def get_request(self) -> None:
        """Read one of the worker's own requests."""
        if self.accepted:
            id_ = self.random.choice(self.accepted)
            answer = self._call("get request", 200, "GET", f"/v1/requests/{id_}")
            if answer.json()["id"] != id_:
                raise UnexpectedAnswerError(f"asked for {id_}, got {answer.json()['id']}")

    def list_requests(self) -> None:
        """Read the newest requests."""
        self._call("list requests", 200, "GET", "/v1/requests?limit=10")

    def health(self) -> None:
        """Ask whether the service answers."""
        self._call("health", 200, "GET", "/v1/health")

    def _some_living(self, count: int) -> list[str]:
        return self.random.sample(sorted(self.living), min(count, len(self.living)))

    def _put_record(self, subject: str, value: str) -> None:
        path = f"/v1/datasets/{self.datasets.records}/records/{self.record_id(subject)}"
        body = {"subject": subject, "fields": {self.datasets.record_field: value}}
        self._call("put record", 204, "PUT", path, body)

    def _put_rows(self, key: str, rows: list[tuple[str, bytes]]) -> None:
        self._send_file("upload rows", self.datasets.rows, key, b"".join(line for _, line in rows))
        self.files[key] = rows

    def _send_file(
        self, operation: str, dataset: str, key: str, content: bytes, subject: str | None = None
    ) -> None:
        body = {"key": key} if subject is None else {"key": key, "subject": subject}
        answer = self._call("create upload", 200, "POST", f"/v1/datasets/{dataset}/uploads", body).json()
        sent = time.monotonic()
        status = self.upload(answer["url"], answer["headers"], content)
        self.calls.append(Call(operation, sent, time.monotonic() - sent, status))
        if status != 200:
            raise UnexpectedAnswerError(f"{operation}: the presigned PUT was answered {status}")

    def _request(self, kind: str, path: str, body: Mapping[str, Any]) -> None:
        headers = {"Idempotency-Key": str(uuid.UUID(int=self.random.getrandbits(128)))}
        first = self._call(f"create {kind}", 202, "POST", path, body, headers)
        self.accepted.append(first.json()["id"])
        if self.random.random() < 0.2:
            again = self._call(f"replay {kind}", 202, "POST", path, body, headers)
            self.replays += 1
            if again.json() != first.json() or again.headers["location"] != first.headers["location"]:
                raise UnexpectedAnswerError(f"{kind}: the same key and body got another answer")

    def _call(
        self,
        operation: str,
        expected: int,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request until it is answered with something else than "later"."""
        for attempt in range(MAX_ATTEMPTS):
            sent = time.monotonic()
            answer = self.client.call(method, path, json=body, headers=headers)
            self.calls.append(Call(operation, sent, time.monotonic() - sent, answer.status_code))
            if answer.status_code == expected:
                return answer
            if answer.status_code != 429 and not (answer.status_code == 409 and method == "POST"):
                break
            self.retries += 1
            wait = float(answer.headers.get("retry-after", 0)) or 0.1 * 2**attempt
            time.sleep(wait * self.random.uniform(0.5, 1.0))
        raise UnexpectedAnswerError(
            f"{operation}: {answer.status_code} instead of {expected}: {answer.text[:300]}"
        )


_MIX: Mapping[Callable[[Worker], None], int] = {
    Worker.put_record: 34,
    Worker.put_rows: 8,
    Worker.put_letter: 4,
    Worker.erase: 14,
    Worker.correct: 8,
    Worker.get_request: 16,
    Worker.list_requests: 8,
    Worker.health: 8,
}
_ACTIONS = list(_MIX)
_WEIGHTS = list(_MIX.values())
