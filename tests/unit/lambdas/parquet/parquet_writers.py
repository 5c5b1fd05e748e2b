"""Parquet files of the same people, made by the writers that PyPI has, and readers to read them again."""

import itertools
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 300

Write = Callable[[Path], object]


def person(number: int) -> str:
    return f"p{number}@example.org"


def people() -> pa.Table:
    """Each of 30 people in ten rows, and rows about nobody."""
    numbers = range(ROWS)
    return pa.table(
        {
            "no": pa.array(numbers, pa.int64()),
            "email": [None if n % 31 == 30 else person(n % 31) for n in numbers],
            "name": [None if n % 7 == 3 else f"Name {n % 31}" for n in numbers],
            "text": [f"{n} says something else each time" for n in numbers],
            "score": pa.array([None if n % 5 == 1 else n / 3 for n in numbers], pa.float64()),
            "small": pa.array([n % 100 for n in numbers], pa.int32()),
            "flag": [n % 2 == 0 for n in numbers],
            "day": pa.array([date(2026, 1, 1) + timedelta(days=n % 50) for n in numbers], pa.date32()),
            "at": pa.array([10**15 + n * 10**9 for n in numbers], pa.timestamp("us")),
        }
    )


def _by_fastparquet(**options: object) -> Write:
    def write(path: Path) -> None:
        frame = people().to_pandas()
        frame["kind"] = pd.Categorical([f"kind {n % 4}" for n in range(ROWS)])
        frame["day"] = pd.to_datetime(frame["day"])
        fastparquet.write(str(path), frame, write_index=False, row_group_offsets=100, **options)

    return write


def _by_duckdb(**options: str) -> Write:
    def write(path: Path) -> None:
        said = ", ".join(["FORMAT parquet", *(f"{name} {value}" for name, value in options.items())])
        with duckdb.connect() as base:
            base.register("people", people())
            base.execute(
                "COPY (SELECT *, ['a', email] AS list, {'x': no, 'y': name} AS struct,"
                f" no::DECIMAL(9, 2) AS money, no::HUGEINT AS huge FROM people) TO '{path}' ({said})"
            )

    return write


def _by_polars(**options: object) -> Write:
    def write(path: Path) -> None:
        frame = pl.from_arrow(people())
        assert isinstance(frame, pl.DataFrame)
        more = [
            pl.format("kind {}", pl.col("no") % 4).cast(pl.Categorical).alias("kind"),
            pl.concat_list(pl.col("no"), pl.col("no") + 1).alias("list"),
            pl.struct("name", "no").alias("struct"),
        ]
        frame.with_columns(more).write_parquet(path, row_group_size=100, **options)

    return write


def _by_arrow(**options: object) -> Write:
    def write(path: Path) -> None:
        table = people()
        kinds = pa.array([f"kind {n % 4}" for n in range(ROWS)]).dictionary_encode()
        lists = pa.array([[n, n + 1] if n % 3 else None for n in range(ROWS)])
        maps = pa.array([[("k", str(n))] for n in range(ROWS)], pa.map_(pa.string(), pa.string()))
        table = table.append_column("kind", kinds).append_column("list", lists).append_column("map", maps)
        pq.write_table(table, path, **{"row_group_size": 100, **options})

    return write


def _combinations(**choices: list[Any]) -> Iterator[dict[str, Any]]:
    for chosen in itertools.product(*choices.values()):
        yield dict(zip(choices, chosen, strict=True))


def writers() -> dict[str, Write]:
    """Return every way to write the people, by a name that says how."""
    found: dict[str, Write] = {}

    def add(name: str, make: Callable[..., Write], options: dict[str, Any]) -> None:
        found[" ".join([name, *(f"{key}={value}" for key, value in options.items())])] = make(**options)

    for options in _combinations(compression=[None, "SNAPPY", "GZIP", "ZSTD"], times=["int64", "int96"]):
        add("fastparquet", _by_fastparquet, options)
    add("fastparquet", _by_fastparquet, {"has_nulls": True, "stats": True})
    for options in _combinations(
        COMPRESSION=["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"],
        PARQUET_VERSION=["v1", "v2"],
    ):
        add("duckdb", _by_duckdb, options)
    add("duckdb", _by_duckdb, {"ROW_GROUP_SIZE": "2048", "DICTIONARY_SIZE_LIMIT": "1"})
    for options in _combinations(
        compression=["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4"], statistics=[True, "full"]
    ):
        add("polars", _by_polars, options)
    add("polars", _by_polars, {"data_page_size": 100})
    for options in _combinations(
        version=["1.0", "2.4", "2.6"], data_page_version=["1.0", "2.0"], use_dictionary=[True, False]
    ):
        add("pyarrow", _by_arrow, options)
    for compression in ("none", "gzip", "brotli", "zstd", "lz4"):
        add("pyarrow", _by_arrow, {"compression": compression, "data_page_version": "2.0"})
    for one in (
        {"write_page_index": True, "write_page_checksum": True, "data_page_size": 100},
        {"use_deprecated_int96_timestamps": True},
        {"use_byte_stream_split": ["score", "small"], "use_dictionary": False},
        {
            "column_encoding": {"no": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY"},
            "use_dictionary": False,
        },
        {"column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY"}, "use_dictionary": False},
        {"dictionary_pagesize_limit": 10, "data_page_size": 50, "write_batch_size": 5},
        {"bloom_filter_options": {"email": {"ndv": 100}, "no": {"ndv": 100}}},
        {"sorting_columns": [pq.SortingColumn(0)], "write_statistics": ["no"]},
        {"use_compliant_nested_type": False, "store_schema": False},
        {"use_content_defined_chunking": True, "row_group_size": 300},
        {"row_group_size": 300, "compression": "zstd", "compression_level": 19},
    ):
        add("pyarrow", _by_arrow, one)
    return found


def read_by_duckdb(path: Path) -> dict[int, str]:
    """Return every row as DuckDB reads it, spelled, by its number."""
    with duckdb.connect() as base:
        rows = base.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
        names = [column[0] for column in base.description or ()]
    return {row[names.index("no")]: repr(row) for row in rows}


def read_by_polars(path: Path) -> dict[int, str]:
    """Return every row as Polars reads it, spelled, by its number."""
    return {row["no"]: repr(row) for row in pl.read_parquet(path).iter_rows(named=True)}
