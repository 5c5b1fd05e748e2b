from collections.abc import Iterator, Mapping
from typing import Any

import botocore.client
import pytest

from local.emulator.emulator import Emulator
from tests.unit.local.support import Stack


@pytest.fixture(scope="module")
def emulator(request: pytest.FixtureRequest, worker_id: str) -> Iterator[Emulator]:
    module = request.module.__name__.rpartition(".")[2]
    with Emulator(name=f"{module}-{worker_id}") as running:
        yield running


@pytest.fixture
def stack(emulator: Emulator, request: pytest.FixtureRequest) -> Stack:
    return Stack(emulator, request.node.originalname)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is called at AWS, but for what only looks."""
    made: list[str] = []
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self: object, operation: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if not operation.startswith(("Get", "Head", "List", "Describe")):
            made.append(operation)
        return call(self, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noted)
    return made
