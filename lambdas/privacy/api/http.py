"""Between API Gateway's proxy events (payload version 1.0) and the functions behind the API.

Everything that is the same for each operation: scopes, customer, contract dates, media type, size, JSON,
schema, and errors as problem details. Nothing of a body, a parameter or an exception's text is logged.
"""

import base64
import binascii
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from privacy.api import contract as api_contract
from privacy.api import problems
from privacy.api.problems import Fault, ProblemError
from privacy.aws.failures import where
from privacy.customers.customer import Customer
from privacy.customers.registry import Registry
from privacy.nesting import MAX_DEPTH, depth
from privacy.requests.caller import Caller

MAX_BODY_BYTES: Final = 1024 * 1024

_log: Final = logging.getLogger("privacy")
_THROTTLED: Final = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}

Event = Mapping[str, Any]
Response = dict[str, Any]
Handler = Callable[[Event, object], Response]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may be carried out: known client, right scope, running contract, valid body.

    `raw` are the body's bytes as they came, `body` the same as JSON (None where the operation has none).
    """

    operation: str
    caller: Caller
    customer: Customer
    path: Mapping[str, str]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    raw: bytes
    body: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answers: status, a JSON value or ready JSON text, and headers of its own."""

    status: int
    body: Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def authenticated(
    operation_id: str, function: Callable[[Call], Answer], *, in_grace: bool = False
) -> Handler:
    """Return the Lambda handler of one operation that customers call.

    With `in_grace` it is open in the grace days, too: from the contract's end until destruction is due.
    Opens the registry that the environment names: raises MissingEnvironmentVariableError.
    """
    registry = Registry.from_environment()

    def answer(event: Event) -> Answer:
        operation = api_contract.operation(operation_id)
        claims = event["requestContext"]["authorizer"]["claims"]
        _check_scopes(operation, claims)
        customer = _customer(registry, claims["client_id"], datetime.now(UTC), in_grace)
        path = event.get("pathParameters") or {}
        if faults := api_contract.parameter_faults(operation, "path", path):
            raise ProblemError(problems.INVALID_NAME, "The errors say which and why.", faults)
        query, headers = _query(operation, event), _headers(event)
        raw, body = _body(operation, event, headers)
        caller = Caller.of_claims(claims, str(event["requestContext"]["requestId"]))
        return function(Call(operation_id, caller, customer, path, query, headers, raw, body))

    return _handler(answer)


def public(functions: Mapping[str, Callable[[], Answer]]) -> Handler:
    """Return the Lambda handler of operations, by id, that need no token and take no input."""

    def answer(event: Event) -> Answer:
        operation = api_contract.operations().get((event["httpMethod"], event["resource"]))
        if operation is None or operation.id not in functions:
            raise ProblemError(problems.NOT_FOUND, "This service has no such operation.")
        return functions[operation.id]()

    return _handler(answer)


def _handler(answer: Callable[[Event], Answer]) -> Handler:
    def handler(event: Event, _context: object) -> Response:
        instance = str(event["requestContext"]["requestId"])
        try:
            return _response(answer(event))
        except ProblemError as problem:
            return _problem(problem, instance)
        except ClientError as error:
            return _refused(error, instance)
        except Exception as error:  # noqa: BLE001 - the last line: anything else would leak its text to the log
            _log.error("failed: %s at %s call=%s", type(error).__name__, where(error), instance)
            return _internal(instance)

    return handler


def _check_scopes(operation: api_contract.Operation, claims: Mapping[str, str]) -> None:
    granted = set(claims.get("scope", "").split())
    if not any(needed <= granted for needed in operation.scopes):
        choices = [" ".join(sorted(needed)) for needed in operation.scopes]
        challenge = 'Bearer error="insufficient_scope"'
        if len(choices) == 1:
            challenge += f', scope="{choices[0]}"'
        detail = f"This operation needs the scope {' or '.join(choices)}."
        headers = {"WWW-Authenticate": challenge}  # RFC 6750, section 3
        raise ProblemError(problems.INSUFFICIENT_SCOPE, detail, headers=headers)


def _customer(registry: Registry, client_id: str, now: datetime, in_grace: bool) -> Customer:
    program = registry.program(client_id)
    customer = registry.customer(program.customer) if program else None
    if customer is None:
        raise ProblemError(problems.UNKNOWN_CLIENT, "Ask the operator to enter the client for a customer.")
    if not customer.contract_started(now):
        raise ProblemError(problems.CONTRACT_NOT_STARTED, f"It starts on {customer.contract_starts}.")
    if customer.contract_ended(now) and (not in_grace or now >= customer.destruction):
        raise ProblemError(problems.CONTRACT_ENDED, f"It ended on {customer.contract_ends}.")
    if customer.terminated or registry.destruction(customer.id) is not None:
        # Even where the contract was renewed a moment too late: there is nothing to go back to.
        raise ProblemError(problems.CONTRACT_ENDED, "It ended, and its data has been destroyed.")
    return customer


