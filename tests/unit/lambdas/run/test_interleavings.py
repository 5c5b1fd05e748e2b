"""Random uploads, requests, runs and events in random order: nobody erased is left, all else stays.

A model says of each row whether it has to be gone, has to be there, or may be either: what is uploaded while
an erasure is under way (docs/adr/0008). AWS calls go wrong at random in the midst of it, and change nothing.
`make soak` tries many other histories.
"""

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.index import entries as index_entries
from privacy.vault import notes as vault_notes
from privacy.vault import readings, sessions
from tests.properties import examples

from ..support.faults import Fault, Faults
from .history import Clock, History, Upload, empty, keep_time
from .history_rows import (
    ALIEN,
    CORRECTED,
    ELEMENTS,
    FILES,
    HEAD,
    PEOPLE,
    UNREADABLE,
    WALKED,
    WHOLE,
    Row,
    found_rows,
    unpacked,
)

if TYPE_CHECKING:
    from ..support.world import World

Fate = Literal["gone", "either", "stays"]


class JudgedHistory(History):
    """What has to come of what was done to the vault."""

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

    def check(self) -> None:
        listed = self.world.s3.list_object_versions(Bucket=self.world.customer.bucket)
        left: dict[str, list[str]] = {}
        for version in listed.get("Versions", []):
            key = version["Key"]
            left.setdefault(key, []).append(version["VersionId"])
            body = self.world.s3.get_object(
                Bucket=self.world.customer.bucket, Key=key, VersionId=version["VersionId"]
            )["Body"].read()
            self.check_version(self.last(key, version["LastModified"]), body, version["IsLatest"])
        for marker in listed.get("DeleteMarkers", []):
            left.setdefault(marker["Key"], []).append(marker["VersionId"])
        for key, made in self.versions.items():
            if not self.touched(key):
                assert sorted(left.get(key, [])) == sorted(made)
                assert self.world.contents(key)
            last = self.last(key)
            if not self.hidden[key] and (key.split("/")[0] not in WHOLE or self._stays(last)):
                assert key in left
        self.check_records()
        self.check_index()
        for asked in self.erasures + self.corrections:
            state = self.world.request(asked.id).state
            bad = any(map(self.is_unattributed, self.uploads))
            assert state in ({"completed", "partial"} if bad else {"completed"})
        self.check_notes()

    @staticmethod
    def is_unattributed(upload: Upload) -> bool:
        """Whether an upload held something that nobody can attribute."""
        return upload.body == ALIEN or any(UNREADABLE.encode() in row.line for row in upload.rows)

    def check_notes(self) -> None:
        """Whatever nobody can attribute is noted, and counted by who asks now; nothing else is."""
        noted = list(vault_notes.all_notes(sessions.open_vault(self.world.customer, "plan")))
        there = {key for key, hidden in self.hidden.items() if not hidden and self.world.versions(key)}
        unattributed = {key for key in there if self.is_unattributed(self.last(key))}
        indexed = {key for key in unattributed if key.split("/")[0] not in WALKED}
        assert {note.key for note in noted if note.is_to_mend} == indexed
        for note in noted:
            if note.superseded:
                assert note.version_id in {version for key, version, _ in self.world.versions(note.key)}
        request = self.world.erase("stranger@example.org")
        while self.world.request(request).state in {"pending", "running"}:
            self.advance()
        done = self.world.request(request)
        assert done.state == ("partial" if unattributed else "completed")
        assert (done.detail or {}).get("unattributed_count", 0) == len(unattributed)

    def _stays(self, upload: Upload) -> bool:
        return all(self.fate(upload, row, p) == "stays" for row in upload.rows for p in row.people)

    def touched(self, key: str) -> bool:
        """Whether a request may have been about the key."""
        mine = [upload for upload in self.uploads if upload.key == key]
        if self.erasures and any(map(self.is_unattributed, mine)):
            return True  # an erasure purges what nobody can attribute once something else took its place
        return any(
            self.fate(upload, row, person) != "stays"
            or (row.name is not None and self.values(upload, row, person) != {row.name})
            for upload in mine
            for row in upload.rows
            for person in row.people
        )

    def check_version(self, upload: Upload, body: bytes, latest: bool) -> None:
        dataset = upload.key.split("/")[0]
        found = found_rows(upload.key, upload.rows, body)
        if upload.body == ALIEN:
            assert body == ALIEN, "what nobody can attribute has changed"
            return
        if dataset in HEAD:
            assert unpacked(body).startswith(HEAD[dataset])
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
            upload = self.last(key, stored["LastModified"])
            found = found_rows(key, upload.rows, stored["Body"].read())
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
        reading = readings.reading_of(self.world.customer, dataset)
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
    st.tuples(st.just("upload_alien"), st.integers(0, 2)),
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
        keep_time(world, patch)
        empty(world)
        history = JudgedHistory(world, faults, keys)
        for name, *arguments in drawn:
            Clock.pass_by()
            getattr(history, name)(*arguments)
        history.settle()
        history.check()
