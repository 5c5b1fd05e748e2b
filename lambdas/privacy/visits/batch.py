"""Carrying out a run's visits, one after the other, until less than RESERVE_MILLISECONDS are left."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws.failures import StepFailedError, error_name
from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.exports import files as export_files
from privacy.formats.blocks import LineTooLongError, UnreadableRowError
from privacy.formats.json_values import loads_exactly
from privacy.formats.readers import DatasetUnknownError
from privacy.vault import request_items
from privacy.vault.items import TableBusyError
from privacy.vault.objects import ObjectChangedError, PurgeIncompleteError
from privacy.vault.scratch import ObjectTooLargeError
from privacy.vault.sessions import Vault
from privacy.visits.items import Visits
from privacy.visits.objects import visit_object
from privacy.visits.records import RecordChange, RecordChangedError, RunOverError, visit_records
from privacy.visits.visit import Visit

_log: Final = logging.getLogger("privacy")

_TELLING: Final = (
    "rows_dropped",
    "rows_changed",
    "unused_dropped",
    "versions_removed",
    "unparsed_count",
    "damaged",
    "archived",
    "unproven",
)
"""Parts of an outcome that the end of the run needs. The visit of a walked file that has none of them is
removed once it is done: there may be a million."""

_FAILURES: Final = (
    BotoCoreError,
    ClientError,
    DatasetUnknownError,
    LineTooLongError,
    ObjectChangedError,
    ObjectTooLargeError,
    PurgeIncompleteError,
    RecordChangedError,
    RunOverError,
    TableBusyError,
    UnreadableRowError,
)


class VisitsFailedError(StepFailedError):
    """Some of the visits did not succeed. The others are done; calling again takes up what is left."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Carries out visits of one run."""

    visits: Visits
    _changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def visit_batch(
        self, first: int, last: int, remaining: Callable[[], int], *, backward: bool = False
    ) -> tuple[int, int] | None:
        """Carry out the visits numbered `first` to `last` that are not done yet, or the same `backward`.

        `remaining` tells the milliseconds left. Returns None when all are done; where the time was too short,
        the first and last number with which to call again. Raises VisitsFailedError, after the others, where
        some failed.
        """
        done = failed = 0
        for visit in self.visits.between(first, last, backward=backward):
            if visit.done_at is not None:
                continue
            if remaining() < RESERVE_MILLISECONDS:
                if not failed:
                    return (first, visit.number) if backward else (visit.number, last)
                if done:
                    # What failed is tried again with the rest. A call that did some of it has not failed.
                    return first, last
                break
            try:
                self._carry_out(visit)
                done += 1
            except _FAILURES as error:
                failed += 1
                self._note_failure(visit, error_name(error))
        if failed:
            raise VisitsFailedError(f"{failed} of the visits from {first} to {last} failed")
        return None

    def note_abandoned(self, first: int, last: int, error: str) -> None:
        """Note an error's name on each of these visits that is not done and has noted no failure itself.

        It is the error that their batch was given up with. A visit that ends its function's process (too
        little memory, or time) cannot note that itself.
        """
        for visit in self.visits.between(first, last):
            if visit.done_at is None and visit.failure is None:
                self._note_failure(visit, error)

    def _carry_out(self, visit: Visit) -> None:
        """Do what the visit asks, note that it is done, and log its counts. Raises one of _FAILURES."""
        if visit.kind == "records":
            changes = self._record_changes(visit)
            outcome: dict[str, Any] = visit_records(self.visits, visit, changes).noted()
        elif visit.kind == "exports":
            outcome = {"versions_removed": export_files.purge(self._vault)}
        else:
            journal = self.visits.journal(visit)
            outcome = visit_object(self._vault, visit, self._row_changes(visit), journal).noted()
        if visit.scan and not any(outcome[name] for name in _TELLING):
            self.visits.forget(visit.number)
        else:
            self.visits.mark_done(visit.number, datetime.now(UTC), outcome)
        counts = " ".join(f"{name}={value}" for name, value in outcome.items() if isinstance(value, int))
        _log.info(
            "visit done: customer=%s run=%s visit=%d %s",
            self._vault.customer.id,
            self.visits.run_id,
            visit.number,
            counts,
        )

    def _note_failure(self, visit: Visit, error: str) -> None:
        """Log why the visit failed, and note it for whoever made the requests. Never raises an AWS error."""
        # Only the kind: an error's text may quote an object key.
        text = "visit failed: customer=%s run=%s visit=%d error=%s"
        _log.error(text, self._vault.customer.id, self.visits.run_id, visit.number, error)
        try:
            self.visits.note_failure(visit.number, error)
        except (BotoCoreError, ClientError) as failure:
            # The other visits go on; this one's request ends failed all the same, and the log says why.
            _log.error(text, self._vault.customer.id, self.visits.run_id, visit.number, error_name(failure))

    def _row_changes(self, visit: Visit) -> dict[str, list[dict[str, Any]]]:
        """Return the fields to set in rows of the visit's object: by subject, in the order asked for."""
        found: dict[str, list[dict[str, Any]]] = {}
        for request_id, ref in visit.correct:
            found.setdefault(ref, []).extend(
                change["set"]
                for change in self._changes_of(request_id, ref)
                if change["dataset"] == visit.dataset
            )
        return found

    def _record_changes(self, visit: Visit) -> dict[str, list[RecordChange]]:
        """Return the changes to records: by subject, in the order asked for."""
        found: dict[str, list[RecordChange]] = {}
        for request_id, ref in visit.correct:
            found.setdefault(ref, []).extend(
                RecordChange(change["dataset"], change.get("record"), change["set"])
                for change in self._changes_of(request_id, ref)
            )
        return found

    def _changes_of(self, request_id: str, ref: str) -> list[dict[str, Any]]:
        """Return a correction's changes, restricted to the fields that their datasets declare."""
        if request_id not in self._changes:
            kept = request_items.read_changes(self._vault, ref, request_id)
            changes = loads_exactly(kept) if kept is not None else []
            self._changes[request_id] = [change | {"set": self._declared(change)} for change in changes]
        return self._changes[request_id]

    def _declared(self, change: dict[str, Any]) -> dict[str, Any]:
        dataset = self._vault.customer.dataset(change["dataset"])
        personal = dataset.personal if dataset else {}
        return {name: value for name, value in change["set"].items() if name in personal}

    @property
    def _vault(self) -> Vault:
        return self.visits.vault
