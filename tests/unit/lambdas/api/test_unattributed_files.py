"""The customer sees which of its files nobody can attribute, and what to do about each."""

from dataclasses import replace
from typing import Any

import pytest

from privacy.api.unattributed_files import MEND
from privacy.unattributed import REASONS, Unattributed
from privacy.vault import notes, sessions
from privacy.vault.notes import Note

from ..support.api import DATASETS, Api

FILES = "/v1/unattributed-files"
LINE = Unattributed("unreadable-rows", "rows", "not JSON", 2, 17)
A = Note("feedback/ana@example.org", "v1", LINE, 812, "2026-05-04T09:00:00.000000Z")


def note(api: Api, *made: Note, customer: str = "acme") -> None:
    notes.write(sessions.open_vault(api.cloud.customer(customer), "index"), made)


def test_a_file_is_shown_with_its_key_the_reason_and_what_to_do(api: Api) -> None:
    note(api, A)
    assert api("GET", FILES, scopes="privacy/ingest").json == {
        "files": [
            {
                "key": A.key, "version_id": "v1", "dataset": "feedback", "reason": "unreadable-rows",
                "detail": "not JSON", "part": "rows", "lines": 2, "first_line": 17, "size": 812,
                "noted_at": A.noted_at, "mend": MEND["unreadable-rows"],
            }
        ]
    }  # fmt: skip


def test_what_is_replaced_and_another_customers_are_left_out(api: Api) -> None:
    note(
        api,
        replace(A, superseded=True),
        replace(A, key="misc/a", what=Unattributed("outside-datasets", "all")),
    )
    note(api, A, customer="zenith")
    (shown,) = api("GET", FILES).json["files"]
    assert (shown["key"], "dataset" in shown) == ("misc/a", False)


def test_every_reason_says_how_it_is_mended_and_the_missing_field_is_named(api: Api) -> None:
    made = [Unattributed(each, "all", "why") for each in REASONS]
    note(api, *(replace(A, key=f"feedback/{n}", what=what) for n, what in enumerate(made)))
    shown = {each["reason"]: each for each in api("GET", FILES).json["files"]}
    assert {reason: each["mend"] for reason, each in shown.items()} == dict(MEND)
    assert shown["no-field"]["fields"] == ["author.email"]


def test_an_accepted_dataset_says_why(api: Api) -> None:
    accepting: list[dict[str, Any]] = [
        {**each, "unattributed": {"accept": True, "reason": "machines only"}} for each in DATASETS
    ]
    api.cloud.register("acme", datasets=accepting)
    note(api, A)
    assert api("GET", FILES).json["files"][0]["accepted"] == "machines only"


@pytest.mark.parametrize("size", [1, 4, 30])
def test_pages_have_every_file_once_and_their_cursors_are_no_keys(api: Api, size: int) -> None:
    made = [replace(A, key=f"{where}/{n}") for n in range(9) for where in ("feedback", "letters")]
    note(api, *made)
    for dataset, wanted in ((None, made), ("letters", [n for n in made if n.key.startswith("letters/")])):
        asked: dict[str, Any] = {"limit": str(size), **({"dataset": dataset} if dataset else {})}
        found: list[str] = []
        while True:
            page = api("GET", FILES, query=asked).json
            found += [each["key"] for each in page["files"]]
            if "next_cursor" not in page:
                break
            assert "/" not in page["next_cursor"]
            asked["cursor"] = page["next_cursor"]
        assert sorted(found) == sorted(each.key for each in wanted)


def test_who_only_reads_requests_sees_no_keys(api: Api) -> None:
    assert api("GET", FILES, scopes="privacy/read").status == 403


@pytest.mark.parametrize("query", [{"cursor": "feedback/a"}, {"limit": "0"}, {"of": "x"}])
def test_a_query_that_is_not_as_described_is_refused(api: Api, query: dict[str, str]) -> None:
    assert api("GET", FILES, query=query).status == 400


def test_files_of_a_dataset_that_came_to_be_scanned_are_left_out(api: Api) -> None:
    note(api, A)
    scanned = [{**each, "index": "scan"} if each["name"] == "feedback" else each for each in DATASETS]
    api.cloud.register("acme", datasets=scanned)
    assert api("GET", FILES).json["files"] == []
