"""How fast a visit reads and rewrites files of rows, as ratios to baselines measured in the same run.

Measured is the visit's own path over generated files in memory: unpack, find each row's subject, drop the
rows of 100 of 20,000 subjects, pack, and digest before and after. Amazon S3 is not part of it. What counts is
processor time, least of several rounds. The baselines are what nobody can do without: copying the bytes,
parsing each line with orjson, reading each row with the csv module, and Python's own decompress and compress.
"""

import csv
import gzip
import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SUBJECTS = 20_000
MATCHED = 100
CHUNK = 128 * 1024  # as privacy.vault.objects reads

LIMITS = {"jsonl": 500_000, "csv": 400_000}
"""Rows a second that a visit has to reach."""

TWO_LIMIT = 200_000
"""Rows a second of files whose rows have two subject fields."""

GZIP_LIMIT = 0.9
"""Part of the speed of Python's own decompress and compress that a visit of a gzip file has to reach."""

MEMORY_LIMIT = 150
"""MiB that a visit may take above what its imports take, whatever the size of the file."""

WORDS = (
    "service",
    "arrived",
    "late",
    "friendly",
    "again",
    "price",
    "room",
    "quiet",
    "\u201cgreat\u201d",
    "never",
)
_ROWS = 20_000  # generated once and repeated: the mix of subjects is what matters


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the table: rows a second, the baseline's, and whether the limit is kept."""

    name: str
    rows: float
    baseline: str
    baseline_rows: float
    good: bool


def generated(kind: str, rows: int) -> Iterator[bytes]:
    """Yield a file of about 310 bytes a row, in pieces of whole rows."""
    block = _block(kind)
    if kind == "csv":
        yield b"id,email,name,rating,created,text\r\n"
    for _ in range(rows // _ROWS):
        yield from (block[start : start + CHUNK] for start in range(0, len(block), CHUNK))


def visited(
    kind: str, content: Iterator[bytes], write: Callable[[bytes], object], fields: Sequence[str] = ("email",)
) -> int:
    """Put a file through what a visit does to it, by these `fields`; return how many rows it dropped."""
    from privacy.customers.customer import CsvDialect
    from privacy.customers.references import subject_reference
    from privacy.formats import compression
    from privacy.formats.csv_rows import CsvRows
    from privacy.formats.edits import RowEdits
    from privacy.formats.jsonl import JsonLines

    def reference(identifier: str) -> str:
        return subject_reference(b"benchmark", identifier, "email")

    before, after = hashlib.sha256(), hashlib.sha256()

    def digested() -> Iterator[bytes]:
        for chunk in content:
            before.update(chunk)
            yield chunk

    edits = RowEdits(frozenset(reference(email_of(n)) for n in range(MATCHED)), {}, reference)
    codec, plain = compression.unpacked(digested())
    packer = compression.packer(codec)
    reader = (
        CsvRows(fields, CsvDialect()) if kind == "csv" else JsonLines(*(f"author.{each}" for each in fields))
    )
    for piece in edits.proven(partial(edits.applied, reader), plain):
        packed = packer.compress(piece)
        after.update(packed)
        write(packed)
    write(packer.flush())
    return edits.done.rows_dropped


def measure(rows: int, rounds: int) -> list[Measured]:
    """Measure every format on a file of so many rows."""
    files = {kind: b"".join(generated(kind, rows)) for kind in LIMITS}
    packed = zlib.compress(files["jsonl"], 6, 31)
    found = []
    for kind, content in files.items():
        speed = rate_of(rows, rounds, lambda k=kind, c=content: _visit(k, c))
        copied = rate_of(rows, rounds, lambda c=content: _copy(c))
        found.append(Measured(f"{kind}, full parse", speed, "copyfileobj", copied, speed >= LIMITS[kind]))
        parse = _parse_csv if kind == "csv" else _parse_jsonl
        parsed = rate_of(rows, rounds, lambda p=parse, c=content: p(c))
        found.append(
            Measured(f"{kind}, full parse", speed, parse.__doc__ or "", parsed, speed >= LIMITS[kind])
        )
        two = rate_of(rows, rounds, lambda k=kind, c=content: _visit(k, c, ("email", "name")))
        found.append(Measured(f"{kind}, two subjects", two, parse.__doc__ or "", parsed, two >= TWO_LIMIT))
    speed = rate_of(rows, rounds, lambda: _visit("jsonl", packed))
    own = rate_of(rows, rounds, lambda: zlib.compress(gzip.decompress(packed), 6, 31))
    found.append(Measured("jsonl, gzip", speed, "gzip.decompress + compress", own, speed >= GZIP_LIMIT * own))
    return found


def peak_memory(kind: str, rows: int) -> float:
    """Return the MiB that a visit of a file of so many rows takes above its imports, in a new process."""
    root = Path(__file__).resolve().parents[2]
    script = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from benchmarks.visits import rows; print(rows.memory_of(sys.argv[1], int(sys.argv[2])))"
    )
    arguments = [sys.executable, "-c", script, kind, str(rows), str(root), str(root / "lambdas")]
    return float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def memory_of(kind: str, rows: int) -> float:
    """Visit a file in this process; return the MiB that it took above what it held before."""
    visited(kind, iter(()), len)
    started = peak()
    visited(kind, generated(kind, rows), len)
    return peak() - started


def peak() -> float:
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _visit(kind: str, content: bytes, fields: Sequence[str] = ("email",)) -> None:
    dropped = visited(kind, (content[n : n + CHUNK] for n in range(0, len(content), CHUNK)), len, fields)
    if not dropped:
        raise RuntimeError("the measured visit dropped no row")


def _copy(content: bytes) -> None:
    shutil.copyfileobj(io.BytesIO(content), io.BytesIO(), CHUNK)


def _parse_jsonl(content: bytes) -> None:
    """orjson of each line"""
    import orjson

    for line in io.BytesIO(content):
        orjson.loads(line)


def _parse_csv(content: bytes) -> None:
    """csv module"""
    for _ in csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="")):
        pass


def rate_of(rows: int, rounds: int, call: Callable[[], object]) -> float:
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return rows / min(taken)


def _block(kind: str) -> bytes:
    chance = random.Random(1)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for number in range(_ROWS):
        email = email_of(chance.randrange(SUBJECTS))
        text = " ".join(chance.choices(WORDS, k=27))
        name, created = "Some Body", "2026-05-01T10:00:00Z"
        if kind == "csv":
            # Every other text has a comma, and is quoted for it.
            comma = ", indeed" if number % 2 else ""
            writer.writerow([number, email, name, 4, created, f"{text} {text[:55]}{comma}"])
        else:
            row = {"id": number, "author": {"email": email, "name": name}, "created": created, "text": text}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return out.getvalue().encode()


def email_of(number: int) -> str:
    return f"person{number}@example.org"
