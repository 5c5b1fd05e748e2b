"""POST /v1/correction-requests: have a person's personal fields corrected."""

from datetime import UTC, datetime
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.api import corrections, http, intake
from privacy.api.http import Answer, Call
from privacy.identifiers import uuid7
from privacy.requests.idempotency import Created, Idempotency, IdempotencyKeyReusedError
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestBusyError, RequestStore
from privacy.vault import request_items
from privacy.vault.sessions import Vault, open_vault

_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


def create_correction_request(call: Call) -> Answer:
    """Put the request on record, keep its values in the vault, and see that a run starts."""
    intake.raise_faults(corrections.faults(call.customer, call.body["changes"]))
    vault = open_vault(call.customer, "intake")
    secret = vault.subject_secret()
    refs = intake.everybody_asked_for(call, secret, {"/subject": call.body["subject"]})
    idempotency = intake.idempotency(call, secret)
    try:
        # A plain repetition is answered before anything is written.
        answer = _requests.replay(call.customer.id, idempotency)
        if answer is not None:
            return intake.accepted(answer)
        created = _create(call, vault, refs, idempotency)
    except (IdempotencyKeyReusedError, RequestBusyError) as error:
        raise intake.problem_of(error) from None
    intake.log_request(call, created)
    if not created.replayed:
        _lock.start_run_or_leave_to_sweep(call.customer.id)
    return intake.accepted(created.answer)


def _create(call: Call, vault: Vault, refs: list[str], idempotency: Idempotency | None) -> Created:
    """Write the values, then the request: a run that finds the request finds its values.

    Values whose request did not come to be are dropped at once, also where an error leaves open whether it
    did: then it is made sure that it does not. Should that fail too, they expire by themselves.
    """
    now = datetime.now(UTC)
    request_id = uuid7(now)
    try:
        corrections.keep_changes(vault, request_id, call.body["changes"])
    except (BotoCoreError, ClientError):
        request_items.drop_changes(vault, request_id)
        raise
    try:
        created = _requests.create(
            call.customer.id,
            type="correction",
            refs=refs,
            request_id=request_id,
            received_at=now,
            idempotency=idempotency,
            caller=call.caller,
        )
    except (IdempotencyKeyReusedError, RequestBusyError):
        request_items.drop_changes(vault, request_id)
        raise
    except (BotoCoreError, ClientError):
        if _requests.forestall(call.customer.id, request_id):
            request_items.drop_changes(vault, request_id)
        raise
    if created.replayed:
        request_items.drop_changes(vault, request_id)
    return created


handler = http.authenticated("create_correction_request", create_correction_request)
