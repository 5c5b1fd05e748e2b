from typing import Any

import pytest

from ..programs import stack_config


@pytest.fixture
def config() -> dict[str, Any]:
    return stack_config("eu-west")
