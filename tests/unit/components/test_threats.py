"""The threat model says of every function what it has, and the worst that can come of it."""

import re
import runpy

import pytest

from components import threats
from components.functions.catalogue import FUNCTIONS
from components.iam.purposes import PURPOSES

from .programs import ROOT


def test_every_function_has_its_worst_case() -> None:
    assert threats.WORST_CASES.keys() == FUNCTIONS.keys()


def test_the_threat_model_has_the_table() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    held = page.partition(threats.BEGIN)[2].partition(threats.END)[0].strip()
    assert held == threats.table(), "run: python -m components.threats, and put it between the two comments"


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_table_prints_itself(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("components.threats", run_name="__main__")
    assert capsys.readouterr().out == f"{threats.table()}\n"


def test_the_table_says_what_purposes_and_catalogue_give() -> None:
    rows = {row.split("`")[1]: row for row in threats.table().splitlines()[2:]}
    assert "(files: read, write, delete; items: read, list, write, delete)" in rows["visit_objects"]
    assert "purpose `close` (items: list, write, delete), evidence: put" in rows["report_reindex"]
    assert rows["delete_clients"].startswith("| `delete_clients` | clients: delete |")
    assert rows["get_contract"].startswith("| `get_contract` | nothing |")


def test_no_action_of_a_purpose_is_left_without_a_word() -> None:
    for purpose, rights in PURPOSES.items():
        for actions in (rights.objects, rights.exports, rights.table, rights.objects_index, rights.ledger):
            for action in actions:
                assert threats._verbs([action]), f"{purpose}: {action}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_worst_case_forgets_no_power_to_write(function: str) -> None:
    """Who may put or update items of the request table may make an erasure of anybody, or end one."""
    spec, said = FUNCTIONS[function], threats.WORST_CASES[function]
    if {"dynamodb:PutItem", "dynamodb:UpdateItem"} & {*spec.requests}:
        assert re.search("(make|end)( or end)? requests", said)
    table = {*PURPOSES[spec.purpose].table} if spec.purpose else set()
    if {"dynamodb:DeleteItem", "dynamodb:BatchWriteItem"} & table and function != "create_upload":
        assert re.search("delete|remove|change the index", said)
