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
    changes = corrections.text_of(call.body["changes"])
    idempotency = intake.idempotency(call, secret)
    try:
        # A plain repetition is answered before values are written.
        answer = _requests.replay(call.customer.id, idempotency)
        created = (
            Created(answer, replayed=True)
            if answer is not None
            else _create(call, vault, refs, changes, idempotency)
        )
    except (IdempotencyKeyReusedError, RequestBusyError) as error:
        raise intake.problem_of(error) from None
    intake.log_request(call, created)
    # Also of a repetition: the call before may have died just here.
    corrections.confirm(vault, refs, created.answer["id"], changes)
    if not created.replayed:
        _lock.start_run_or_leave_to_sweep(call.customer.id)
    return intake.accepted(created.answer)


def _create(
    call: Call, vault: Vault, refs: list[str], changes: str, idempotency: Idempotency | None
) -> Created:
    """Write the values, then the request: a run that finds the request finds its values.

    Values whose request did not come to be are dropped at once, also where an error leaves open whether it
    did: then it is made sure that it does not. Should that fail too, they expire by themselves.
    """
    now = datetime.now(UTC)
    request_id = uuid7(now)
    try:
        request_items.put_changes(vault, refs, request_id, changes)
    except (BotoCoreError, ClientError):
        request_items.drop_changes(vault, refs, request_id)
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
        request_items.drop_changes(vault, refs, request_id)
        raise
    except (BotoCoreError, ClientError):
        if _requests.forestall(call.customer.id, request_id):
            request_items.drop_changes(vault, refs, request_id)
        raise
    if created.replayed:
        request_items.drop_changes(vault, refs, request_id)
    return created


handler = http.authenticated("create_correction_request", create_correction_request)
