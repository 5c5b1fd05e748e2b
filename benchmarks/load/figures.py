"""Numbers of a load run: what was sent, how it was answered, how long it took."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One answered request: when it was sent (seconds of a monotonic clock), how long it took, its status."""

    operation: str
    sent: float
    seconds: float
    status: int


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of values in ascending order."""
    rank = max(-(-len(ordered) * percent // 100), 1)
    return ordered[int(rank) - 1]


def table(calls: Iterable[Call], seconds: float) -> str:
    """Return a table of rates and latencies, one line an operation and one for all of them."""
    by_operation: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        by_operation[call.operation].append(call.seconds)
        by_operation["all"].append(call.seconds)
    lines = [f"{'operation':<24}{'calls':>7}{'per s':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}"]
    for operation, taken in sorted(by_operation.items(), key=lambda entry: (entry[0] == "all", entry[0])):
        ordered = sorted(taken)
        latencies = "".join(f"{percentile(ordered, percent) * 1000:>9.0f}" for percent in (50, 95, 99))
        lines.append(f"{operation:<24}{len(ordered):>7}{len(ordered) / seconds:>8.1f}{latencies}")
    return "\n".join(lines)
