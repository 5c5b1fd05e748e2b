import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from privacy.api import contract as api_contract
from tests.properties import examples

from ..support.api import Api

SCOPES = {"ingest", "erase", "correct", "access", "read", "unmask"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_the_contract_is_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")


def test_every_operation_has_a_function_scopes_and_answers(api: Api) -> None:
    for (_, path), operation in api_contract.operations().items():
        described = next(
            each
            for each in api.document["paths"][path].values()
            if isinstance(each, dict) and each["operationId"] == operation.id
        )
        assert callable(api.module(described["x-function"]).handler)
        assert {scope.removeprefix("privacy/") for one in operation.scopes for scope in one} <= SCOPES
        answers = {"429"} | ({"401", "403"} if operation.scopes else set())
        answers |= {"400", "413", "415", "422"} if operation.body else set()
        assert answers <= described["responses"].keys()
        assert not any(status.startswith("5") for status in described["responses"])


def test_only_the_service_itself_is_public() -> None:
    public = {path for (_, path), operation in api_contract.operations().items() if not operation.scopes}
    assert public == {"/v1/health", "/v1/openapi.json"}


def test_examples_are_what_the_operations_take(document: dict[str, Any]) -> None:
    checked = 0
    for (method, path), operation in api_contract.operations().items():
        content = document["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
        for media in content.values():
            for example in [media.get("example"), *(e["value"] for e in media.get("examples", {}).values())]:
                if example is not None:
                    assert api_contract.body_faults(operation, example) == []
                    checked += 1
    assert checked == 5


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("create_erasure_request", {}, {("", '"subjects" is a required property')}),
        (
            "create_erasure_request",
            {"subjects": ["", 7], "reason": "SECRET", "SECRET": 1},
            {
                ("", "has a member that is not described for it"),
                ("/subjects/0", "value is shorter than 1 character"),
                ("/subjects/1", "is not of type string"),
            },
        ),
        (
            "create_correction_request",
            {"subject": "SECRET", "changes": [{"dataset": "d", "set": {"a": 1, "SECRET": ["SECRET"]}}]},
            {("/changes/0/set", "member 2 is not of type boolean or null or number or string")},
        ),
        ("put_record", [], {("", "is not of type object")}),
    ],
)
def test_every_fault_is_reported_where_it_is(
    operation: str,
    body: object,
    expected: set[tuple[str, str]],
) -> None:
    faults = api_contract.body_faults(api_contract.operation(operation), body)
    assert expected <= {(fault.pointer, fault.detail) for fault in faults}
    assert "SECRET" not in str([fault.public() for fault in faults])


def test_a_hopeless_body_gets_a_quick_and_bounded_answer() -> None:
    started = time.process_time()
    faults = api_contract.body_faults(
        api_contract.operation("create_erasure_request"), {"subjects": [1] * 500_000}
    )
    assert time.process_time() - started < 1
    assert len(faults) == api_contract.MAX_FAULTS
    assert faults[0].pointer == "/subjects"


@examples(75)
@given(value=json_values)
def test_no_value_is_ever_repeated(document: dict[str, Any], value: object) -> None:
    secret = "S3CRET-VALUE"
    for name in ("put_record", "create_upload", "create_erasure_request", "create_correction_request"):
        known = document["components"]["schemas"][
            api_contract.operation(name).body["$ref"].rpartition("/")[2]  # type: ignore[index] # each has a body
        ]["properties"]
        for member in known:
            body = {member: [value, secret, {secret: secret}], secret: secret}
            faults = api_contract.body_faults(api_contract.operation(name), body)
            assert faults
            assert secret not in json.dumps([fault.detail for fault in faults])
