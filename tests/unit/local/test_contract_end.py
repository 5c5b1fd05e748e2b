"""What `python -m local contract-end` shows, which stack it takes, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import executions, stacks
from local.__main__ import main
from local.commands import contract_end
from local.errors import LocalError
from local.stacks import Stack, Vault

COUNTED = {
    "customer": "acme",
    "reason": None,
    "due": "2026-02-01T00:00:00Z",
    "bucket": {
        "name": "b-acme",
        "versions": 12_345,
        "bytes": 67_890,
        "delete_markers": 3,
        "unfinished_uploads": 1,
        "complete": True,
    },
    "table": {"name": "t-acme", "state": "ACTIVE", "items_counted_last": 77, "bytes_counted_last": 888},
    "key": {"arn": "arn:k", "deletion_days": 30},
    "clients": 2,
}


def made(name: str, *customers: str) -> Stack:
    return Stack(
        name=name,
        region="eu-west-1",
        endpoint="https://127.0.0.1:1",
        authority="authority.pem",
        account="111122223333",
        api_url="https://127.0.0.1:1",
        token_url="https://127.0.0.1:1",
        clients={},
        vaults={customer: Vault("b", "t", "k") for customer in customers},
    )


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Two stacks that are up as far as files tell, and what the workflow was started with."""
    monkeypatch.setattr(stacks, "STATE", tmp_path)
    made("eu-west", "acme", "shared").write()
    made("us-east", "initech", "shared").write()
    given: list[dict[str, Any]] = []

    def carry_out(
        _client: object, stack: Stack, machine: str, asked: dict[str, Any], *, until: str
    ) -> dict[str, Any]:
        assert (machine, until) == ("contract-end", "WaitForKey")
        given.append({**asked, "stack": stack.name})
        if asked["dry_run"]:
            return COUNTED
        return {"customer": asked["customer"], "look_at": "2026-03-03T00:00:00Z"}

    monkeypatch.setattr(contract_end, "client_of", lambda *_: None)
    monkeypatch.setattr(contract_end, "carry_out", carry_out)
    with stacks.keeping_up("eu-west"), stacks.keeping_up("us-east"):
        yield given


def test_a_dry_run_says_what_would_go(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract-end", "acme", "--dry-run"]) == 0
    assert asked == [{"customer": "acme", "dry_run": True, "stack": "eu-west"}]
    shown = capsys.readouterr().out
    for fact in (
        "12,345 versions",
        "67,890 bytes",
        "77 items",
        "clients  2",
        "30 days",
        "2026-02-01T00:00:00Z",
    ):
        assert fact in shown


def test_the_end_itself_says_when_the_key_goes(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract-end", "shared", "--stack", "us-east"]) == 0
    assert asked == [{"customer": "shared", "dry_run": False, "stack": "us-east"}]
    assert "the key goes at 2026-03-03T00:00:00Z" in capsys.readouterr().out


@pytest.mark.parametrize("reason", ["held", "not-due"])
@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_what_is_not_to_be_destroyed_ends_with_1_and_the_reason(
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reason: str,
    option: list[str],
) -> None:
    monkeypatch.setattr(contract_end, "carry_out", lambda *_, **__: {**COUNTED, "reason": reason})
    assert main(["contract-end", "acme", *option]) == 1
    shown = capsys.readouterr().out
    assert contract_end._WHY_NOT[reason] in shown
    assert "2026-02-01T00:00:00Z" in shown
    assert not asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "no stack that is up has a customer nobody: there are acme, shared, initech, shared"),
        (["shared"], "shared is a customer of eu-west, us-east: say which with --stack"),
        (
            ["acme", "--stack", "us-east"],
            "no stack that is up has a customer acme: there are initech, shared",
        ),
    ],
)
def test_whose_contract_is_unclear_is_one_line(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["contract-end", *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert not asked


def test_without_any_stack_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stacks, "STATE", tmp_path)
    assert main(["contract-end", "acme"]) == 1
    assert "start `make up` first" in capsys.readouterr().err


class StepFunctions:
    """An execution that goes on for days behind the state that is waited for, or fails."""

    def __init__(self, status: str, entered: str) -> None:
        self.status, self.entered = status, entered

    def start_execution(self, **_: str) -> dict[str, str]:
        return {"executionArn": "arn:execution:gdpr-eu-west-contract-end:e-1"}

    def describe_execution(self, **_: str) -> dict[str, str]:
        return {"status": self.status, "error": "SomethingLeftError"}

    def get_paginator(self, _operation: str) -> "StepFunctions":
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        details = {"name": self.entered, "input": json.dumps({"look_at": "then"})}
        return [{"events": [{"type": "ExecutionStarted"}, {"stateEnteredEventDetails": details}]}]


def test_an_execution_is_followed_to_the_state_that_was_asked_for() -> None:
    there = executions.carry_out(
        StepFunctions("RUNNING", "WaitForKey"),
        made("eu-west", "acme"),
        "contract-end",
        {"customer": "acme"},
        until="WaitForKey",
    )
    assert there == {"look_at": "then"}


def test_an_execution_that_fails_is_an_error_with_its_name() -> None:
    with pytest.raises(LocalError, match="acme: the execution e-1 FAILED: SomethingLeftError"):
        executions.carry_out(
            StepFunctions("FAILED", "Verify"), made("eu-west", "acme"), "contract-end", {"customer": "acme"}
        )
