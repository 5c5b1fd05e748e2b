"""What `python -m local reindex` shows, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import stacks
from local.__main__ import main
from local.client import Credentials
from local.commands import reindex
from local.stacks import Stack, Vault
from privacy.reindex.items import KINDS

DIFFERENCE = {
    "kind": "wrong-entry",
    "dataset": "feedback",
    "object": "0123456789ab",
    "subject": "f" * 64,
    "index_version": "v1",
    "object_version": "v2",
    "differs": ["rows", "version_id"],
    "repaired": True,
}
UNREADABLE = {
    "kind": "unreadable-object",
    "object": "ba9876543210",
    "error": "LineTooLongError",
    "repaired": False,
}


def done(customer: str, differences: list[dict[str, Any]], *, dry_run: bool) -> dict[str, Any]:
    kinds = [each["kind"] for each in differences]
    repaired = sum(each["repaired"] for each in differences)
    counts = {
        "objects": 3,
        "differences": {kind: kinds.count(kind) for kind in kinds},
        "repaired": repaired,
        "remaining": len(kinds) - repaired,
        "pages": 1,
    }
    return {"customer": customer, "reindex_id": "r-1", "dry_run": dry_run, "counts": counts}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack that is up as far as files tell."""
    made = Stack(
        name="eu-west",
        region="eu-west-1",
        endpoint="https://127.0.0.1:1",
        authority=str(tmp_path / "authority.pem"),
        account="111122223333",
        api_url="https://127.0.0.1:1",
        token_url="https://127.0.0.1:1",
        clients={"acme": {"dpo": Credentials("id", "secret")}},
        vaults={name: Vault("b", "t", "k") for name in ("acme", "globex")},
    )
    monkeypatch.setattr(stacks, "STATE", tmp_path)
    made.write()
    with stacks.keeping_up("eu-west"):
        yield made


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(("found", "code"), [([], 0), ([DIFFERENCE], 0), ([DIFFERENCE, UNREADABLE], 1)])
def test_every_customer_is_reindexed_and_the_exit_code_says_whether_differences_remain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: list[Any], code: int
) -> None:
    asked = []

    def carry_out(_client: object, _stack: Stack, customer: str, *, dry_run: bool) -> dict[str, Any]:
        asked.append((customer, dry_run))
        return done(customer, found if customer == "globex" else [], dry_run=dry_run)

    monkeypatch.setattr(reindex, "client_of", lambda *_: None)
    monkeypatch.setattr(reindex, "carry_out", carry_out)
    monkeypatch.setattr(
        reindex, "differences", lambda _s3, _stack, ended: found if ended["customer"] == "globex" else []
    )
    assert main(["reindex", "eu-west"]) == code
    assert asked == [("acme", False), ("globex", False)]
    shown = capsys.readouterr().out
    for difference in found:
        for value in ("kind", "object"):
            assert difference[value] in shown

    assert main(["reindex", "eu-west", "acme", "--dry-run"]) == 0
    assert asked[-1] == ("acme", True)


def test_a_table_names_every_difference_in_full() -> None:
    lines = reindex.shown(done("acme", [DIFFERENCE, UNREADABLE], dry_run=False), [DIFFERENCE, UNREADABLE])
    assert lines[0].startswith("acme: 3 objects compared, 2 differences, 1 put right, 1 remain")
    *_, head, first, second = lines
    assert head.split() == ["kind", "dataset", "object", "subject", "index_version", "object_version", "more"]
    assert first.split() == [
        "wrong-entry", "feedback", "0123456789ab", "f" * 64, "v1", "v2", "rows", "version_id",
    ]  # fmt: skip
    assert second.split() == [
        "unreadable-object", "-", "ba9876543210", "-", "-", "-", "LineTooLongError", "remains",
    ]  # fmt: skip


def test_every_kind_is_explained() -> None:
    assert set(reindex.KINDS) == set(KINDS)


@pytest.mark.usefixtures("stack")
def test_an_unknown_customer_is_one_line_that_names_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["reindex", "eu-west", "umbra"]) == 1
    assert capsys.readouterr().err == "error: eu-west has no customer umbra: there are acme, globex\n"


@pytest.mark.usefixtures("stack")
def test_a_stack_that_is_not_up_is_one_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reindex", "us-east"]) == 1
    assert "start `make up` first" in capsys.readouterr().err


def test_an_execution_that_fails_is_an_error_with_its_name(stack: Stack) -> None:
    class StepFunctions:
        def start_execution(self, **asked: str) -> dict[str, str]:
            assert json.loads(asked["input"]) == {"customer": "acme", "dry_run": True}
            assert asked["stateMachineArn"].endswith(":stateMachine:gdpr-eu-west-reindex")
            return {"executionArn": "arn:execution:gdpr-eu-west-reindex:r-1"}

        def describe_execution(self, **_: str) -> dict[str, str]:
            return {"status": "FAILED"}

    with pytest.raises(reindex.LocalError, match="acme: the execution r-1 FAILED"):
        reindex.carry_out(StepFunctions(), stack, "acme", dry_run=True)
