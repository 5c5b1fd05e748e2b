from collections.abc import Iterator

import pytest

from local.emulator import Emulator


@pytest.fixture(scope="module")
def emulator(request: pytest.FixtureRequest, worker_id: str) -> Iterator[Emulator]:
    module = request.module.__name__.rpartition(".")[2]
    with Emulator(name=f"{module}-{worker_id}") as running:
        yield running
