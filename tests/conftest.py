"""What all tests share."""

from pathlib import Path

import pytest

from tests import properties

properties.register()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", action="store_true", help="use the real Pulumi engine (needs its CLI)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave alone what needs the pulumi CLI, unless it is asked for."""
    needs_cli = collection_path.name == "test_real_engine.py"
    return True if needs_cli and not config.getoption("--engine") else None
