"""POST /v1/contract/export: have everything that the customer has sent made ready to be fetched."""

from datetime import UTC, datetime
from typing import Any, Final

from privacy.api import http, intake, problems
from privacy.api.http import Answer, Call
from privacy.api.problems import ProblemError
from privacy.exports.machine import ExportMachine
from privacy.exports.store import ExportStore
from privacy.identifiers import uuid7
from privacy.requests.idempotency import Created, Idempotency, IdempotencyKeyReusedError
from privacy.requests.store import RequestBusyError

_exports: Final = ExportStore.from_environment()
_machine: Final = ExportMachine.from_environment()


def create_export(call: Call) -> Answer:
    """Put the export on record and start it (GDPR Art. 28(3)(g)); one at a time."""
    # There is no body, and so nothing about which its digest could tell.
    idempotency = intake.idempotency(call, b"")
    try:
        answer = _exports.replay(call.customer.id, idempotency) or _create(call, idempotency).answer
    except (IdempotencyKeyReusedError, RequestBusyError) as error:
        raise intake.problem_of(error) from None
    # Also of an export that is there already: the call that made it may have come no further.
    _machine.start(call.customer.id, answer["id"])
    return _accepted(answer)


def _create(call: Call, idempotency: Idempotency | None) -> Created:
    now = datetime.now(UTC)
    newest = _exports.newest(call.customer.id)
    if newest is not None and _machine.checked(call.customer.id, newest, now).state == "running":
        detail = f"Wait until it has ended: it is the export {newest.id}."
        raise ProblemError(problems.EXPORT_RUNNING, detail)
    return _exports.create(call.customer.id, uuid7(now), now, idempotency)


def _accepted(answer: dict[str, Any]) -> Answer:
    # Relative to the operation's own URL, so it holds under any stage and any domain.
    return Answer(202, answer, {"Location": f"export/{answer['id']}"})


handler = http.authenticated("create_export", create_export, in_grace=True)
