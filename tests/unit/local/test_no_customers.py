"""A stack without a customer: before the first one came, or after the last one went."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local import stacks
from local.__main__ import main
from local.build import build
from local.client import Credentials
from local.commands.up import how_to_call
from local.customers import customers_of
from local.demo import story
from local.deploy.settings import stack_config
from local.emulator.emulator import ROOT, Emulator
from local.errors import LocalError
from local.stacks import Stack, deploy_stack

NOBODY = {"gdpr:customers": "[]"}


@pytest.fixture(scope="module")
def packages() -> Iterator[None]:
    """The packages for this machine; other tests may have shown others to the program."""
    build("local", say=lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.functions.packages.ROOT", ROOT)
        yield


@pytest.fixture(scope="module")
def hollow(emulator: Emulator, packages: None) -> Stack:
    del packages
    return deploy_stack(emulator, "us-east", config=NOBODY)


@pytest.fixture
def up(hollow: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setattr(stacks, "STATE", tmp_path)
    hollow.write()
    with stacks.keeping_up(hollow.name):
        yield hollow


def test_it_is_deployed_and_says_that_a_customer_is_to_be_added(hollow: Stack) -> None:
    assert (hollow.clients, hollow.vaults) == ({}, {})
    assert "no customer yet: add one to gdpr:customers" in how_to_call(hollow)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reindex", "us-east", "acme"], "us-east has no customer acme: there are none"),
        (["contract-end", "acme"], "no stack that is up has a customer acme: there are none"),
        (["contract-end", "acme", "--stack", "us-east", "--dry-run"], "has a customer acme: there are none"),
        (["redrive", "us-east", "acme", "0195"], "has to be the id of a customer of this stack"),
    ],
)
def test_commands_about_a_customer_say_that_there_is_none(
    up: Stack, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert up.vaults == {}
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_reindex_of_all_says_that_there_is_nothing_to_do(
    up: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reindex", up.name]) == 0
    assert capsys.readouterr().out == "us-east has no customers: there is nothing to reindex\n"


def test_what_a_region_does_by_itself_goes_well(hollow: Stack, emulator: Emulator) -> None:
    for function in ("sweep-runs", "watch-contracts"):
        answer = emulator.client("lambda", hollow.region).invoke(FunctionName=f"{hollow.prefix}-{function}")
        assert "FunctionError" not in answer, answer["Payload"].read()


def test_its_first_customer_can_be_added_and_called(hollow: Stack, emulator: Emulator) -> None:
    first = deploy_stack(emulator, hollow.name)
    customer = next(iter(first.vaults))
    with first.client(customer) as api:
        assert api.requests() == []
    with pytest.raises(LocalError, match=f"us-east has no customer nobody: there are {customer}"):
        first.client("nobody")


def test_a_customer_without_a_program_has_no_client() -> None:
    stack = Stack(
        name="us-east",
        region="us-east-1",
        endpoint="https://127.0.0.1:1",
        authority="authority.pem",
        account="1",
        api_url="https://127.0.0.1:1",
        token_url="https://127.0.0.1:1",
        clients={"acme": {}},
        vaults={},
    )
    with pytest.raises(LocalError, match="acme has no program of any name: there are none"):
        stack.client("acme")
    with pytest.raises(LocalError, match="acme has no program dpo: there are support"):
        replace(stack, clients={"acme": {"support": Credentials("i", "s")}}).client("acme", "dpo")


@pytest.mark.parametrize("nothing", ["[]", "", None])
@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("eu-west", "Pulumi.eu-west.yaml has no customer acme and no globex: add it to gdpr:customers"),
        ("us-east", "the demo needs a customer in Pulumi.us-east.yaml: add one to gdpr:customers"),
    ],
)
def test_the_demo_says_whom_it_is_about(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    nothing: str | None,
    stack: str,
    said: str,
) -> None:
    def config(name: str) -> dict[str, str]:
        found = stack_config(name)
        if name == stack:
            del found["gdpr:customers"]
            return found if nothing is None else {**found, "gdpr:customers": nothing}
        return found

    monkeypatch.setattr(story, "stack_config", config)
    monkeypatch.setattr(story, "build", lambda *_, **__: None)
    assert main(["demo"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_config_without_a_list_of_customers_has_none() -> None:
    assert customers_of({}) == customers_of({"gdpr:customers": ""}) == customers_of(NOBODY) == []
    assert json.loads(stack_config("us-east")["gdpr:customers"])
