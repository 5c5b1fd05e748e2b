"""What the tests of components share: both stacks as they would be deployed."""

import pytest

from .programs import NOW, STACKS, Deployment, declared


@pytest.fixture(
    scope="session",
    # All that look at a stack do so in one worker, which declares it once.
    params=[pytest.param(stack, marks=pytest.mark.xdist_group(stack)) for stack in STACKS],
)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each of the two stacks, as `pulumi up` would declare it."""
    return declared(request.param, now=NOW)
