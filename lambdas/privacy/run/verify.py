"""Reading back what a run left: what is still there that should not be."""

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from privacy import timestamps
from privacy.exports import files as export_files
from privacy.requests.store import RequestStore
from privacy.run.steps import taken
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault import request_items, tombstones
from privacy.vault.objects import Version
from privacy.vault.sessions import Vault
from privacy.visits.items import Visits
from privacy.visits.visit import Visit

_log: Final = logging.getLogger("privacy")

NOT_DONE: Final = "visit-not-done"
DAMAGED: Final = "content-damaged"
NOT_PROVEN: Final = "not-proven"
VERSIONS_LEFT: Final = "older-versions-left"
ITEMS_LEFT: Final = "items-left"
EXPORTS_LEFT: Final = "exports-left"

_PARALLEL: Final = 8


def verify_run(vault: Vault, requests: RequestStore, run_id: str) -> int:
    """Check every visit and every erased subject, note the problems down, and return how many there are.

    Can be done again: the note of a problem that is gone by then is removed. AWS errors are raised.
    """
    visits = Visits(vault, run_id)
    noted = visits.notes()
    staying = {visit.key for visit in noted.visits if visit.outcome and _entries_stay(visit.outcome)}
    found = 0
    for visit in noted.visits:
        problem = _visit_problem(vault, visit)
        found += problem is not None
        if problem != visit.problem:
            visits.note_visit_problem(visit.number, problem)
    # What a follow-up is about, its visit has checked: the subject may have come back since.
    erasures = [
        r for r in taken(requests, vault.customer.id, run_id) if r.type == "erasure" and r.follows is None
    ]
    for request in erasures:
        problem = _erasure_problem(
            vault,
            requests.refs(vault.customer.id, request.id),
            staying,
            # Which objects a repeated erasure reaches, its visits have seen: not all that have entries.
            records_only=request.restored_from is not None,
        )
        found += problem is not None
        if problem != noted.problems.get(request.id):
            visits.note_request_problem(request.id, problem)
    _log.info("run verified: customer=%s run=%s problems=%d", vault.customer.id, run_id, found)
    return found


def _entries_stay(outcome: Mapping[str, Any]) -> bool:
    """Return whether a visit left entries that have to stay: it tells what it left as it was, and why."""
    return any(outcome.get(why) for why in ("archived", "unproven", "entries_stay"))


def _visit_problem(vault: Vault, visit: Visit) -> str | None:
    if visit.outcome is None or visit.done_at is None:
        return NOT_DONE
    if visit.kind == "exports":
        return EXPORTS_LEFT if export_files.any_left(vault) else None
    if visit.outcome.get("damaged"):
        return DAMAGED
    if visit.key is None or not visit.outcome["purged"] or visit.outcome["read_back"]:
        return None
    left = vault_objects.versions(vault, visit.key)
    return VERSIONS_LEFT if _older(left, visit.outcome["kept_version"], visit.done_at) else None


def _older(left: list[Version], kept: str | None, done_at: str) -> list[Version]:
    """Return the versions and markers older than what the visit kept. Newer ones are somebody's new data."""
    stored = [version for version in left if not version.is_marker]
    position = next((n for n, version in enumerate(stored) if version.id == kept), None)
    if position is None:
        # Deleted after the visit, or nothing was kept. S3 tells whole seconds, rounded down.
        return [v for v in left if timestamps.instant(v.last_modified) < done_at[:19]]
    before = stored[position].last_modified
    return [*stored[position + 1 :], *(v for v in left if v.is_marker and v.last_modified < before)]


def _erasure_problem(
    vault: Vault, refs: list[str], staying: AbstractSet[str | None], *, records_only: bool
) -> str | None:
    _ = vault.dynamodb  # made before the threads share it
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        left = pool.map(lambda ref: _items_left(vault, ref, staying, records_only), refs)
        return ITEMS_LEFT if any(left) else None


def _items_left(vault: Vault, ref: str, staying: AbstractSet[str | None], records_only: bool) -> bool:
    """Return whether anything from before the subject's tombstone is left, or the tombstone is missing.

    Entries of objects in `staying` have to be there: their visits tell why.
    """
    items = list(vault_items.query(vault, vault_items.subject_pk(ref)))
    erased_at = next((i["erased_at"]["S"] for i in items if i["sk"]["S"] == tombstones.ERASED), None)
    if erased_at is None:
        return True
    moments = [
        i.get("indexed_at") or i.get("updated_at")
        for i in items
        # Values of a correction that a call brings just now: the next run's plan takes them.
        if i["sk"]["S"] != tombstones.ERASED
        and request_items.arrived(i) is None
        and ("object" not in i or not (records_only or i["object"]["S"] in staying))
    ]
    return any(moment is None or moment["S"] <= erased_at for moment in moments)
