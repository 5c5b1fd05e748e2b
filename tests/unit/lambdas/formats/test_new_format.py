"""A sixth format of rows is one file and one line in the table: a toy one, through visits, index and reindex.

And the config takes the names, and for each of them the options, that the functions know what to do with.
"""

import gzip
import importlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, get_args

import pytest

from components.functions.catalogue import FUNCTIONS
from components.settings.datasets import dataset_checks
from components.settings.settings import Format
from privacy import environment
from privacy.customers.customer import Dataset
from privacy.formats.blocks import Block, Unreadable, UnreadableRowError, whole_lines
from privacy.formats.edits import RowEdits
from privacy.formats.readers import FileFormat, RowsInStream, RowsOnDisk, WholeFiles
from privacy.identifiers import uuid7
from privacy.index.file_formats import FORMATS

if TYPE_CHECKING:
    from privacy.formats.blocks import Subject

    from ..support.world import World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"
TALKS = Dataset("talks", "piped", "talks/", ("subject",), {"subject": "email", "text": "text"})
ROW_FORMATS = sorted(name for name, each in FORMATS.items() if not isinstance(each, WholeFiles))


class PipedRows:
    """Reads rows of the form `subject|text`, one a line."""

    head = 0

    def blocks(self, content: Iterable[bytes]) -> Iterator[Block]:
        line, offset = 1, 0
        for piece in whole_lines(content):
            rows = piece.removesuffix(b"\n").split(b"\n")
            yield Block(
                piece, rows, [self._subject(row) for row in rows], piece.endswith(b"\n"), line, offset
            )
            line += len(rows)
            offset += len(piece)

    def corrected(self, row: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes | None:
        fields = dict(zip(("subject", "text"), self._fields(row), strict=True))
        for change in changes:
            fields |= {name: str(value).encode() for name, value in change.items()}
        new = b"|".join(fields.values())
        return new if new != row else None

    def values(self, row: bytes, field: str) -> list[str]:
        return [self._fields(row)[("subject", "text").index(field)].decode()]

    def _subject(self, row: bytes) -> "Subject":
        try:
            return self._fields(row)[0].decode() or None
        except UnreadableRowError as error:
            return Unreadable(str(error))

    def _fields(self, row: bytes) -> list[bytes]:
        if row.count(b"|") != 1:
            raise UnreadableRowError("is not subject|text")
        return row.split(b"|")


@pytest.fixture
def talks(world: "World", monkeypatch: pytest.MonkeyPatch) -> "World":
    """A customer that has a dataset of a sixth format: this is all that it takes."""
    monkeypatch.setitem(FORMATS, "piped", RowsInStream(lambda _subjects, _dataset: PipedRows()))
    datasets = json.dumps([asdict(each) | {"subject": None} for each in (*world.customer.datasets, TALKS)])
    world.dynamodb.update_item(
        TableName=os.environ[environment.REGISTRY_TABLE],
        Key={"pk": {"S": "customer#acme"}},
        UpdateExpression="SET datasets = :datasets",
        ExpressionAttributeValues={":datasets": {"S": datasets}},
    )
    world.customer = replace(world.customer, datasets=(*world.customer.datasets, TALKS))
    world.use_table(world.customer.table)
    return world


def test_its_rows_go_by_their_positions_and_the_others_stay(
    talks: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    in_full: list[str] = []
    monkeypatch.setattr(RowEdits, "applied", lambda *_: in_full.append("parsed") or iter(()))
    talks.put("talks/a", f"{ANNA}|one\n{BOB}|two\n{ANNA.upper()}|three\n|nobody\n{CARL}|four".encode())
    assert "object#talks/a" in talks.partition(ANNA)
    first = talks.erase(ANNA)
    talks.run()
    assert talks.contents("talks/a") == [f"{BOB}|two\n|nobody\n{CARL}|four".encode()]
    assert "object#talks/a" not in talks.partition(ANNA)
    # The second visit goes by positions that the first one moved.
    second = talks.erase(CARL)
    talks.run()
    assert talks.contents("talks/a") == [f"{BOB}|two\n|nobody\n".encode()]
    assert {talks.request(each).state for each in (first, second)} == {"completed"}
    assert not in_full


class TidyingRows(PipedRows):
    """Reads the same rows, but loses the spaces at their ends on the way."""

    def blocks(self, content: Iterable[bytes]) -> Iterator[Block]:
        return super().blocks(piece.replace(b" \n", b"\n") for piece in whole_lines(content))


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_what_a_reader_loses_of_other_rows_is_not_written(
    talks: "World", monkeypatch: pytest.MonkeyPatch, packed: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setitem(FORMATS, "piped", RowsInStream(lambda _subject, _dataset: TidyingRows()))
    content = packed(f"{ANNA}|one\n{BOB}|two \n{CARL}|three".encode())
    talks.put("talks/a", content)
    talks.put("talks/a", content, indexed=False)
    before = talks.contents("talks/a")
    request = talks.erase(ANNA)
    talks.run()
    assert talks.contents("talks/a") == before
    done = talks.request(request)
    assert (done.state, done.detail and done.detail["problems"][0]["reason"]) == ("partial", "not-proven")
    assert "object#talks/a" in talks.partition(ANNA)


def test_its_rows_are_corrected(talks: "World") -> None:
    talks.put("talks/a", f"{ANNA}|one\n{BOB}|two\n".encode())
    request = talks.correct(ANNA, [{"dataset": "talks", "set": {"text": "eins"}}])
    talks.run()
    assert talks.contents("talks/a") == [f"{ANNA}|eins\n{BOB}|two\n".encode()]
    assert talks.request(request).state == "completed"


def test_a_row_that_cannot_be_read_is_reported_with_its_line(talks: "World") -> None:
    talks.put("talks/a", f"{BOB}|two\nthis is none\n{ANNA}|one\n".encode())
    request = talks.erase(ANNA)
    talks.run()
    done = talks.request(request)
    assert (done.state, talks.read("talks/a")) == ("partial", f"{BOB}|two\nthis is none\n".encode())
    assert done.detail is not None
    assert [(each["line"], each["reason"]) for each in done.detail["unparsed"]] == [
        (2, "is not subject|text")
    ]


def test_a_reindex_finds_and_mends_what_the_index_lacks(talks: "World") -> None:
    for function in ("plan_reindex", "reindex_objects", "report_reindex"):
        importlib.reload(importlib.import_module(FUNCTIONS[function].path))
    talks.put("talks/a", f"{ANNA}|one\n{BOB}|two\n".encode(), indexed=False)
    step = talks.call("plan_reindex", {"reindex_id": uuid7(), "input": {"customer": "acme"}})
    for batch in step["batches"]:
        talks.call("reindex_objects", {**step, **batch})
    counts = talks.call("report_reindex", step)["counts"]
    assert counts["differences"] == {"missing-entry": 2, "unmarked-version": 1}
    assert counts["remaining"] == 0
    request = talks.erase(ANNA)
    talks.run()
    assert talks.contents("talks/a") == [f"{BOB}|two\n".encode()]
    assert talks.request(request).state == "completed"


def test_the_config_takes_the_formats_that_the_functions_know() -> None:
    assert set(get_args(Format)) == {"records", *FORMATS}


@pytest.mark.parametrize("name", ROW_FORMATS)
def test_the_config_takes_the_options_that_the_format_can_do(name: str) -> None:
    known: FileFormat = FORMATS[name]
    assert isinstance(known, RowsInStream | RowsOnDisk)
    assert not refused(name)
    assert refused(name, subject="to[].email", remove="element") == (not known.elements)
    assert refused(name, as_of="at") == (not isinstance(known, RowsInStream))


def refused(name: str, **more: str) -> bool:
    """Whether the config refuses a dataset of the format with these options."""
    subject = more.get("subject", "email")
    dataset = {"format": name, "prefix": "a/", "subject": subject, "personal": {subject: "email"}}
    return bool(list(dataset_checks((), {**dataset, **more})))
