import pytest

from benchmarks.visits import indexed, parquet
from benchmarks.visits import rows as row_visits


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_measured_visit_drops_the_matched_rows_and_keeps_all_others(kind: str) -> None:
    content = b"".join(row_visits.generated(kind, 20_000))
    left: list[bytes] = []
    dropped = row_visits.visited(kind, iter([content]), left.append)
    matched = [f"{row_visits.email_of(number)}".encode() for number in range(row_visits.MATCHED)]
    assert dropped > 0
    assert b"".join(left).count(b"\n") == content.count(b"\n") - dropped
    assert not any(
        email in b"".join(left)
        for email in [b'"' + m + b'"' for m in matched] + [b"," + m + b"," for m in matched]
    )


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_measured_visit_through_the_index_writes_the_same(kind: str) -> None:
    content = b"".join(row_visits.generated(kind, 20_000))
    parsed: list[bytes] = []
    row_visits.visited(kind, iter([content]), parsed.append)
    copied: list[bytes | memoryview] = []
    dropped = indexed.visited(kind, iter([content]), indexed.indexed(kind, [content]), copied.append)
    assert dropped > 0
    assert b"".join(copied) == b"".join(parsed)


def test_memory_is_measured_in_processes_of_their_own() -> None:
    # They import the benchmarks by name: a module that has moved is missed only there.
    taken, limit = parquet.peak_memory(2_000)
    assert max(row_visits.peak_memory("csv", 2_000), indexed.peak_memory("csv", 2_000), taken) < limit
