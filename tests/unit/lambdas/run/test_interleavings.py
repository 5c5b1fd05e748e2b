"""Random uploads, requests, runs and events in random order: nobody erased is left, all else stays.

A model says of each row whether it has to be gone, has to be there, or may be either: what is uploaded while
an erasure is under way (docs/adr/0008). AWS calls go wrong at random in the midst of it, and change nothing.
`make soak` tries many other histories.
"""

import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import moto.s3.models
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.identifiers import uuid7
from privacy.index import entries as index_entries
from privacy.run import complete as run_complete
from privacy.run import plan as run_plan
from privacy.vault import sessions
from privacy.visits import batch as visit_batch
from privacy.visits import records as record_visits
from tests.properties import examples

from ..support.faults import Fault, Faults, Killed

if TYPE_CHECKING:
    from ..support.world import World

ATTEMPTS = 5
PEOPLE = ["anna@example.org", "bob@example.org", "carl@example.org"]
FILES = [
    "feedback/a", "feedback/b", "mails/a", "threads/a", "notes/a", "answers/a", "sales/a", "letters/a",
    "orders/a", "stays/a", "groups/a", "archive/a", "dumps/a", "papers/a",
]  # fmt: skip
CORRECTED = {"feedback": "author.name", "answers": "name", "orders": "buyer.name"}
PERSON = pa.struct([("email", pa.string()), ("name", pa.string())])
PARQUET = {
    "orders": pa.schema([("no", pa.int64()), ("buyer", PERSON)]),
    "stays": pa.schema([("no", pa.int64()), ("guests", pa.list_(PERSON))]),
    "groups": pa.schema([("no", pa.int64()), ("members", pa.list_(PERSON))]),
}
SEVERAL = {"mails", "threads", "stays", "groups"}
ELEMENTS = {"threads", "groups"}
WHOLE = {"letters", "papers"}
WALKED = {"archive", "dumps", "papers"}
HEAD = {"answers": b"no,email,name,text\n", "dumps": b"no,email,name,text\n"}
UNREADABLE = "{not json"
Fate = Literal["gone", "either", "stays"]
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


