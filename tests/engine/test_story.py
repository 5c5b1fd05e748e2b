"""The story, told to the local deployer."""

import pytest

from tests.engine.deployers import Done
from tests.engine.story import STORY


@pytest.mark.xdist_group("story")
def test_the_local_deployer_does_what_the_story_asks(by_local: list[Done]) -> None:
    assert len(by_local) == len(STORY), "each step was checked when it was done"
