"""Parquet files of people, made and looked at."""

import io
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from privacy.formats.edits import ChangesOf
from privacy.parquet.edits import ParquetEdits

BUYER = pa.struct([pa.field("email", pa.string(), metadata={"says": "who"}), ("name", pa.string())])
SCHEMA = pa.schema(
    [("no", pa.int64()), ("buyer", BUYER), ("note", pa.string()), ("amount", pa.decimal128(8, 2))],
    metadata={"made": "by hand"},
)


def buyer(email: str | None, name: str = "Bob") -> dict[str, str | None]:
    return {"email": email, "name": name}


def table(*rows: dict[str, Any], schema: pa.Schema = SCHEMA) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def stored(content: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(content, out, **options)
    return out.getvalue()


def opened(content: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(content))


def loaded(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def edited(
    content: bytes,
    subject: str,
    *erase: str,
    elements: bool = False,
    changes: ChangesOf | None = None,
    personal: Collection[str] = (),
) -> tuple[bytes, ParquetEdits]:
    """What a visit makes of a file, with identifiers in place of references."""
    edits = ParquetEdits(
        (subject,),
        frozenset(erase),
        changes or {},
        lambda identifier: identifier or None,
        elements=elements,
        personal=frozenset(personal),
    )
    out = io.BytesIO()
    written = edits.apply(io.BytesIO(content), out.write)
    assert written == edits.done.differs
    return out.getvalue() if written else content, edits