@dataclass(frozen=True)
class Row:
    """A row as uploaded: who is in it, its own time, its bytes; `name` is what corrections change.

    A row of parquet has JSON for its bytes.
    """

    number: int
    people: tuple[str, ...]
    line: bytes
    own_time: datetime | None = None
    name: str | None = None


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

    world: "World"
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
            self._put(key, made, _parquet(codec, PARQUET[dataset], made))
            return
        self._put(key, made, _pack(codec, HEAD.get(dataset, b"") + b"".join(row.line for row in made)))

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
        number = self.numbers
        people = tuple(dict.fromkeys(PEOPLE[n % len(PEOPLE)] for n in who))
        dataset = key.split("/")[0]
        if dataset not in SEVERAL:
            people = people[:1]
        name = None
        own_time = None if age is None else Clock.at - timedelta(seconds=10 * age + 5)
        if unreadable and dataset in {"feedback", "notes"}:
            return Row(number, (), f"{UNREADABLE} #{number}#\n".encode())
        token = " ".join(people) + f" #{number}#"
        one = people[0]
        row: dict[str, Any]
        if dataset == "feedback":
            name = f"first of {one}"
            row = {"author": {"email": one, "name": name}, "text": token}
        elif dataset == "mails":
            row = {"recipients": [{"email": each} for each in people], "text": token}
        elif dataset == "threads":
            row = {"members": list(people), "title": f"#{number}#"}
        elif dataset == "orders":
            name = f"first of {one}"
            row = {"no": number, "buyer": {"email": one, "name": name}}
        elif dataset in PARQUET:
            field = PARQUET[dataset].names[1]
            row = {"no": number, field: [{"email": each, "name": f"#{number}#"} for each in people]}
        elif dataset in {"notes", "archive"}:
            row = {"by": {"email": one}, "text": token}
            if own_time is not None:
                row["at"] = own_time.isoformat()
            return Row(number, people, json.dumps(row).encode() + b"\n", own_time)
        elif dataset in HEAD:
            name = f"first of {one}"
            return Row(number, people, f'{number},{one},{name},"{token}\n"\n'.encode(), None, name)
        else:
            return Row(number, people, f"{number};{one};'{token};\xe9'\r\n".encode("windows-1252"))
        return Row(number, people, json.dumps(row, ensure_ascii=False).encode() + b"\n", None, name)

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
        known = self._found(self._last(source), body)
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

    def _last(self, key: str, at: datetime | None = None) -> Upload:
        return [u for u in self.uploads if u.key == key and (at is None or u.at <= at)][-1]

    def delete(self, which: int) -> None:
        key = self._key(which)
        if self.world.versions(key):
            marker = self.world.s3.delete_object(Bucket=self.world.customer.bucket, Key=key)
            self.versions[key].append(marker["VersionId"])
            self.hidden[key] = True

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

    # -- what has to come of it

    def fate(self, upload: Upload, row: Row, person: str) -> Fate:
        found: Fate = "stays"
        for erasure in self.erasures:
            if person not in erasure.people:
                continue
            assert erasure.planned is not None
            assert erasure.ended is not None
            if upload.at < erasure.planned:
                return "gone"
            if upload.at < erasure.ended:
                found = "either"
            if row.own_time is not None and row.own_time <= erasure.planned:
                if upload.key.split("/")[0] not in WALKED:
                    return "gone"
                found = "either"  # the next run that walks the dataset finds it
        return found

    def values(self, upload: Upload, row: Row, person: str) -> set[str]:
        """What a row's name may be after all corrections."""
        assert row.name is not None
        found = {row.name}
        for correction in self.corrections:
            if person not in correction.people or correction.dataset != upload.key.split("/")[0]:
                continue
            assert correction.planned is not None
            assert correction.ended is not None
            if upload.told is not None and upload.told < correction.planned:
                found = {correction.value}
            elif upload.at < correction.ended:
                found.add(correction.value)
        return found

    def _found(self, upload: Upload, body: bytes) -> list[Row]:
        """Return which of an upload's rows a version still has, as they are there, in its order."""
        dataset = upload.key.split("/")[0]
        if dataset in WHOLE:
            return upload.rows
        known = {row.number: row for row in upload.rows}
        if dataset in PARQUET:
            return [_loaded(row, known[row["no"]]) for row in pq.read_table(io.BytesIO(body)).to_pylist()]
        found = []
        for line in _lines(dataset, _unpack(body)):
            was = known[_number(line)]
            people, name = was.people, was.name
            if dataset == "threads":
                people = tuple(json.loads(line)["members"])
            elif dataset == "feedback" and people:
                name = json.loads(line)["author"]["name"]
            elif dataset in HEAD:
                name = line.decode().split(",")[2].strip('"')
            found.append(Row(was.number, people, line, was.own_time, name))
        return found

    def check(self) -> None:
        listed = self.world.s3.list_object_versions(Bucket=self.world.customer.bucket)
        left: dict[str, list[str]] = {}
        for version in listed.get("Versions", []):
            key = version["Key"]
            left.setdefault(key, []).append(version["VersionId"])
            body = self.world.s3.get_object(
                Bucket=self.world.customer.bucket, Key=key, VersionId=version["VersionId"]
            )["Body"].read()
            self.check_version(self._last(key, version["LastModified"]), body, version["IsLatest"])
        for marker in listed.get("DeleteMarkers", []):
            left.setdefault(marker["Key"], []).append(marker["VersionId"])
        for key, made in self.versions.items():
            if not self.touched(key):
                assert sorted(left.get(key, [])) == sorted(made)
                assert self.world.contents(key)
            last = self._last(key)
            if not self.hidden[key] and (key.split("/")[0] not in WHOLE or self._stays(last)):
                assert key in left
        self.check_records()
        self.check_index()
        for asked in self.erasures + self.corrections:
            state = self.world.request(asked.id).state
            bad = any(UNREADABLE.encode() in row.line for upload in self.uploads for row in upload.rows)
            assert state in ({"completed", "partial"} if bad else {"completed"})

    def _stays(self, upload: Upload) -> bool:
        return all(self.fate(upload, row, p) == "stays" for row in upload.rows for p in row.people)

    def touched(self, key: str) -> bool:
        """Whether a request may have been about the key."""
        return any(
            self.fate(upload, row, person) != "stays"
            or (row.name is not None and self.values(upload, row, person) != {row.name})
            for upload in self.uploads
            if upload.key == key
            for row in upload.rows
            for person in row.people
        )

    def check_version(self, upload: Upload, body: bytes, latest: bool) -> None:
        dataset = upload.key.split("/")[0]
        found = self._found(upload, body)
        if dataset in HEAD:
            assert _unpack(body).startswith(HEAD[dataset])
        present = {row.number: row for row in found}
        assert [row.number for row in found] == [r.number for r in upload.rows if r.number in present]
        element = dataset in ELEMENTS
        names: dict[str, set[str]] = {}
        for row in upload.rows:
            fates = {person: self.fate(upload, row, person) for person in row.people}
            now = present.get(row.number)
            if now is None:
                assert not element
                assert set(fates.values()) != {"stays"}, "a row that nobody asked for is gone"
                assert fates
                continue
            if element:
                assert "gone" not in {fates[p] for p in now.people}, "somebody erased is in a list"
                kept = tuple(p for p in row.people if fates[p] == "stays" or p in now.people)
                assert now.people == kept
            else:
                assert "gone" not in fates.values(), "somebody erased is there"
            if now.people == row.people and now.name == row.name:
                assert now.line == row.line
            if now.name is not None:
                person = row.people[0]
                names.setdefault(person, set()).add(now.name)
                if latest:
                    assert now.name in self.values(upload, row, person)
        assert all(len(values) == 1 for values in names.values()), "a correction of half an object"

    def check_records(self) -> None:
        items = self.world.items()
        text = json.dumps(items, default=str)
        for record, (person, at) in self.records.items():
            there = f"record#profiles/{record}" in self.world.partition(person)
            fates = ["stays"]
            for erasure in self.erasures:
                if person in erasure.people and erasure.planned and erasure.ended:
                    fates += ["gone"] * (at < erasure.planned) + ["either"] * (
                        erasure.planned < at < erasure.ended
                    )
            if "gone" in fates:
                assert not there
            elif "either" not in fates:
                assert there
        for person in PEOPLE:
            if not any(sk.startswith("record#") for sk in self.world.partition(person)):
                assert person not in text
        assert not [item for item in items if item["pk"]["S"].startswith(("run#", "request#"))]

    def check_index(self) -> None:
        holds: dict[str, set[str]] = {person: set() for person in PEOPLE}
        for key, version, marker in self.world.versions():
            if marker or key.split("/")[0] in WALKED:
                continue
            bucket = self.world.customer.bucket
            stored = self.world.s3.get_object(Bucket=bucket, Key=key, VersionId=version)
            upload = self._last(key, stored["LastModified"])
            found = self._found(upload, stored["Body"].read())
            people = {person for row in found for person in row.people}
            for person in people:
                holds[person].add(f"object#{key}")
            self.check_positions(key, version, found, people)
        for person in PEOPLE:
            entries = {sk for sk in self.world.partition(person) if sk.startswith("object#")}
            assert holds[person] <= entries
            doomed = all(
                self.fate(upload, row, person) == "gone"
                for upload in self.uploads
                if upload.key.split("/")[0] not in WALKED
                for row in upload.rows
                if person in row.people
            )
            assert not [sk for sk in entries if sk.removeprefix("object#").split("/")[0] in WALKED]
            if doomed:
                assert not entries, "an erased person has an entry"

    def check_positions(self, key: str, version: str, found: list[Row], people: set[str]) -> None:
        """Where a visit would go by positions, they are those of the person's rows."""
        opened = sessions.open_vault(self.world.customer, "visit")
        marker = index_entries.read_marker(opened, key)
        dataset = self.world.customer.dataset_of(key)
        assert dataset is not None
        if marker is None or marker.version_id != version or dataset.format not in {"jsonl", "csv"}:
            return
        refs = {self.world.ref(person): person for person in people}
        entries = index_entries.read_entries(opened, key, refs)
        reading = index_entries.reading_of(self.world.customer, dataset)
        offset = len(HEAD.get(key.split("/")[0], b""))
        places: dict[str, list[tuple[int, int]]] = {}
        for row in found:
            for person in row.people:
                places.setdefault(person, []).append((offset, len(row.line)))
            offset += len(row.line)
        for ref, person in refs.items():
            targets = entries.targets(marker, [ref], reading)
            if targets is not None:
                assert [tuple(target.place) for target in targets] == places[person]


