"""A history of uploads, requests, runs and bucket events in one vault, in which calls of AWS go wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

import moto.s3.models
import pytest

from privacy.identifiers import uuid7
from privacy.index import entries as index_entries
from privacy.run import complete as run_complete
from privacy.run import plan as run_plan
from privacy.vault import sessions
from privacy.visits import batch as visit_batch
from privacy.visits import records as record_visits

from ..support.faults import Fault, Faults, Killed
from ..support.world import World
from .history_rows import (
    ALIEN,
    CORRECTED,
    HEAD,
    PARQUET,
    PEOPLE,
    WALKED,
    WHOLE,
    Row,
    found_rows,
    made_row,
    packed,
    parquet,
)

ATTEMPTS = 5
Answer = TypeVar("Answer")


class Clock(datetime):
    """The only clock of vault and functions. S3 tells whole seconds, so every step takes some."""

    at = datetime(2026, 3, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return cls.at.astimezone(tz)

    @classmethod
    def pass_by(cls) -> datetime:
        cls.at += timedelta(seconds=10)
        return cls.at


@dataclass
class Upload:
    """What somebody put under a key; `told` is when its event was first delivered."""

    key: str
    at: datetime
    version: str
    rows: list[Row]
    body: bytes
    told: datetime | None = None


@dataclass
class Asked:
    """A request, and when its run planned and ended it."""

    id: str
    people: tuple[str, ...]
    dataset: str | None = None
    value: str = ""
    planned: datetime | None = None
    ended: datetime | None = None


class MessageGivenBackError(Exception):
    """The index function asks for the message once more."""


@dataclass
class History:
    """What was done to one vault, and what has to come of it."""

    world: World
    faults: Faults
    keys: list[str]
    uploads: list[Upload] = field(default_factory=list)
    versions: dict[str, list[str]] = field(default_factory=dict)
    hidden: dict[str, bool] = field(default_factory=dict)
    records: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    erasures: list[Asked] = field(default_factory=list)
    corrections: list[Asked] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] | None = None
    step: int = 0
    numbers: int = 0

    # -- what happens

    def upload(self, which: int, drawn: Sequence[tuple[Any, ...]], codec: str) -> None:
        key = self._key(which)
        dataset = key.split("/")[0]
        made = [self._row(key, *each) for each in drawn]
        if dataset in WHOLE:
            made = [row for row in made if row.people][:1]
            if made:
                person = made[0].people[0]
                made = [Row(made[0].number, (person,), b"dear %s" % person.encode())]
                self._put(key, made, made[0].line, Metadata={"subject": self.world.ref(person)})
            return
        if dataset in PARQUET:
            self._put(key, made, parquet(codec, PARQUET[dataset], made))
            return
        self._put(key, made, packed(codec, HEAD.get(dataset, b"") + b"".join(row.line for row in made)))

    def upload_alien(self, which: int) -> None:
        """Put content that nobody can attribute under a key."""
        key = self._key(which)
        if key.split("/")[0] not in PARQUET:
            self._put(key, [], ALIEN)

    def _put(self, key: str, made: list[Row], body: bytes, **more: Any) -> None:  # noqa: ANN401
        version = self.world.s3.put_object(Bucket=self.world.customer.bucket, Key=key, Body=body, **more)
        self._came(key, version["VersionId"], made, body)

    def _came(self, key: str, version: str, made: list[Row], body: bytes) -> None:
        self.uploads.append(Upload(key, Clock.at, version, made, body))
        self.versions.setdefault(key, []).append(version)
        self.hidden[key] = False
        if key.split("/")[0] not in WALKED:
            self.world.notify("ObjectCreated:Put", key, version)

    def _row(self, key: str, who: list[int], age: int | None, unreadable: bool) -> Row:
        self.numbers += 1
        return made_row(key, self.numbers, who, age, unreadable, Clock.at)

    def _key(self, which: int) -> str:
        return self.keys[which % len(self.keys)]

    def copy(self, one: int, other: int) -> None:
        """Copy within a dataset: rows come to another key, or to the same one, with a new time."""
        source, target = self._key(one), self._key(other)
        if source.split("/")[0] != target.split("/")[0]:
            target = source
        if source not in self.hidden or self.hidden[source]:
            return
        if source not in {key for key, _, marker in self.world.versions(source) if not marker}:
            return
        body = self.world.read(source)
        known = found_rows(source, self.last(source).rows, body)
        bucket = self.world.customer.bucket
        more = {"MetadataDirective": "REPLACE", "Metadata": self._metadata(source)}
        copied = self.world.s3.copy_object(
            Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source}, **more
        )
        self._came(target, copied["VersionId"], known, body)

    def _metadata(self, key: str) -> dict[str, str]:
        found: dict[str, str] = self.world.s3.head_object(Bucket=self.world.customer.bucket, Key=key)[
            "Metadata"
        ]
        return found

    def last(self, key: str, at: datetime | None = None) -> Upload:
        return [u for u in self.uploads if u.key == key and (at is None or u.at <= at)][-1]

    def delete(self, which: int) -> None:
        key = self._key(which)
        if self.world.versions(key):
            marker = self.world.s3.delete_object(Bucket=self.world.customer.bucket, Key=key)
            self.versions[key].append(marker["VersionId"])
            self.hidden[key] = True
            if key.split("/")[0] not in WALKED:
                self.world.notify("ObjectRemoved:DeleteMarkerCreated", key, marker["VersionId"])

    def record(self, record: int, person: int) -> None:
        who = PEOPLE[person % len(PEOPLE)]
        self.world.put_record(f"r{record}", who, name=f"{who} #r{record}#", email=who)
        self.records[f"r{record}"] = (who, Clock.at)

    def erase(self, who: list[int]) -> None:
        people = tuple(dict.fromkeys(PEOPLE[n % len(PEOPLE)] for n in who))
        self.erasures.append(Asked(self.world.erase(*people), people))

    def correct(self, who: int, dataset: str) -> None:
        person = PEOPLE[who % len(PEOPLE)]
        value = f"name {len(self.corrections)} of {person}"
        change = {"dataset": dataset, "set": {CORRECTED[dataset]: value}}
        self.corrections.append(Asked(self.world.correct(person, [change]), (person,), dataset, value))

    def deliver(self, which: int, again: bool) -> None:
        if self.world.events:
            event = self.world.events[which % len(self.world.events)]
            if not again:
                self.world.events.remove(event)
            self._tell(event)

    def fault(self, number: int, fault: Fault) -> None:
        """Let a call go wrong that functions make from now on."""
        self.faults.choose(number, fault)

    def _call(self, act: Callable[[], Answer]) -> Answer:
        """Call a function, and again where a call of it went wrong, as AWS does."""
        for _ in range(ATTEMPTS):
            armed = not self.faults.struck
            try:
                with self.faults.function():
                    answer = act()
            except Killed:
                sessions.forget()
            except Exception:
                if not (armed and self.faults.struck):
                    raise
            else:
                return answer
        pytest.fail("a function keeps failing")

    def _tell(self, event: dict[str, Any]) -> None:
        self.told.append(event)
        for upload in self.uploads:
            if upload.version == event["s3"]["object"]["versionId"]:
                upload.told = upload.told or Clock.at
        self._call(lambda: self._delivered(event))

    def _delivered(self, event: dict[str, Any]) -> None:
        if self.world.deliver(event):
            raise MessageGivenBackError

    def advance(self) -> None:
        """Carry out the next step of the run, or begin one."""
        before = self.world.versions()
        asked = self.erasures + self.corrections
        if self.run is None:
            if not self.world.requests.pending("acme", 1):
                return
            run_id = uuid7()
            self.run = self._call(lambda: self.world.plan(run_id))
            for each in asked:
                each.planned = each.planned or Clock.at
            self.step = 0
            return
        planned = self.run
        run = {"customer": "acme", "run_id": planned["run_id"]}
        self.step += 1
        if self.step == 1:
            self._call(lambda: self.world.visit(planned))
            self._notify_differences(before)
        elif self.step == 2:
            self._call(lambda: self.world.call("verify_run", run))
        else:
            self._call(lambda: self.world.complete(planned["run_id"]))
            self.run = None
            for each in asked:
                if each.planned:
                    each.ended = each.ended or Clock.at

    def _notify_differences(self, before: list[tuple[str, str, bool]]) -> None:
        waiting = len(self.world.events)
        self.world.notify_differences(before)
        self.world.events[waiting:] = [
            event
            for event in self.world.events[waiting:]
            if event["s3"]["object"]["key"].split("/")[0] not in WALKED
        ]

    def settle(self) -> None:
        """Deliver what waits and run until nothing is left to do; then the same with all events again."""
        self._work_off()
        told = {(event["eventName"], event["s3"]["object"]["versionId"]): event for event in self.told}
        for event in reversed(told.values()):
            Clock.pass_by()
            self._tell(event)
        self._work_off()

    def _work_off(self) -> None:
        for _ in range(100):
            Clock.pass_by()
            if self.world.events:
                self._tell(self.world.events.pop(0))
            elif self.run is not None or self.world.requests.pending("acme", 1):
                self.advance()
            else:
                return
        pytest.fail("runs do not end")


def keep_time(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moto.s3.models, "utcnow", lambda: Clock.at.replace(tzinfo=None))
    for module in (run_plan, run_complete, index_entries, record_visits, visit_batch):
        patch.setattr(module, "datetime", Clock)
    patch.setitem(type(world).notify.__globals__, "datetime", Clock)


def empty(world: World) -> None:
    for key, version, _ in world.versions():
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)
    for table in (world.customer.table, "gdpr-eu-west-requests"):
        for item in world.dynamodb.scan(TableName=table)["Items"]:
            if item["sk"]["S"] != "subject-secret" and not item["sk"]["S"].startswith("index#"):
                world.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    world.events.clear()
