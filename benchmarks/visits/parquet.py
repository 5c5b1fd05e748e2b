"""How fast a visit rewrites a parquet file, and how much memory it takes: as benchmarks/visits/rows.py does.

The baseline is what somebody would write with pyarrow: read the table, filter it by the subject's column,
write it, with the same codec and row groups, on one thread. Unlike a visit, it neither turns identifiers into
subject references nor digests the file before and after.
"""

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.visits.rows import MATCHED, MEMORY_LIMIT, SUBJECTS, WORDS, Measured, email_of, peak

LIMIT = 1.5
"""Times the speed of the baseline that a visit has to reach."""

GROUP_ROWS = 100_000
_BLOCK = 20_000  # texts generated once and turned round: no two of them are the same


def generate(path: Path, rows: int) -> int:
    """Write a file of about 310 bytes a row, if plain; return the bytes of its largest row group, decoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(1)
    texts = [" ".join(chance.choices(WORDS, k=27)) for _ in range(_BLOCK)]
    author = pa.struct([("email", pa.string()), ("name", pa.string())])
    schema = pa.schema(
        [("id", pa.int64()), ("author", author), ("created", pa.string()), ("text", pa.string())]
    )
    largest = 0
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, GROUP_ROWS):
            numbers = range(first, min(first + GROUP_ROWS, rows))
            group = pa.table(
                {
                    "id": pa.array(numbers),
                    "author": [
                        {"email": email_of(chance.randrange(SUBJECTS)), "name": "Some Body"} for _ in numbers
                    ],
                    "created": ["2026-05-01T10:00:00Z"] * len(numbers),
                    "text": [f"{n} {texts[n % _BLOCK]}" for n in numbers],
                },
                schema=schema,
            )
            largest = max(largest, group.nbytes)
            writer.write_table(group, row_group_size=GROUP_ROWS)
    return largest


def visited(path: Path, write: Callable[[bytes], object], matched: int = MATCHED) -> int:
    """Put a file through what a visit does to it; return how many rows it dropped."""
    from privacy.customers.references import subject_reference
    from privacy.parquet.edits import ParquetEdits

    def reference(identifier: str) -> str:
        return subject_reference(b"benchmark", identifier, "email")

    before, after = hashlib.sha256(), hashlib.sha256()

    def take(content: bytes) -> None:
        after.update(content)
        write(content)

    erase = frozenset(reference(email_of(n)) for n in range(matched))
    edits = ParquetEdits(("author.email",), erase, {}, reference)
    with path.open("rb") as file:
        while chunk := file.read(128 * 1024):
            before.update(chunk)
        edits.apply(file, take)
    return edits.done.rows_dropped


def filtered(path: Path, out: Path) -> None:
    """Read, filter and write with pyarrow"""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, use_threads=False)
    gone = pa.array([email_of(n) for n in range(MATCHED)])
    kept = pc.invert(pc.is_in(pc.struct_field(table["author"], "email"), gone))
    pq.write_table(table.filter(kept), out, row_group_size=GROUP_ROWS)


def measure(rows: int, rounds: int) -> Measured:
    """Measure a visit and the baseline in turn, so that a slow moment of the machine falls on both."""
    taken: dict[str, list[float]] = {"visit": [], "filter": []}
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "out"
        generate(source, rows)
        for _ in range(rounds):
            started = time.process_time()
            with out.open("wb") as file:
                dropped = visited(source, file.write)
            taken["visit"].append(time.process_time() - started)
            started = time.process_time()
            filtered(source, out)
            taken["filter"].append(time.process_time() - started)
    if not dropped:
        raise RuntimeError("the measured visit dropped no row")
    speed, baseline = (rows / min(each) for each in taken.values())
    return Measured("parquet", speed, "pyarrow read, filter, write", baseline, speed >= LIMIT * baseline)


def memory_of(rows: int) -> tuple[float, float]:
    """Visit a file in this process; return the MiB that it took above what it held before, and the limit."""
    with tempfile.TemporaryDirectory() as folder:
        source, tiny = Path(folder) / "source", Path(folder) / "tiny"
        # In another process: generating takes more memory than the visit.
        script = (
            "import sys; from pathlib import Path; from benchmarks.visits import parquet as p\n"
            "print(p.generate(Path(sys.argv[1]), int(sys.argv[2])))"
        )
        sizes = [
            int(
                subprocess.run(
                    [sys.executable, "-c", script, str(file), str(size)],
                    check=True,
                    capture_output=True,
                    env={"PYTHONPATH": ":".join(sys.path)},
                ).stdout
            )
            for file, size in ((tiny, 10), (source, rows))
        ]
        visited(tiny, len, SUBJECTS)
        started = peak()
        visited(source, len)
        return peak() - started, MEMORY_LIMIT + sizes[1] / 1024 / 1024


def peak_memory(rows: int) -> tuple[float, float]:
    """Return what `memory_of` does, measured in a new process."""
    root = Path(__file__).resolve().parents[2]
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from benchmarks.visits import parquet; print(*parquet.memory_of(int(sys.argv[1])))"
    )
    arguments = [sys.executable, "-c", script, str(rows), str(root), str(root / "lambdas")]
    taken, limit = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    return float(taken), float(limit)
