"""How long what waits in the vault for a request is kept (`privacy.vault.request_items`).

It goes just before the request ends. Where the request failed, it waits some days more, so that the operator
can redrive the run.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from privacy.requests.request import Request
from privacy.vault import items as vault_items
from privacy.vault import request_items
from privacy.vault.sessions import Vault
from privacy.visits.visit import Visit

REDRIVE_SECONDS: Final = 14 * 24 * 3600
"""How long what a request that failed needs waits for a redrive: as long as a dead letter waits."""

_OBJECT: Final = "object#"


def kind_of(request: Request) -> request_items.Kind | None:
    """Return what waits for such a request, or None where it needs nothing."""
    if request.type == "correction":
        return request_items.CHANGES
    if request.follows is not None:
        return request_items.FOLLOW_UP
    return request_items.REPLAY if request.restored_from is not None else None


def keep_for_redrive(vault: Vault, request: Request, refs: Sequence[str], visits: Iterable[Visit]) -> None:
    """Let what a request about these subjects needs, which failed, go after REDRIVE_SECONDS.

    Raises TableBusyError.

    That is also which objects its run was to visit, and how far each visit came: the index knows nothing any
    more of an object whose rows are gone, but older versions of it, or lines to report, may be left.
    """
    at = str(int(time.time()) + REDRIVE_SECONDS)
    if kind := kind_of(request):
        request_items.expire(vault, request.id, kind, refs, at)
    if request.follows is None:
        pk = vault_items.request_pk(request.id)
        vault_items.batch_write(
            vault,
            put=[
                {
                    **vault_items.key(pk, vault_items.object_sk(visit.key)),
                    # Not `object`: that attribute would put the item into the index of objects.
                    "key": {"S": visit.key},
                    "journal": {"S": json.dumps(_progress(visit), separators=(",", ":"))},
                    "expires_at": {"N": at},
                }
                for visit in visits
                if visit.key is not None
            ],
        )


def objects_to_redrive(vault: Vault, request: Request) -> dict[str, Mapping[str, Any]]:
    """Return the objects that a redriven request's failed run was to visit, each with its visit's journal."""
    if request.redriven_from is None:
        return {}
    items = vault_items.query(vault, vault_items.request_pk(request.id), first=_OBJECT)
    return {item["key"]["S"]: json.loads(item["journal"]["S"]) for item in items}


def drop(vault: Vault, request: Request, refs: Sequence[str]) -> None:
    """Remove what waits for the request about these subjects, and what was kept to redrive it.

    Raises TableBusyError.
    """
    pk, kind = vault_items.request_pk(request.id), kind_of(request)
    waiting = request_items.keys(request.id, kind, refs) if kind else []
    if request.redriven_from is not None:
        kept = vault_items.query(vault, pk, first=_OBJECT)
        waiting += [vault_items.key(pk, item["sk"]["S"]) for item in kept]
    if waiting:
        vault_items.batch_write(vault, delete=waiting)


def _progress(visit: Visit) -> Mapping[str, Any]:
    """Return the journal with which the visit is made again: it then tells what it did before, too."""
    if visit.outcome is None or visit.outcome.get("damaged") or visit.outcome.get("unproven"):
        return visit.journal
    return {"outcome": visit.outcome, "indexed": False}
