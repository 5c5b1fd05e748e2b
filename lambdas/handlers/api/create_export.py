"""POST /v1/contract/export: have everything that the customer has sent made ready to be fetched."""

from typing import Any, Final

from privacy.api import export_intake, http, intake
from privacy.api.http import Answer, Call
from privacy.exports.machine import ExportMachine
from privacy.exports.store import ExportStore
from privacy.requests.idempotency import IdempotencyKeyReusedError
from privacy.requests.store import RequestBusyError

_exports: Final = ExportStore.from_environment()
_machine: Final = ExportMachine.from_environment()


def create_export(call: Call) -> Answer:
    """Put the export on record and start it (GDPR Art. 28(3)(g)); one at a time."""
    # There is no body, and so nothing about which its digest could tell.
    idempotency = intake.idempotency(call, b"")
    try:
        answer = _exports.replay(call.customer.id, idempotency) or export_intake.create_export(
            _exports, _machine, call, idempotency
        )
    except (IdempotencyKeyReusedError, RequestBusyError) as error:
        raise intake.problem_of(error) from None
    # Also of an export that is there already: the call that made it may have come no further.
    _machine.start(call.customer.id, answer["id"])
    return _accepted(answer)


def _accepted(answer: dict[str, Any]) -> Answer:
    # Relative to the operation's own URL, so it holds under any stage and any domain.
    return Answer(202, answer, {"Location": f"export/{answer['id']}"})


handler = http.authenticated("create_export", create_export, in_grace=True)
