"""Files with rows of several people in every format, and the rows that a version still has of them."""

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

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
ALIEN = b"PK\x03\x04 nobody can tell whose this is\n"
"""A file of another format; of one person's whole file, one without metadata."""


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


def made_row(key: str, number: int, who: list[int], age: int | None, unreadable: bool, now: datetime) -> Row:
    """Return a row for the key, in the dataset's own format; `age` tells its own time, if it has one."""
    people = tuple(dict.fromkeys(PEOPLE[n % len(PEOPLE)] for n in who))
    dataset = key.split("/")[0]
    if dataset not in SEVERAL:
        people = people[:1]
    name = None
    own_time = None if age is None else now - timedelta(seconds=10 * age + 5)
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


def found_rows(key: str, rows: list[Row], body: bytes) -> list[Row]:
    """Return which of an upload's rows a version still has, as they are there, in its order."""
    dataset = key.split("/")[0]
    if dataset in WHOLE:
        return rows
    if body == ALIEN:
        return []
    known = {row.number: row for row in rows}
    if dataset in PARQUET:
        return [_loaded(row, known[row["no"]]) for row in pq.read_table(io.BytesIO(body)).to_pylist()]
    found = []
    for line in _lines(dataset, unpacked(body)):
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


def packed(codec: str, content: bytes) -> bytes:
    return {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[codec](content)


def parquet(codec: str, schema: pa.Schema, made: list[Row]) -> bytes:
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


def unpacked(body: bytes) -> bytes:
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
