"""What the intake of every kind of request has in common: subjects, idempotency keys, the answer."""

import hmac
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from privacy.api import problems
from privacy.api.http import Answer, Call
from privacy.api.problems import Fault, ProblemError
from privacy.customers.references import asked_references, is_blank, subject_reference
from privacy.requests.idempotency import Created, Idempotency, IdempotencyKeyReusedError
from privacy.requests.store import RequestBusyError

_log: Final = logging.getLogger("privacy")

_KEY: Final = re.compile(r'"(?P<quoted>[\x21\x23-\x5b\x5d-\x7e]{1,255})"|(?P<plain>[\x21\x23-\x7e]{1,255})')
"""A string of structured fields (RFC 9651, 3.3.3) without escapes, or the same without its quotes."""
_DIGEST_PURPOSE: Final = b"request body\n"


def subject_references(call: Call, secret: bytes, identifiers: Mapping[str, str]) -> list[str]:
    """Return the different references of the identifiers (by JSON pointer), in the order they came.

    Raises ProblemError (422) that points at every identifier that is blank.
    """
    rule = call.customer.subject_id
    _refuse_blank(identifiers, rule)
    references = [subject_reference(secret, identifier, rule) for identifier in identifiers.values()]
    return list(dict.fromkeys(references))


def everybody_asked_for(call: Call, secret: bytes, identifiers: Mapping[str, str]) -> list[str]:
    """Return the different references of everybody whom the identifiers (by JSON pointer) ask for.

    One that prints a number may have two. Raises ProblemError (422) as `subject_references` does.
    """
    rule = call.customer.subject_id
    _refuse_blank(identifiers, rule)
    references = [ref for each in identifiers.values() for ref in asked_references(secret, each, rule)]
    return list(dict.fromkeys(references))


def idempotency(call: Call, secret: bytes) -> Idempotency | None:
    """Return the call's idempotency key as it is kept, or None where the call has none.

    The body's digest is keyed with the vault's secret, because a plain digest of a body with one e-mail
    address could be found again by trying addresses. Raises ProblemError (400) for a malformed key.
    """
    header = call.headers.get("idempotency-key")
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    if found is None:
        detail = "has to be 1 to 255 visible ASCII characters, between two quotes or without any"
        faults = [Fault(detail, parameter="Idempotency-Key")]
        raise ProblemError(problems.INVALID_PARAMETER, "The errors say which and why.", faults)
    key = found["quoted"] or found["plain"]
    digest = hmac.digest(secret, _DIGEST_PURPOSE + call.raw, "sha256").hex()
    client_id = call.caller.client_id
    return Idempotency.of(client_id=client_id, operation=call.operation, key=key, body_digest=digest)


def log_request(call: Call, created: Created) -> None:
    """Log who asked for a request, unless an earlier call did and this one repeats it."""
    if not created.replayed:
        answer = created.answer
        _log.info(
            "request received: customer=%s request=%s type=%s subjects=%d %s",
            call.customer.id,
            answer["id"],
            answer["type"],
            answer["subjects"],
            call.caller,
        )


def accepted(answer: Mapping[str, Any]) -> Answer:
    """Return 202 with the request.

    `Location` is relative to the operation's own URL, so it holds under any stage and any domain.
    """
    return Answer(202, answer, {"Location": f"requests/{answer['id']}"})


def problem_of(error: IdempotencyKeyReusedError | RequestBusyError) -> ProblemError:
    """Return the problem that the request store's refusal is to the caller."""
    if isinstance(error, IdempotencyKeyReusedError):
        return ProblemError(problems.KEY_REUSED, "Use a new key for a new request.")
    return ProblemError(problems.CONFLICT, "Send the same request again.")


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raise ProblemError (422) with all the faults, if there are any."""
    if faults:
        raise ProblemError(problems.INVALID_BODY, "The errors say where and why.", faults)


def _refuse_blank(identifiers: Mapping[str, str], rule: str) -> None:
    blank = [pointer for pointer, identifier in identifiers.items() if is_blank(identifier, rule)]
    raise_faults([Fault("is blank and identifies nobody", pointer=pointer) for pointer in blank])
