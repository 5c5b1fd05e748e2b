"""How many functions may be at work at once: `gdpr:limits`."""

import json
import re
from typing import Any

import pytest
import yaml

from components.functions.catalogue import FUNCTIONS
from components.settings.settings import Limits, parse_settings

from ..programs import NOW, ROOT, Deployment, declared, stack_config
from .stack_file import problems


def test_a_stack_without_limits_fits_a_new_account(config: dict[str, Any]) -> None:
    assert "gdpr:limits" not in config
    limits = parse_settings(config, project="gdpr", stack="eu-west").limits
    assert limits == Limits()
    assert (limits.run_concurrency, limits.index_concurrency, limits.api_concurrency) == (2, 2, None)


def test_each_limit_can_be_given_alone(config: dict[str, Any]) -> None:
    config["gdpr:limits"] = {"runConcurrency": 40}
    limits = parse_settings(config, project="gdpr", stack="eu-west").limits
    assert (limits.run_concurrency, limits.index_concurrency, limits.api_concurrency) == (40, 2, None)


VALID = "valid keys are runConcurrency, indexConcurrency, apiConcurrency"


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"runConcurrency": 0}, "limits.runConcurrency is 0: give a number from 1"),
        ({"runConcurrency": 1001}, "limits.runConcurrency is 1001: give a number up to 1000"),
        ({"runConcurrency": 2.5}, "limits.runConcurrency is 2.5: give a whole number, without quotes"),
        ({"runConcurrency": "40"}, "limits.runConcurrency is '40': give a whole number, without quotes"),
        ({"runConcurrency": True}, "limits.runConcurrency is True: give a whole number, without quotes"),
        # SQS: at least 2 (AWS Lambda Developer Guide, "Configuring maximum concurrency for Amazon SQS …").
        ({"indexConcurrency": 1}, "limits.indexConcurrency is 1: give a number from 2"),
        # A function with 0 is switched off, and -1 is Pulumi's word for none.
        ({"apiConcurrency": 0}, "limits.apiConcurrency is 0: give a number from 1"),
        ({"apiConcurrency": -1}, "limits.apiConcurrency is -1: give a number from 1"),
        (
            {"runConcurency": 4},
            "limits.runConcurency: unknown key; did you mean runConcurrency or indexConcurrency? " + VALID,
        ),
        (None, "limits is None: give a mapping"),
        (10, "limits is 10: give a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_the_fix(config: dict[str, Any], limits: object, problem: str) -> None:
    config["gdpr:limits"] = limits
    assert problems(config) == [problem]


@pytest.fixture
def reserving() -> Deployment:
    limits = {"runConcurrency": 40, "indexConcurrency": 12, "apiConcurrency": 9}
    return declared("eu-west", {**stack_config("eu-west"), "gdpr:limits": limits}, now=NOW)


def test_the_limits_reach_machines_queue_and_functions(reserving: Deployment) -> None:
    for name, state in (("run", "VisitAll"), ("reindex", "CompareAll")):
        machine = reserving.named("aws:sfn/stateMachine:StateMachine", f"{reserving.prefix}-{name}")
        assert json.loads(machine.inputs["definition"])["States"][state]["MaxConcurrency"] == 40
    (events,) = reserving.of("aws:lambda/eventSourceMapping:EventSourceMapping")
    assert events.inputs["scalingConfig"] == {"maximumConcurrency": 12}


def test_what_is_reserved_is_the_apis_alone(reserving: Deployment) -> None:
    """Then no machine, queue or schedule can take the API's share: none of them calls its functions."""
    prefix = f"{reserving.prefix}-"
    reserved = {
        made.inputs["name"].removeprefix(prefix): made.inputs["reservedConcurrentExecutions"]
        for made in reserving.of("aws:lambda/function:Function")
        if "reservedConcurrentExecutions" in made.inputs
    }
    behind_the_api = {spec.name for spec in FUNCTIONS.values() if spec.wing == "api"}
    assert reserved == dict.fromkeys(behind_the_api, 9)
    integrations = {
        made.inputs["uri"].removeprefix("arn:mock:invoke:")
        for made in reserving.of("aws:apigateway/integration:Integration")
        if made.inputs["type"] == "AWS_PROXY"
    }
    assert integrations == {f"{prefix}{name}" for name in behind_the_api}
    callers = (
        ("aws:sfn/stateMachine:StateMachine", "definition"),
        ("aws:lambda/eventSourceMapping:EventSourceMapping", "functionName"),
        ("aws:scheduler/schedule:Schedule", "target"),
    )
    for type_, key in callers:
        for made in reserving.of(type_):
            called = json.dumps(made.inputs[key])
            assert not [name for name in behind_the_api if f"{prefix}{name}" in called], made.name


def test_what_the_docs_advise_for_a_quota_fits_into_it(config: dict[str, Any]) -> None:
    """A run, a reindex, an export, the bucket events and what is reserved, at once."""
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9,]+) \| (?:`(\{.*\})`|nothing: .*) \|$", text, re.MULTILINE)
    quotas = {int(quota.replace(",", "")): yaml.safe_load(advice or "{}") for quota, advice in rows}
    assert set(quotas) == {10, 100, 1000}
    of_the_api = sum(spec.wing == "api" for spec in FUNCTIONS.values())
    for quota, advice in quotas.items():
        limits = parse_settings({**config, "gdpr:limits": advice}, project="gdpr", stack="eu-west").limits
        reserved = of_the_api * (limits.api_concurrency or 0)
        assert not reserved or quota - reserved >= 100
        assert limits.index_concurrency + 2 * limits.run_concurrency + 1 + reserved < quota
    assert f"each of the {of_the_api} functions of the API" in text
    most = [(quota - 100) // of_the_api for quota in (1000, 200)]
    assert "{} of\n1,000, {} of 200".format(*most) in text
