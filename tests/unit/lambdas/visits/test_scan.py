"""Datasets that have no index: walked in a run, with as much found and no more touched than with one."""

import itertools
import json
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.s3 import models

from privacy.identifiers import uuid7
from privacy.vault import deletions, sessions
from privacy.vault import items as vault_items
from privacy.vault import rewrite as vault_rewrite
from privacy.vault.objects import files_below
from privacy.visits import batch as visit_batch
from privacy.visits.items import Visits
from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARA = "anna@example.org", "bob@example.org", "cara@example.org"
BUCKET = "gdpr-eu-west-vault-acme-123456789012-eu-west-1"
HEAD = b"email,text\n"


def line(email: str, text: str = "") -> bytes:
    return f"{email},{text}\n".encode()


def file(*lines: bytes) -> bytes:
    return HEAD + b"".join(lines)


def run_items(world: "World") -> list[dict[str, Any]]:
    return [item for item in world.items() if item["pk"]["S"].startswith("run#")]


def test_an_erasure_finds_rows_that_no_event_told_of(world: "World") -> None:
    world.put("dumps/a.csv", file(line(ANNA, "1"), line(BOB, "2")))
    world.put("dumps/deep/b c+d%Zoë.csv", file(line(BOB), line(ANNA)))
    request = world.erase(ANNA)
    world.run()
    assert world.contents("dumps/a.csv") == [file(line(BOB, "2"))]
    assert world.contents("dumps/deep/b c+d%Zoë.csv") == [file(line(BOB))]
    assert world.request(request).state == "completed"
    assert world.partition(ANNA) == ["erased"]
    assert run_items(world) == []


def test_files_that_hold_nobody_concerned_keep_their_versions(world: "World") -> None:
    for text in ("1", "2"):
        world.put("dumps/a.csv", file(line(BOB, text)))
    world.put("dumps/b.csv", file(line(CARA)))
    world.s3.delete_object(Bucket=BUCKET, Key="dumps/b.csv")
    before = world.versions()
    request = world.erase(ANNA)
    world.run()
    assert world.versions() == before
    assert len(before) == 4
    assert world.request(request).state == "completed"


def test_a_person_in_an_older_version_only_is_found_and_all_older_ones_go(world: "World") -> None:
    world.put("dumps/a.csv", file(line(CARA)))
    world.put("dumps/a.csv", file(line(ANNA), line(BOB)))
    world.put("dumps/a.csv", file(line(CARA)))
    version = world.put("dumps/a.csv", file(line(BOB)))
    world.erase(ANNA)
    world.run()
    assert world.versions("dumps/a.csv") == [("dumps/a.csv", version, False)]


def test_what_a_delete_marker_hides_is_found(world: "World") -> None:
    world.put("dumps/a.csv", file(line(ANNA)))
    world.s3.delete_object(Bucket=BUCKET, Key="dumps/a.csv")
    world.erase(ANNA)
    world.run()
    assert world.versions() == []


@pytest.mark.parametrize("old", [b'email,text\n"broken\n', b"\x1f\x8b\x08\x00broken"])
def test_an_older_version_of_which_nobody_can_tell_goes_too(world: "World", old: bytes) -> None:
    world.put("dumps/a.csv", old)
    version = world.put("dumps/a.csv", file(line(BOB)))
    world.erase(ANNA)
    world.run()
    assert world.versions("dumps/a.csv") == [("dumps/a.csv", version, False)]


def test_an_upload_between_plan_and_visit_leaves_no_older_version_behind(world: "World") -> None:
    """The plan had seen one version only: with another one now current, that one is an older one."""
    world.put("dumps/a.csv", file(line(ANNA)))
    world.erase(ANNA)
    planned = world.plan(uuid7())
    version = world.put("dumps/a.csv", file(line(BOB)))
    world.visit(planned)
    assert world.versions("dumps/a.csv") == [("dumps/a.csv", version, False)]


