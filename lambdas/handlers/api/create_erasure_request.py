"""POST /v1/erasure-requests: have everything about some people erased."""

from datetime import UTC, datetime
from typing import Final

from privacy.api import http, intake
from privacy.api.http import Answer, Call
from privacy.identifiers import uuid7
from privacy.requests.idempotency import IdempotencyKeyReusedError
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestBusyError, RequestStore
from privacy.vault.sessions import open_vault

_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


def create_erasure_request(call: Call) -> Answer:
    """Put the request on record under its subjects' references, and see that a run starts."""
    secret = open_vault(call.customer, "intake").subject_secret()
    identifiers = {f"/subjects/{number}": each for number, each in enumerate(call.body["subjects"])}
    refs = intake.everybody_asked_for(call, secret, identifiers)
    now = datetime.now(UTC)
    try:
        created = _requests.create(
            call.customer.id,
            type="erasure",
            refs=refs,
            request_id=uuid7(now),
            received_at=now,
            reason=call.body.get("reason"),
            idempotency=intake.idempotency(call, secret),
            caller=call.caller,
        )
    except (IdempotencyKeyReusedError, RequestBusyError) as error:
        raise intake.problem_of(error) from None
    intake.log_request(call, created)
    if not created.replayed:
        _lock.start_run_or_leave_to_sweep(call.customer.id)
    return intake.accepted(created.answer)


handler = http.authenticated("create_erasure_request", create_erasure_request)
