"""Visits as plain values: what a run has to do, and what came of it. `privacy.visits.items` keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from privacy.visits.limits import ALL_ROWS, Extent, Limits, for_object

Kind = Literal["object", "records", "exports"]
Counted = Literal["records_deleted", "records_changed"]


@dataclass(frozen=True, slots=True)
class Visit:
    """One object, the records of some subjects, or all exports, and what the run's requests ask of it.

    - `requests`: the ids of all requests concerned, oldest first.
    - `erase`: the references of everybody to erase. Of those in `until` only the rows go that are by their
      own time not after the instant there; those in `limits` are erased from some versions only.
    - `correct`: pairs of correction request and subject reference, oldest first.
    - `done_at`, `outcome`: when the visit was done and what came of it; None until then.
    - `problem`: what verification found; `failure`: the name of the error that the last attempt ended with.
    - `journal`: what attempts noted before they acted (`items.Journal`).
    - `tally`: how many records attempts changed or deleted.
    - `scan`: set where nobody knows whom the object holds (`scans`); `sole` is then its only version, if it
      had no other when the run was planned.
    - `shared`: the name of the item that says what very many visits ask alike.
    """

    number: int
    kind: Kind
    requests: tuple[str, ...]
    erase: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)
    correct: tuple[tuple[str, str], ...] = ()
    key: str | None = None
    dataset: str | None = None
    done_at: str | None = None
    outcome: Mapping[str, Any] | None = None
    problem: str | None = None
    failure: str | None = None
    journal: Mapping[str, Any] = field(default_factory=dict)
    tally: Mapping[str, int] = field(default_factory=dict)
    scan: bool = False
    sole: str | None = None
    shared: str | None = None

    def extents(self, uploaded_at: str) -> dict[str, Extent]:
        """Return whom to erase from an object's version that was uploaded then, and which of their rows.

        The instant counts only where the visit has `limits`.
        """
        if not self.limits:
            return {ref: Extent(self.until.get(ref)) for ref in self.erase}
        reached = for_object(self.erase, self.limits, uploaded_at)
        wholly = reached - self.until.keys() | reached & self.limits.keys()
        return dict.fromkeys(wholly, ALL_ROWS) | {
            ref: Extent(at) for ref, at in self.until.items() if ref not in wholly
        }


@dataclass(slots=True)
class RunNotes:
    """Everything a run has written down: its visits, and the problems of requests as a whole.

    `datasets` are those of files that a correction is about, by request.
    """

    visits: list[Visit] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(self, request_id: str) -> list[Visit]:
        """Return the visits that the request is concerned with."""
        return [visit for visit in self.visits if request_id in visit.requests]
