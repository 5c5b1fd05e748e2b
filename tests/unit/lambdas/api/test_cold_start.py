"""What a function needs of its environment is looked at when it starts, not in the middle of a call."""

import importlib
import sys
from typing import Any, Final

import pytest

from components.functions.catalogue import FUNCTIONS
from privacy import environment
from privacy.customers.registry import Registry
from privacy.environment import MissingEnvironmentVariableError
from privacy.exports.machine import ExportMachine
from privacy.exports.store import ExportStore
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore

NEEDS: Final = [
    (Registry, environment.REGISTRY_TABLE),
    (RequestStore, environment.REQUEST_TABLE),
    (RunLock, environment.REQUEST_TABLE),
    (RunLock, environment.RUN_STATE_MACHINE_ARN),
    (ExportStore, environment.REQUEST_TABLE),
    (ExportMachine, environment.EXPORT_STATE_MACHINE_ARN),
]


@pytest.fixture(autouse=True)
def _every_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, name in NEEDS:
        monkeypatch.setenv(name, f"a value of {name}")


@pytest.mark.parametrize(("opened", "name"), NEEDS)
def test_what_is_absent_is_named(
    opened: Any,  # noqa: ANN401 - one of several classes
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert opened.from_environment()
    monkeypatch.delenv(name)
    with pytest.raises(MissingEnvironmentVariableError, match=name):
        opened.from_environment()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("get_request", environment.REGISTRY_TABLE),
        ("get_request", environment.REQUEST_TABLE),
        ("create_erasure_request", environment.RUN_STATE_MACHINE_ARN),
        ("plan_run", environment.REGISTRY_TABLE),
    ],
)
def test_a_function_without_a_variable_does_not_start(
    function: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, FUNCTIONS[function].path, raising=False)
    with pytest.raises(MissingEnvironmentVariableError, match=name):
        importlib.import_module(FUNCTIONS[function].path)
