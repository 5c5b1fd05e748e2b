"""The API's contract: `openapi.json`, which the package's build writes from `openapi.yaml`.

What is served at /v1/openapi.json is what bodies and parameters are validated against, so that code and
contract cannot part.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from privacy.api.problems import Fault

DOCUMENT: Path = Path(__file__).with_name("openapi.json")
MAX_FAULTS: Final = 1000
"""As many as a list may have items; keeps the answer to a hopeless body well within Lambda's 6 MB."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract.

    `scopes` are the alternatives: a token needs every scope of one of them; none means public.
    """

    id: str
    scopes: Sequence[frozenset[str]]
    parameters: Sequence[Mapping[str, Any]]
    body: Mapping[str, Any] | None


@cache
def text() -> str:
    """Return the document as it is served."""
    return DOCUMENT.read_text(encoding="utf-8")


@cache
def operations() -> Mapping[tuple[str, str], Operation]:
    """Return every operation by its upper-case method and path template."""
    found = {}
    for path, item in _document()["paths"].items():
        shared = item.get("parameters", [])
        for method, described in item.items():
            if method != "parameters":
                found[method.upper(), path] = _operation(described, shared)
    return found


@cache
def operation(operation_id: str) -> Operation:
    """Return the operation of that id. Raises StopIteration for one that the contract does not have."""
    return next(found for found in operations().values() if found.id == operation_id)


def body_faults(wanted: Operation, body: object) -> list[Fault]:
    """Return everything that is wrong with the body, at most `MAX_FAULTS`; nothing means valid."""
    validator = _body_validator(wanted.id)
    if validator.is_valid(body):
        return []
    if isinstance(body, dict):
        # The validator finds every fault before it gives the first: half a million would take seconds. One
        # item more than any list may have is enough for the same answer.
        body = {
            name: value[: MAX_FAULTS + 1] if isinstance(value, list) else value
            for name, value in body.items()
        }
    return [
        _fault(wanted.body or {}, body, error) for error in islice(validator.iter_errors(body), MAX_FAULTS)
    ]


def parameter_faults(wanted: Operation, place: str, values: Mapping[str, object]) -> list[Fault]:
    """Return what is wrong with the parameters that the contract has in `place` (path, query, header).

    Values are judged as they are: convert numbers first. Absent parameters are not judged.
    """
    faults = []
    for described in wanted.parameters:
        name = described["name"]
        if described["in"] == place and name in values:
            validator = _parameter_validator(wanted.id, name)
            faults += [Fault(_detail(error), parameter=name) for error in validator.iter_errors(values[name])]
    return faults


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text())
    return document


def _operation(described: Mapping[str, Any], shared: Sequence[Mapping[str, Any]]) -> Operation:
    content = described.get("requestBody", {}).get("content", {})
    return Operation(
        id=described["operationId"],
        scopes=[
            frozenset(scope for scopes in alternative.values() for scope in scopes)
            for alternative in described["security"]
        ],
        parameters=[_resolve(each) for each in [*shared, *described.get("parameters", [])]],
        body=content["application/json"]["schema"] if content else None,
    )


def _resolve(described: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = described.get("$ref")
    if reference is None:
        return described
    _, _, kind, name = reference.split("/")
    found: Mapping[str, Any] = _document()["components"][kind][name]
    return found


@cache
def _body_validator(operation_id: str) -> Draft202012Validator:
    return _validator(operation(operation_id).body or {})


@cache
def _parameter_validator(operation_id: str, name: str) -> Draft202012Validator:
    found = next(each for each in operation(operation_id).parameters if each["name"] == name)
    return _validator(found["schema"])


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    components = {"components": {"schemas": _document()["components"]["schemas"]}}
    # The mask stands in messages where the value would.
    return Draft202012Validator({**schema, **components}, mask="value", offline=True)


def _detail(error: ValidationError) -> str:
    match error.kind:
        case ValidationErrorKind.AdditionalProperties():
            # The validator's own text quotes names that the caller chose; the mask leaves them alone.
            return "has a member that is not described for it"
        case ValidationErrorKind.Type(types=types):
            return f"is not of type {' or '.join(sorted(types))}"
    return error.message


def _fault(schema: Mapping[str, Any], value: Any, error: ValidationError) -> Fault:  # noqa: ANN401 - any JSON
    """Return the fault with a pointer as far as the contract has names for the members on the way.

    Where the caller chose the name, its number says which: a name may be somebody's address.
    """
    pointer = ""
    for part in error.instance_path:
        described = _resolve(schema)
        if isinstance(part, int):
            schema = described["items"]
        elif part in described.get("properties", {}):
            schema = described["properties"][part]
        else:
            return Fault(f"member {list(value).index(part) + 1} {_detail(error)}", pointer=pointer)
        pointer, value = f"{pointer}/{part}", value[part]
    return Fault(_detail(error), pointer=pointer)
