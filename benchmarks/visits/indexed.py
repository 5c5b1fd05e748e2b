"""How fast a visit is that knows from the index where rows are: it copies the rest, and checks those rows.

Measured is the visit's own path from the entries' positions to the new content: what the index keeps is made
beforehand, by reading the file as the index function does. The baseline is copying the bytes.
"""

import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.visits import rows as row_visits
from benchmarks.visits.rows import CHUNK, MATCHED, Measured

if TYPE_CHECKING:
    from privacy.formats.blocks import RowReader
    from privacy.index.entries import Entries, Marker

LIMIT = 2_000_000
"""Rows a second that a visit through the index has to reach, or `COPY_LIMIT`, whichever is less."""

COPY_LIMIT = 0.5
"""Part of the speed of `shutil.copyfileobj`."""

KINDS = ("jsonl", "csv")
REINDEXED = "jsonl, indexed in the visit"
_READ = 1024 * 1024  # as privacy.vault.objects reads where it copies
_READING = b"as ever."


def indexed(kind: str, content: Iterable[bytes]) -> "tuple[Marker, Entries]":
    """Return what the index keeps of a file: its marker, and the entries of the matched subjects."""
    from privacy.formats.positions import INDEX_BYTES, RowPositions
    from privacy.index.entries import Entries, Marker

    matched = _matched()

    def reference(identifier: str) -> str | None:
        ref = _reference(identifier)
        return ref if ref in matched else None

    reader = _reader(kind)
    positions = RowPositions(reference, INDEX_BYTES)
    for block in reader.blocks(content):
        positions.take(block.rows, block.subjects, block.offset, ended=block.ended)
    packed = {ref: positions.packed(ref) or b"" for ref in positions.rows}
    kept = Entries(dict.fromkeys(packed, "1"), {ref: _READING + text for ref, text in packed.items()})
    return Marker("1", base="1", head=reader.head, reading=_READING), kept


def visited(
    kind: str,
    content: Iterator[bytes],
    known: "tuple[Marker, Entries]",
    write: Callable[[bytes | memoryview], object],
) -> int:
    """Put a file through what a visit does to it by positions; return how many rows it dropped."""
    from privacy.formats import compression
    from privacy.formats.copies import RowCopy
    from privacy.formats.digests import Digests
    from privacy.formats.edits import RowEdits

    marker, entries = known
    targets = entries.targets(marker, list(entries.versions), _READING)
    if targets is None:
        raise RuntimeError("the index does not tell where rows are")
    reference = lru_cache(maxsize=65_536)(_reference)  # as privacy.index.subjects remembers
    edits = RowEdits(frozenset(entries.versions), {}, reference)
    digests, packed_digest = Digests(), hashlib.sha256()
    codec, plain = compression.unpacked(digests.read(content))
    packer = compression.packer(codec)
    copy = RowCopy(_reader(kind), marker.head, targets, edits)
    for piece in edits.proven(copy.applied, plain):
        packed = packer.compress(piece)
        if codec == "plain":
            digests.write(piece, same=not edits.done.rows_dropped)
        else:
            packed_digest.update(packed)
        write(packed)
    write(packer.flush())
    marker.rewritten(edits.splices, _READING)
    return edits.done.rows_dropped


def measure(rows: int, rounds: int) -> list[Measured]:
    """Measure every format, and gzip, on a file of so many rows."""
    found = []
    for kind in KINDS:
        content = b"".join(row_visits.generated(kind, rows))
        known = indexed(kind, row_visits.generated(kind, rows))
        pieces = _cut(content)
        speed = row_visits.rate_of(rows, rounds, lambda k=kind, p=pieces, i=known: _visit(k, p, i))
        copied = row_visits.rate_of(rows, rounds, lambda c=content: _copy(c))
        good = speed >= min(LIMIT, COPY_LIMIT * copied)
        found.append(Measured(f"{kind}, through the index", speed, "copyfileobj", copied, good))
        if kind == "jsonl":
            packed = zlib.compress(content, 6, 31)
            pieces = _cut(packed)
            speed = row_visits.rate_of(rows, rounds, lambda i=known, p=pieces: _visit("jsonl", p, i))
            own = row_visits.rate_of(rows, rounds, lambda p=packed: zlib.compress(gzip.decompress(p), 6, 31))
            name = "jsonl, gzip, index"
            good = speed >= row_visits.GZIP_LIMIT * own
            found.append(Measured(name, speed, "gzip.decompress + compress", own, good))
    return found


def peak_memory(kind: str, rows: int) -> float:
    """Return the MiB that a visit of a file of so many rows takes above its imports, in a new process.

    `kind` may also be `REINDEXED`: the visit of a file that the index has not seen, and indexes in passing.
    """
    root = Path(__file__).resolve().parents[2]
    script = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from benchmarks.visits import indexed; print(indexed.memory_of(sys.argv[1], int(sys.argv[2])))"
    )
    arguments = [sys.executable, "-c", script, kind, str(rows), str(root), str(root / "lambdas")]
    return float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def memory_of(kind: str, rows: int) -> float:
    """Visit a file in this process; return the MiB that it took above what it held before."""
    if kind == REINDEXED:
        reindexed(iter(()))
        started = row_visits.peak()
        reindexed(row_visits.generated("jsonl", rows))
        return row_visits.peak() - started
    known = indexed(kind, row_visits.generated(kind, rows))
    visited(kind, iter(()), indexed(kind, ()), len)
    started = row_visits.peak()
    visited(kind, row_visits.generated(kind, rows), known, len)
    return row_visits.peak() - started


def reindexed(content: Iterable[bytes]) -> int:
    """Parse a jsonl file in full, drop rows, and index what is left; return the bytes of all positions."""
    from privacy.formats.edits import RowEdits
    from privacy.formats.positions import RowPositions
    from privacy.visits.rewriting import POSITIONS_BYTES

    positions = RowPositions(_reference, POSITIONS_BYTES)
    edits = RowEdits(_matched(), {}, _reference, positions=positions)
    for _ in edits.proven(partial(edits.applied, _reader("jsonl")), content):
        continue
    return sum(len(positions.packed(ref) or b"") for ref in positions.rows)


def _reader(kind: str) -> "RowReader":
    from privacy.customers.customer import CsvDialect
    from privacy.formats.csv_rows import CsvRows
    from privacy.formats.jsonl import JsonLines

    return CsvRows(("email",), CsvDialect()) if kind == "csv" else JsonLines("author.email")


def _reference(identifier: str) -> str:
    from privacy.customers.references import subject_reference

    return subject_reference(b"benchmark", identifier, "email")


@cache
def _matched() -> frozenset[str]:
    return frozenset(_reference(row_visits.email_of(number)) for number in range(MATCHED))


def _cut(content: bytes) -> list[bytes]:
    return [content[n : n + _READ] for n in range(0, len(content), _READ)]


def _visit(kind: str, pieces: list[bytes], known: "tuple[Marker, Entries]") -> None:
    if not visited(kind, iter(pieces), known, len):
        raise RuntimeError("the measured visit dropped no row")


def _copy(content: bytes) -> None:
    shutil.copyfileobj(io.BytesIO(content), io.BytesIO(), CHUNK)