def _pack(codec: str, content: bytes) -> bytes:
    return {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[codec](content)


def _parquet(codec: str, schema: pa.Schema, made: list[Row]) -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist([json.loads(row.line) for row in made], schema=schema)
    pq.write_table(table, out, row_group_size=2, compression={"plain": "none"}.get(codec, codec))
    return out.getvalue()


def _loaded(row: dict[str, Any], was: Row) -> Row:
    """Return a row of parquet as it is there."""
    name = row["buyer"]["name"] if "buyer" in row else None
    people = was.people
    for several in row.keys() & {"guests", "members"}:
        people = tuple(each["email"] for each in row[several])
    return Row(was.number, people, json.dumps(row).encode() + b"\n", was.own_time, name)


def _unpack(body: bytes) -> bytes:
    if body.startswith(b"\x1f\x8b"):
        return gzip.decompress(body)
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


def _lines(dataset: str, content: bytes) -> Iterator[bytes]:
    lines = content.splitlines(keepends=True)
    if dataset in HEAD:
        assert len(lines) % 2 == 1
        return (lines[n] + lines[n + 1] for n in range(1, len(lines), 2))
    return iter(lines)


def _number(line: bytes) -> int:
    return int(line.split(b"#")[1])


people = st.lists(st.integers(0, 2), min_size=1, max_size=2)
row = st.tuples(people, st.one_of(st.none(), st.integers(0, 30)), st.sampled_from([False] * 15 + [True]))
upload = st.tuples(
    st.just("upload"),
    st.integers(0, 2),
    st.lists(row, min_size=1, max_size=4),
    st.sampled_from(["plain", "gzip", "zstd"]),
)
advance = st.just(("advance",))
deliver = st.tuples(st.just("deliver"), st.integers(0, 9), st.booleans())
erase = st.tuples(st.just("erase"), people)
fault = st.tuples(st.just("fault"), st.integers(0, 25), st.sampled_from(sorted(Fault, key=lambda f: f.name)))
operations = st.one_of(
    upload,
    upload,
    upload,
    deliver,
    deliver,
    deliver,
    erase,
    advance,
    advance,
    advance,
    fault,
    st.tuples(st.just("correct"), st.integers(0, 2), st.sampled_from(sorted(CORRECTED))),
    st.tuples(st.just("delete"), st.integers(0, 2)),
    st.tuples(st.just("copy"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("record"), st.integers(0, 2), st.integers(0, 2)),
)


@settings(examples(10), suppress_health_check=list(HealthCheck))
@given(
    keys=st.lists(st.sampled_from(FILES), min_size=1, max_size=3, unique=True),
    drawn=st.lists(operations, min_size=12, max_size=40),
)
def test_nobody_erased_is_left_and_all_else_stays(
    world: "World", keys: list[str], drawn: list[tuple[Any, ...]]
) -> None:
    faults = Faults()
    with pytest.MonkeyPatch.context() as patch, faults.installed():
        _keep_time(world, patch)
        _empty(world)
        history = History(world, faults, keys)
        for name, *arguments in drawn:
            Clock.pass_by()
            getattr(history, name)(*arguments)
        history.settle()
        history.check()


def _keep_time(world: "World", patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moto.s3.models, "utcnow", lambda: Clock.at.replace(tzinfo=None))
    for module in (run_plan, run_complete, index_entries, record_visits, visit_batch):
        patch.setattr(module, "datetime", Clock)
    patch.setitem(type(world).notify.__globals__, "datetime", Clock)


def _empty(world: "World") -> None:
    for key, version, _ in world.versions():
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)
    for table in (world.customer.table, "gdpr-eu-west-requests"):
        for item in world.dynamodb.scan(TableName=table)["Items"]:
            if item["sk"]["S"] != "subject-secret":
                world.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    world.events.clear()
