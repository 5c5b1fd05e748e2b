"""What the tests of components share: both stacks as they would be deployed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.functions import packages

from .programs import NOW, STACKS, Deployment, declared


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A production build with something in each package."""
    root = tmp_path_factory.mktemp("project")
    for package in ("api", "runs", "rows"):
        folder = root / "build" / "production" / package
        folder.mkdir(parents=True)
        (folder / "handler.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, "ROOT", root)
        patch.delenv(packages.BUILD_VARIABLE, raising=False)
        yield root


@pytest.fixture(
    scope="session",
    # All that look at a stack do so in one worker, which declares it once.
    params=[pytest.param(stack, marks=pytest.mark.xdist_group(stack)) for stack in STACKS],
)
def deployment(request: pytest.FixtureRequest, build: Path) -> Deployment:
    """Each of the two stacks, as `pulumi up` would declare it."""
    del build
    return declared(request.param, now=NOW)