def _headers(event: Event) -> Mapping[str, str]:
    """Return the headers by lower-case name; a header sent several times is one list (RFC 9110, 5.3)."""
    multiple = event.get("multiValueHeaders") or {}
    return {name.lower(): ", ".join(values) for name, values in multiple.items()}


def _query(operation: api_contract.Operation, event: Event) -> Mapping[str, Any]:
    """Return the query's parameters, with numbers as numbers and defaults filled in."""
    sent = event.get("multiValueQueryStringParameters") or {}
    described = {each["name"]: each["schema"] for each in operation.parameters if each["in"] == "query"}
    if not sent.keys() <= described.keys():
        # A misspelt filter that is ignored would answer with more than was asked for.
        known = ", ".join(described) or "none"
        raise ProblemError(problems.INVALID_PARAMETER, f"The query's parameters are: {known}.")
    faults = [Fault("is given more than once", parameter=n) for n, values in sent.items() if len(values) > 1]
    query = {name: _typed(values[0], described[name]) for name, values in sent.items()}
    faults += api_contract.parameter_faults(operation, "query", query)
    if faults:
        raise ProblemError(problems.INVALID_PARAMETER, "A part of the query is not as described.", faults)
    return {name: schema["default"] for name, schema in described.items() if "default" in schema} | query


def _typed(value: str, schema: Mapping[str, Any]) -> str | int:
    # Nine digits are more than any parameter takes, and cheap to convert.
    if schema.get("type") == "integer" and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value


def _body(operation: api_contract.Operation, event: Event, headers: Mapping[str, str]) -> tuple[bytes, Any]:
    if operation.body is None:
        return b"", None
    if not _is_json(headers.get("content-type", "")):
        raise ProblemError(problems.UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json, in UTF-8.")
    raw = _bytes(event)
    if len(raw) > MAX_BODY_BYTES:
        raise ProblemError(problems.TOO_LARGE, f"A body takes at most {MAX_BODY_BYTES} bytes.")
    try:
        body = _parse(raw)
    except RecursionError:
        faults = [Fault(f"is nested deeper than {MAX_DEPTH} levels", pointer="")]
        raise ProblemError(problems.INVALID_BODY, "Send it with fewer levels.", faults) from None
    except ValueError:
        detail = "Send one JSON value (RFC 8259): UTF-8, no member twice, finite numbers."
        raise ProblemError(problems.INVALID_JSON, detail) from None
    if faults := api_contract.body_faults(operation, body):
        raise ProblemError(problems.INVALID_BODY, "The errors say where and why.", faults)
    return raw, body


def _is_json(content_type: str) -> bool:
    """Return whether a body is sent as JSON in UTF-8; parameters other than the charset mean nothing."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {part.removeprefix("charset=").strip('"') for part in parameters if part[:8] == "charset="}
    return media_type == "application/json" and charsets <= {"utf-8", "utf8"}


def _bytes(event: Event) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ProblemError(problems.INVALID_JSON, "The body did not arrive whole. Send it again.") from None


def _parse(raw: bytes) -> object:
    """Return the JSON value. Raises ValueError (of any kind), and RecursionError where it is too deep.

    Stricter than `json` by default: what could not be written back as JSON, or not as UTF-8, is refused.
    """
    text = raw.decode("utf-8")
    value = json.loads(
        text, parse_constant=_not_finite, parse_float=_finite, object_pairs_hook=_each_member_once
    )
    if depth(value) > MAX_DEPTH:
        raise RecursionError  # as `json` does, further down
    if "\\u" in text:
        # Only an escape can make a lone surrogate; encoding finds it.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _each_member_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    # Whichever of two `subjects` were taken, the other would silently not be erased.
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member twice")
    return found


def _not_finite(_name: str) -> object:
    raise ValueError("not a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _response(answer: Answer, media_type: str = "application/json") -> Response:
    body = answer.body if isinstance(answer.body, str | None) else json.dumps(answer.body, ensure_ascii=False)
    content = {} if body is None else {"Content-Type": media_type}
    return {
        "statusCode": answer.status,
        "headers": {**content, "Cache-Control": "no-store", **answer.headers},
        "body": body or "",
        "isBase64Encoded": False,
    }


def _problem(problem: ProblemError, instance: str) -> Response:
    answer = Answer(problem.kind.status, problem.public(instance), problem.headers)
    return _response(answer, "application/problem+json")


def _refused(error: ClientError, instance: str) -> Response:
    """Return the answer to a call in which AWS refused something: 429 where it throttles, otherwise 500."""
    code = error.response["Error"]["Code"]
    if code in _THROTTLED:
        detail = "The service is busy. Try again in a second."
        return _problem(
            ProblemError(problems.TOO_MANY_REQUESTS, detail, headers={"Retry-After": "1"}), instance
        )
    _log.error("AWS refused: %s %s call=%s", error.operation_name, code, instance)
    return _internal(instance)


def _internal(instance: str) -> Response:
    detail = "It is our fault. Quote the instance when you ask about it."
    return _problem(ProblemError(problems.INTERNAL, detail), instance)
