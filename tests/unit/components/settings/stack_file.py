"""What is wrong with a stack's file, and its first customer."""

from typing import Any

import pytest

from components.settings.problems import SettingsError
from components.settings.settings import parse_settings


def problems(config: dict[str, Any], stack: str = "eu-west") -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_settings(config, project="gdpr", stack=stack)
    return [str(problem) for problem in caught.value.problems]


def acme(config: dict[str, Any]) -> dict[str, Any]:
    customer: dict[str, Any] = config["gdpr:customers"][0]
    return customer
