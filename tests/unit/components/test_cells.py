"""Two stacks of one account and region, whatever they are called, have no name in common."""

import pytest

from components.settings.checks import TAKEN_IN_NAMES
from components.settings.problems import SettingsError
from components.settings.settings import parse_settings

from .programs import Deployment, stack_config

FREE = ("vault-acme", "vault-globex", "vault-initech", "vault-umbra")
"""What names of customers make of a name: any id could stand there."""


def suffixes(deployment: Deployment) -> dict[str, set[str]]:
    """The stack's names without its own, each with the types that have such a name."""
    found: dict[str, set[str]] = {}
    for made in deployment.made:
        for key in ("name", "bucket", "domain"):
            value = made.inputs.get(key)
            if made.custom and isinstance(value, str) and f"{deployment.prefix}-" in value:
                found.setdefault(value.split(f"{deployment.prefix}-", 1)[1], set()).add(made.type)
    return found


def refused(stack: str) -> str:
    try:
        parse_settings(stack_config("eu-west"), project="gdpr", stack=stack)
    except SettingsError as error:
        return str(error)
    return ""


def test_no_stack_that_the_settings_take_has_a_name_of_another(deployment: Deployment) -> None:
    names = suffixes(deployment)
    assert len(names) > 90
    fixed = {name: types for name, types in names.items() if not name.startswith(FREE)}
    clashing = {
        name.removesuffix(f"-{other}")
        for name, types in fixed.items()
        for other in fixed
        if name.endswith(f"-{other}") and types & fixed[other]
    }
    assert {*clashing, "vault"} == set(TAKEN_IN_NAMES)
    for word in TAKEN_IN_NAMES:
        for stack in (f"eu-{word}", f"eu-{word}-b"):
            assert f"stack is '{stack}'" in refused(stack)
            assert f"choose a name without {word}" in refused(stack)


@pytest.mark.parametrize("stack", ["eu-west-b", "eu-west-2", "plan", "vault", "planning-eu"])
def test_other_names_are_taken(stack: str) -> None:
    assert refused(stack) == ""
