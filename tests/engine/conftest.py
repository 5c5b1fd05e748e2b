"""The deployers to which the story is told, each on an emulator of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.build import build
from local.emulator.emulator import STATE, Emulator
from local.errors import LocalError
from local.provider.engine import pulumi_command
from tests.engine.deployers import Done, Local, Pulumi
from tests.engine.story import Life, live

_WAITS = 0.05
"""A twentieth of their time is what state machines wait."""


def pytest_configure(config: pytest.Config) -> None:
    """Importing pulumi_aws warns about each of its own old names."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:pulumi_aws.*")
    if config.getoption("--engine"):
        try:
            pulumi_command(STATE / "engine-story")
        except LocalError as error:
            pytest.exit(str(error), returncode=2)


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
