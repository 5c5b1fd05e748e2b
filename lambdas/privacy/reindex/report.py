"""The report of a reindex: every difference as evidence, page by page, and the counts."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.evidence import store as evidence_store
from privacy.reindex.items import LASTING, Comparison, Difference
from privacy.reindex.plan import READINGS
from privacy.reindex.steps import ReindexStep
from privacy.vault import archived, readings

_log: Final = logging.getLogger("privacy")

NOT_COMPARED: Final = "not-compared"
"""Kind of difference of an object whose comparison failed for good."""

EVIDENCE: Final = "reindex"
"""Kind of the evidence."""

PAGE: Final = 500
"""Differences on one page: about 200 KB."""

_LOOKED_AT: Final = 10_000
"""Items after which a page ends, however little is on it. Where pages end may not depend on the time: a page
that is written again has to be the same."""

_REPORT: Final = "report"
_CLEARED: Final = 1000  # items removed between two looks at the clock


@dataclass(slots=True)
class _Report:
    """How far the report has come: `after` is the sort key seen last, `done` whether its object was."""

    after: str = ""
    done: bool = False
    pages: int = 0
    objects: int = 0
    repaired: int = 0
    differences: dict[str, int] = field(default_factory=dict)

    def take(self, step: ReindexStep, each: Comparison | Difference) -> dict[str, Any] | None:
        """Count an object or a difference; return what the page says of it, None where that is nothing."""
        if isinstance(each, Comparison):
            self.objects += 1
            self.done = each.done
            if each.done:
                return None
            dataset = step.vault.customer.dataset_of(each.key)
            each = Difference(
                NOT_COMPARED, each.digest, dataset.name if dataset else None, error=each.failure
            )
        # What is put right is only known of an object whose comparison came to its end.
        repaired = self.done and not step.dry_run and each.kind not in LASTING
        self.repaired += repaired
        self.differences = dict(Counter(self.differences) + Counter([each.kind]))
        return each.reported(repaired=repaired)

    def counts(self) -> dict[str, Any]:
        """Return the counts: objects, differences by kind, how many were put right and how many remain."""
        return {
            "objects": self.objects,
            "differences": self.differences,
            "repaired": self.repaired,
            "remaining": sum(self.differences.values()) - self.repaired,
            "pages": self.pages,
        }


def report_reindex(step: ReindexStep, remaining: Callable[[], int]) -> dict[str, Any] | None:
    """Write every difference down as evidence; return the counts, None where time was too short.

    Called again it goes on where it stopped. Pages `<id>-00000`, … hold the differences, `<id>` the counts.
    """
    report = _Report(**step.comparisons.progress(_REPORT))
    page: list[dict[str, Any]] = []
    looked_at = 0
    for sk, each in step.comparisons.found(report.after):
        report.after = sk
        if (shown := report.take(step, each)) is not None:
            page.append(shown)
        looked_at += 1
        if len(page) == PAGE or looked_at == _LOOKED_AT:
            _write(step, report, page)
            page, looked_at = [], 0
            if remaining() < RESERVE_MILLISECONDS:
                return None
    _write(step, report, page)
    counts = report.counts()
    evidence_store.put(EVIDENCE, step.vault.customer.id, step.reindex_id, {**step.ids, **counts})
    if not step.dry_run:
        archived.forget_notes_of_before(step.vault)
    if not step.dry_run and not report.differences.get(NOT_COMPARED):
        readings.note_compared(step.vault, step.comparisons.progress(READINGS))
    kinds = " ".join(f"{kind}={number}" for kind, number in sorted(report.differences.items()))
    _log.info(
        "reindex reported: customer=%s reindex=%s objects=%d repaired=%d remaining=%d %s",
        step.vault.customer.id,
        step.reindex_id,
        counts["objects"],
        counts["repaired"],
        counts["remaining"],
        kinds,
    )
    return counts


def clear_reindex(step: ReindexStep, remaining: Callable[[], int]) -> bool:
    """Remove everything written down for the reindex; return whether the time sufficed."""
    held: list[str] = []
    for sk in step.comparisons.sort_keys():
        held.append(sk)
        if len(held) == _CLEARED:
            step.comparisons.remove(held)
            held = []
            if remaining() < RESERVE_MILLISECONDS:
                return False
    step.comparisons.remove(held)
    return True


def _write(step: ReindexStep, report: _Report, page: list[dict[str, Any]]) -> None:
    """Write a page unless it is empty, and note that the next call goes on behind it."""
    if page:
        name = f"{step.reindex_id}-{report.pages:05d}"
        document = {**step.ids, "page": report.pages, "differences": page}
        evidence_store.put(EVIDENCE, step.vault.customer.id, name, document)
        report.pages += 1
    step.comparisons.note_progress(_REPORT, asdict(report))
