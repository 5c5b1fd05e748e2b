"""A deployment of the API is made anew whenever it would copy something else, and after what left is gone."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.api import gateway, responses, routes
from components.api.contract import routes as contract
from components.api.gateway import PrivacyApi, PrivacyApiArgs
from components.api.responses import GATEWAY_RESPONSES
from components.api.snapshot import Named, Snapshot

from ..programs import GROUND, Deployment, Made, run_program

ALL = contract()
COPIED_WHERE_THEY_ARE = {"Method", "Integration", "MethodResponse", "IntegrationResponse", "Response"}
NOT_COPIED = {"Deployment", "Stage", "MethodSettings"}


def kind(made: Made) -> str:
    return made.type.rpartition(":")[2]


def api(pool: str = "arn:pool") -> Deployment:
    def program() -> None:
        functions: Any = {
            operation.function: SimpleNamespace(
                function_name=operation.function,
                invoke_arn=pulumi.Output.from_input(f"arn:{operation.function}"),
            )
            for operation in ALL.operations
        }
        PrivacyApi("api", PrivacyApiArgs(ground=GROUND, functions=functions, pool_arn=pool))

    return run_program(program)


def trigger(deployment: Deployment) -> str:
    (snapshot_,) = deployment.of("aws:apigateway/deployment:Deployment")
    return str(snapshot_.inputs["triggers"]["routes"])


def generation(deployment: Deployment) -> Made:
    (model,) = (made for made in deployment.of("aws:apigateway/model:Model") if made.inputs["name"] != "Body")
    return model


@pytest.fixture(scope="module")
def made() -> Deployment:
    return api()


def test_a_deployment_waits_for_all_that_it_copies(made: Deployment) -> None:
    (deployed,) = made.of("aws:apigateway/deployment:Deployment")
    parts = {
        each.urn
        for each in made.made
        if each.type.startswith("aws:apigateway/") and kind(each) not in NOT_COPIED
    }
    assert len(parts) > 100
    assert parts - {generation(made).urn} <= set(deployed.dependencies)


Parts = Mapping[str, tuple[str, Mapping[str, Any]]]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    """Every part by name, with its kind and inputs, as the API declares it."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    declare: Any = Snapshot.declare

    def noted(self: Snapshot, kind: Any, name: str, /, **inputs: Any) -> Any:  # noqa: ANN401
        found[name] = (kind.__name__, {key: value for key, value in inputs.items() if key != "after"})
        return declare(self, kind, name, **inputs)

    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "declare", noted)
        api()
    return found


def fingerprint(parts: Parts) -> str:
    nobody: Any = None
    snapshot = Snapshot("api", nobody)
    for name, (type_name, inputs) in parts.items():
        kind: Any = SimpleNamespace
        snapshot.declare(
            type(type_name, (kind,), {"__init__": lambda _self, _name, **_: None}), name, **inputs
        )
    return snapshot.fingerprint


def another(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case list():
            return [*value, "x"]
        case Mapping():
            return {**value, "x": "x"}
        case Named():
            return Named(value.value, f"{value.name}x")
    assert value is None
    return "x"


def changes(parts: Parts) -> Iterator[tuple[str, Parts]]:
    """Yield the parts with one thing changed: an input, a part's kind, or a part less."""
    for name, (type_name, inputs) in parts.items():
        for key, value in inputs.items():
            yield f"{name}: {key}", {**parts, name: (type_name, {**inputs, key: another(value)})}
        for key in ("binary_media_types", "policy", "authorizer_result_ttl_in_seconds", "content_handling"):
            if key not in inputs:
                yield f"{name}: {key}", {**parts, name: (type_name, {**inputs, key: "new"})}
        yield f"{name}: kind", {**parts, name: (f"{type_name}2", inputs)}
        yield f"without {name}", {key: part for key, part in parts.items() if key != name}


def test_whatever_changes_in_any_part_changes_the_fingerprint(parts: Parts) -> None:
    assert trigger(api()) == fingerprint(parts)
    seen: dict[str, str] = {fingerprint(parts): "nothing"}
    for what, changed in changes(parts):
        found = fingerprint(changed)
        assert found not in seen, f"{what} looks like {seen[found]}"
        seen[found] = what
    assert len(seen) > 500


def test_an_output_without_a_name_cannot_be_left_out_of_the_fingerprint() -> None:
    def program() -> None:
        snapshot = Snapshot("api", pulumi.ComponentResource("gdpr:test:Parent", "parent"))
        snapshot.declare(SimpleNamespace, "part", uri=pulumi.Output.from_input("arn"))

    with pytest.raises(TypeError, match="has no name for the fingerprint"):
        run_program(program)


def test_other_texts_limits_and_functions_are_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    of_405 = responses.method_not_allowed
    other = replace(ALL.operations[0], function=ALL.operations[-1].function)
    triggers = [trigger(api())]
    for module, name, value in (
        (routes, "method_not_allowed", lambda methods: replace(of_405(methods), detail="Another text.")),
        (routes, "GATEWAY_TIMEOUT", 20_000),
        (gateway, "BODY_SCHEMA", {**gateway.BODY_SCHEMA, "title": "Another"}),
        (gateway, "routes", lambda: replace(ALL, operations=(other, *ALL.operations[1:]))),
        (gateway, "routes", lambda: replace(ALL, scopes={**ALL.scopes, "privacy/other": "Another."})),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            triggers.append(trigger(api()))
    assert len(set(triggers)) == len(triggers)
    assert trigger(api()) == triggers[0]


def test_what_a_deployment_copies_because_it_is_there_falls_with_the_generation(made: Deployment) -> None:
    model = generation(made)
    (deployed,) = made.of("aws:apigateway/deployment:Deployment")
    for each in made.made:
        key = "restApiId" if kind(each) == "Response" else "restApi"
        if kind(each) in COPIED_WHERE_THEY_ARE:
            assert each.inputs_from[key] == (model.urn,), each.name
            assert each.inputs[key] == "api-api-id"
    # A deployment that a stage shows cannot be deleted: it may take nothing from what falls.
    assert {urn for urns in deployed.inputs_from.values() for urn in urns} == {
        each.urn for each in made.of("aws:apigateway/restApi:RestApi")
    }


def test_each_route_and_answer_that_leaves_begins_another_generation(
    made: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [generation(made).inputs["name"]]
    assert generation(api()).inputs["name"] == names[0]
    for left in ALL.operations:
        rest = replace(ALL, operations=tuple(each for each in ALL.operations if each != left))
        with monkeypatch.context() as patch:
            patch.setattr(gateway, "routes", lambda rest=rest: rest)
            names.append(generation(api()).inputs["name"])
    fewer = {kind: problem for kind, problem in GATEWAY_RESPONSES.items() if kind != "THROTTLED"}
    monkeypatch.setattr(gateway, "GATEWAY_RESPONSES", fewer)
    names.append(generation(api()).inputs["name"])
    assert len(set(names)) == len(names)
    assert all(str(name).isalnum() for name in names)  # API Gateway takes nothing else
