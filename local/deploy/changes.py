"""What a deployment has to change, and what of it has to be refused."""

from collections.abc import Collection, Iterable
from typing import Any

import pulumi

from local.deploy.catalogue import CATALOGUE
from local.deploy.creator import Creator, DeploymentError, Inputs, plain
from local.deploy.state import Recorded


def check_deletions(leaving: Iterable[Recorded]) -> None:
    """Raise DeploymentError for what is protected, or of a type that cannot be deleted here."""
    leaving = list(leaving)
    if guarded := [each.label for each in leaving if each.protect and not each.replaced]:
        raise DeploymentError(
            f"{', '.join(guarded)} cannot be deleted because it is protected. To unprotect it, remove "
            "the `protect` flag from the resource in the program and deploy; then take it out of the "
            "program"
        )
    for each in leaving:
        if CATALOGUE[each.token].delete is None:
            raise DeploymentError(
                f"{each.label}: the local deployer cannot delete this type; add a `delete` to its "
                "creator in local/deploy/services"
            )


def fixed(recorded: Recorded, name: str) -> bool:
    """Whether an input of a resource cannot be changed in place."""
    creator = CATALOGUE[recorded.token]
    return name not in creator.updatable and name not in creator.without_effect


def changed_properties(creator: Creator, before: Recorded, inputs: Inputs) -> frozenset[str]:
    """The properties that have another value than recorded; what a preview cannot know counts as the same."""
    return frozenset(
        key
        for key in {*before.inputs, *inputs} - set(creator.without_effect)
        if not unknown(inputs.get(key)) and plain(inputs.get(key)) != before.inputs.get(key)
    )


def check_change(creator: Creator, before: Recorded, changed: Collection[str]) -> None:
    """Raise DeploymentError for a change that neither an update nor a replacement carries out here."""
    named = ", ".join(sorted(changed))
    if creator.replacing.intersection(changed):
        if before.protect:
            raise DeploymentError(
                f"{before.label} cannot be replaced because it is protected, and {named} cannot be changed "
                "in place"
            )
    elif stuck := ", ".join(sorted(set(changed) - creator.updatable)):
        raise DeploymentError(
            f"{before.label}: {stuck} changed, and the local deployer cannot change that in place. Replacing "
            "a resource is not supported here: start the emulator afresh, or give the creator in "
            "local/deploy/services an `update` where AWS has one"
        )


def unknown(value: Any) -> bool:
    """Whether a value, or a part of it, is one that only a real deployment will know."""
    if isinstance(value, dict):
        return any(map(unknown, value.values()))
    if isinstance(value, list):
        return any(map(unknown, value))
    return isinstance(value, pulumi.output.Unknown)