def test_a_file_with_one_version_costs_one_get_and_nothing_more(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.put(f"dumps/{number}.csv", file(line(BOB)))
    world.erase(ANNA)
    planned = world.plan(uuid7())
    calls: list[str] = []
    original = world.s3._make_api_call

    def counted(operation: str, parameters: dict[str, Any]) -> object:
        calls.append(operation)
        return original(operation, parameters)

    monkeypatch.setattr(world.s3, "_make_api_call", counted)
    world.visit(planned)
    assert calls == ["GetObject"] * 3
    # Nothing is to be told of them.
    assert [item["sk"]["S"] for item in run_items(world)] == [
        "shared#archive",
        "shared#dumps",
        "shared#papers",
    ]


def test_whole_files_are_found_by_their_metadata_without_reading_them(world: "World") -> None:
    world.put_letter("papers/1", ANNA)
    world.put_letter("papers/2", ANNA)
    other = world.put_letter("papers/2", BOB)
    kept = [world.put_letter("papers/3", BOB), world.put_letter("papers/3", BOB)]
    world.erase(ANNA)
    world.run()
    assert set(world.versions()) == {
        ("papers/2", other, False), *(("papers/3", version, False) for version in kept)
    }  # fmt: skip


def test_a_correction_walks_its_own_dataset_and_leaves_older_versions_that_it_does_not_concern(
    world: "World",
) -> None:
    world.put("dumps/a.csv", file(line(BOB, "x")))
    world.put("dumps/a.csv", file(line(ANNA, "x"), line(BOB, "x")))
    for _ in range(2):
        world.put("dumps/b.csv", file(line(BOB, "x")))
    world.put("archive/a.jsonl", b'{"by": {"email": "anna@example.org"}, "text": "x"}\n')
    request = world.correct(ANNA, [{"dataset": "dumps", "set": {"text": "y"}}])
    world.run()
    assert world.contents("dumps/a.csv") == [file(line(ANNA, "y"), line(BOB, "x"))]
    assert len(world.contents("dumps/b.csv")) == 2
    assert b'"x"' in world.read("archive/a.jsonl")
    assert world.request(request).state == "completed"


def test_a_line_that_nobody_can_read_concerns_every_request(world: "World") -> None:
    world.put("dumps/a.csv", file(line(BOB), b'"broken\n'))
    world.put("feedback/a.jsonl", b'{"author": {"email": "anna@example.org"}}\n')
    request = world.erase(ANNA)
    world.run()
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    assert [(entry["dataset"], entry["line"]) for entry in done.detail["unparsed"]] == [("dumps", 3)]
    assert world.contents("feedback/a.jsonl") == [b""]


def test_rows_older_than_an_erasure_are_found_by_the_next_run(world: "World") -> None:
    def note(email: str, at: str) -> bytes:
        return json.dumps({"by": {"email": email}, "at": at}).encode() + b"\n"

    world.erase(ANNA)
    world.run()
    older, newer = note(ANNA, "2020-01-01"), note(ANNA, "2999-01-01")
    world.put("archive/a.jsonl", older + newer)
    world.erase(BOB)
    world.run()
    assert older not in world.read("archive/a.jsonl")
    assert newer in world.read("archive/a.jsonl") or world.contents("archive/a.jsonl") == [b""]


def test_a_dataset_that_had_an_index_before_leaves_no_entry(world: "World") -> None:
    world.put("dumps/a.csv", file(line(ANNA), line(BOB)))
    for who, key in ((ANNA, "dumps/a.csv"), (ANNA, "dumps/gone.csv"), (BOB, "dumps/a.csv")):
        world.dynamodb.put_item(
            TableName=world.customer.table,
            Item={
                "pk": {"S": f"subject#{world.ref(who)}"}, "sk": {"S": f"object#{key}"},
                "object": {"S": key}, "dataset": {"S": "dumps"}, "version_id": {"S": "-"},
                "indexed_at": {"S": "2026-01-01T00:00:00.000000Z"},
            },
        )  # fmt: skip
    request = world.erase(ANNA)
    world.run()
    assert world.contents("dumps/a.csv") == [file(line(BOB))]
    assert world.request(request).state == "completed"
    assert world.partition(ANNA) == ["erased"]
    assert world.partition(BOB) == ["object#dumps/a.csv"]


def test_a_request_about_one_file_and_one_about_all_visit_it_once(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events may still arrive of a dataset that is scanned from now on."""
    world.erase(ANNA)
    world.run()
    with monkeypatch.context() as earlier:
        earlier.setattr(models, "utcnow", lambda: datetime(2020, 1, 1))  # noqa: DTZ001 - as moto has it
        version = world.put("dumps/a.csv", file(line(ANNA), line(BOB), line(CARA)))
    world.deliver(world.notify("ObjectCreated:Put", "dumps/a.csv", version, at="2020-01-01T00:00:00.000Z"))
    assert len(world.requests.pending("acme", 10)) == 1
    world.erase(BOB)
    commits, commit = [], vault_rewrite.Rewrite.commit

    def counted(rewrite: vault_rewrite.Rewrite) -> str:
        commits.append(rewrite.source.key)
        return commit(rewrite)

    monkeypatch.setattr(vault_rewrite.Rewrite, "commit", counted)
    world.run()
    assert world.contents("dumps/a.csv") == [file(line(CARA))]
    assert commits == ["dumps/a.csv"]
    assert world.requests.pending("acme", 10) == []


def test_very_many_files_are_planned_in_pieces_and_each_once(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_items, "_PIECE", 7)
    keys = [f"dumps/{number:03}.csv" for number in range(60)]
    for key in keys:
        world.put(key, file(line(ANNA)))
    run_id = uuid7()
    world.erase(ANNA)
    for _ in range(2):
        planned = world.plan(run_id)
        noted = Visits(sessions.open_vault(world.customer, "close"), run_id).notes().visits
        assert sorted(visit.key or "" for visit in noted) == keys
        assert [visit.number for visit in noted] == list(range(60))
    world.visit(planned)
    assert {world.read(key) for key in keys} == {HEAD}
    world.complete(run_id)
    assert run_items(world) == []


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_listing_gives_every_key_once_however_its_pages_fall(
    world: "World", monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    sole = world.put("dumps/a", b"1")
    for _ in range(5):
        world.put("dumps/b", b"1")
    world.s3.delete_object(Bucket=BUCKET, Key="dumps/b")
    hidden = world.put("dumps/c", b"1")
    world.s3.delete_object(Bucket=BUCKET, Key="dumps/c")
    world.s3.delete_object(Bucket=BUCKET, Key="dumps/c", VersionId=hidden)
    world.put("dumpster", b"1")
    answer = world.s3.list_object_versions(Bucket=BUCKET, Prefix="dumps/")
    kinds = ("Versions", "DeleteMarkers")
    entries = sorted(((k, e) for k in kinds for e in answer[k]), key=lambda entry: str(entry[1]["Key"]))
    pages = [
        {kind: [e for k, e in entries[start : start + page] if k == kind] for kind in kinds}
        for start in range(0, len(entries), page)
    ]
    monkeypatch.setattr(world.s3, "get_paginator", lambda _: SimpleNamespace(paginate=lambda **_: pages))
    found = list(files_below(sessions.open_vault(world.customer, "plan"), "dumps/"))
    assert [(f.key, f.sole) for f in found] == [("dumps/a", sole), ("dumps/b", None), ("dumps/c", None)]


@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "ListObjectVersions", "DeleteObjects"])
@pytest.mark.parametrize("after", [False, True])
def test_a_visit_cut_short_anywhere_is_taken_up_again(
    world: "World", monkeypatch: pytest.MonkeyPatch, operation: str, after: bool
) -> None:
    monkeypatch.setattr(deletions, "MOST_AT_ONCE", 1)
    world.put("dumps/a.csv", file(line(BOB, "1")))
    world.put("dumps/a.csv", file(line(ANNA)))
    world.put("dumps/a.csv", file(line(BOB, "2")))
    world.put("dumps/b.csv", file(line(BOB), line(ANNA)))
    world.put("dumps/b.csv", file(line(BOB), line(ANNA)))
    for _ in range(2):
        world.put("dumps/c.csv", file(line(BOB)))
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    original = world.s3._make_api_call
    for number in range(100):
        calls = [0]

        def call(name: str, parameters: dict[str, Any], calls: list[int] = calls, at: int = number) -> object:
            if name != operation:
                return original(name, parameters)
            calls[0] += 1
            struck = calls[0] == at + 1
            if struck and not after:
                raise ClientError({"Error": {"Code": "InternalError"}}, name)
            answer = original(name, parameters)
            if struck:
                raise ClientError({"Error": {"Code": "InternalError"}}, name)
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(world.s3, "_make_api_call", call)
            try:
                world.visit(planned)
            except visit_batch.VisitsFailedError:
                continue
        break
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    assert number > 0
    assert world.contents("dumps/a.csv") == [file(line(BOB, "2"))]
    assert world.contents("dumps/b.csv") == [file(line(BOB))]
    assert len(world.contents("dumps/c.csv")) == 2
    assert world.request(request).state == "completed"
    assert run_items(world) == []


people = st.sampled_from([ANNA, BOB, CARA])
uploads = st.lists(
    st.tuples(st.sampled_from(["a", "a b", "é"]), st.lists(people, max_size=3) | st.none()), max_size=8
)


@examples(10)
@given(uploads=uploads, erased=st.sets(st.sampled_from([ANNA, BOB]), min_size=1))
def test_erased_rows_are_in_no_version_and_files_without_them_keep_theirs(
    world: "World", uploads: list[tuple[str, list[str] | None]], erased: set[str]
) -> None:
    for key, version, _ in world.versions():
        world.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    history: dict[str, list[list[str]]] = {}
    for name, who in uploads:
        key = f"dumps/{name}"
        if who is None:
            world.s3.delete_object(Bucket=BUCKET, Key=key)
        else:
            world.put(key, file(*map(line, who)))
            history.setdefault(key, []).append(who)
    before = set(world.versions())
    requests = [world.erase(who) for who in sorted(erased)]
    world.run()
    for key, versions in history.items():
        if erased.isdisjoint(itertools.chain(*versions)):
            assert set(world.versions(key)) == {v for v in before if v[0] == key}
        else:
            assert all(who.encode() not in content for who in erased for content in world.contents(key))
            assert len(world.versions(key)) <= 1
    assert {world.request(request).state for request in requests} == {"completed"}
