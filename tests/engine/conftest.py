"""The deployers to which the story is told, each on an emulator of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.build import build
from local.emulator.emulator import STATE, Emulator
from local.provider.engine import WHERE_TO_GET_IT
from tests.engine.deployers import Done, Local, Pulumi
from tests.engine.story import Life, live

_WAITS = 0.05
"""A twentieth of their time is what state machines wait."""


def pytest_configure(config: pytest.Config) -> None:
    """Importing pulumi_aws warns about each of its own old names."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:pulumi_aws.*")
    if config.getoption("--engine") and shutil.which("pulumi") is None:
        pytest.exit(WHERE_TO_GET_IT, returncode=2)


@pytest.fixture(scope="session")
def by_local() -> list[Done]:
    """What each step of the story did with the local deployer."""
    with _emulator("story-local") as emulator:
        return live(Life(Local(emulator)))


@pytest.fixture(scope="session")
def engine_life() -> Iterator[Life]:
    """A life with the real engine."""
    with _emulator("story-engine") as emulator:
        yield Life(Pulumi(emulator, STATE / "engine-story"))


@contextmanager
def _emulator(name: str) -> Iterator[Emulator]:
    build("local", say=lambda _: None)
    with Emulator(name=name, waits=_WAITS) as emulator:
        yield emulator
