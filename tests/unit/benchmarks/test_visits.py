import pytest

from benchmarks import visits


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
