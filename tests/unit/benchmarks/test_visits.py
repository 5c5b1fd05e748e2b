import pytest

from benchmarks import indexed_visits, visits


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_measured_visit_drops_the_matched_rows_and_keeps_all_others(kind: str) -> None:
    content = b"".join(visits.generated(kind, 20_000))
    left: list[bytes] = []
    dropped = visits.visited(kind, iter([content]), left.append)
    matched = [f"{visits._email(number)}".encode() for number in range(visits.MATCHED)]
    assert dropped > 0
    assert b"".join(left).count(b"\n") == content.count(b"\n") - dropped
    assert not any(
        email in b"".join(left)
        for email in [b'"' + m + b'"' for m in matched] + [b"," + m + b"," for m in matched]
    )


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_measured_visit_through_the_index_writes_the_same(kind: str) -> None:
    content = b"".join(visits.generated(kind, 20_000))
    parsed: list[bytes] = []
    visits.visited(kind, iter([content]), parsed.append)
    copied: list[bytes | memoryview] = []
    dropped = indexed_visits.visited(
        kind, iter([content]), indexed_visits.indexed(kind, [content]), copied.append
    )
    assert dropped > 0
    assert b"".join(copied) == b"".join(parsed)
