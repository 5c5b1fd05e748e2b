"""Both stacks on one emulator for the whole session, with data in every vault."""

from collections.abc import Iterator

import pytest

from local.build import build
from local.commands.up import regions
from local.customers import customers_of
from local.demo.generate import generate
from local.deploy.settings import stack_config, stack_names
from tests.e2e.support import World, customers_with_more

_ROWS = 400
"""Rows a customer: enough for several a person and file, few enough to send quickly."""

_WAITS = 0.05
"""A twentieth: before a step that failed is given up, its state machine waits 39 seconds in all."""


def pytest_configure(config: pytest.Config) -> None:
    """Importing pulumi_aws warns about each of its own old names."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:pulumi_aws.*")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker, and those that judge the whole session at its end.

    After them comes the one that brings up another stack, which nobody else judges. First, because xdist
    reads the groups in a hook of its own.
    """
    ours = [item for item in items if "tests/e2e/" in item.path.as_posix()]
    for item in ours:
        item.add_marker(pytest.mark.xdist_group("e2e"))
    order = {"test_leaks.py": 1, "test_permissions.py": 1, "test_cells.py": 2}
    late = {item: order.get(item.path.name, 0) for item in ours}
    items.sort(key=lambda item: late.get(item, 0))


@pytest.fixture(scope="session")
def world(worker_id: str) -> Iterator[World]:
    """Two regions up with IAM enforced, the trail recorded, and every customer's data sent and indexed."""
    build("local", say=lambda _: None)
    data = generate(11, {stack: customers_of(stack_config(stack)) for stack in stack_names()}, rows=_ROWS)
    configs = {"eu-west": {"gdpr:customers": customers_with_more()}}
    name = f"e2e-{worker_id}"
    with regions(record_trail=True, name=name, waits=_WAITS, configs=configs) as (emulator, stacks):
        world = World(emulator, {stack.name: stack for stack in stacks}, data)
        world.send_everything()
        world.run_everything_once()
        yield world
