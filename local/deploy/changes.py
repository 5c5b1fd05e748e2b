"""What changed between two deployments of a resource, and whether it can change at all."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pulumi.output import Unknown

from local.deploy.catalogue import CATALOGUE
from local.deploy.creator import Creator, DeploymentError, Existing, Inputs, plain
from local.deploy.state import Recorded


def changed(creator: Creator, before: Inputs, inputs: Inputs) -> frozenset[str]:
    """The properties that have another value than recorded; what a preview cannot know counts as the same.

    `before` is as `creator.plain` has it.
    """
    return frozenset(
        key
        for key in {*before, *inputs} - set(creator.without_effect)
        if not unknown(inputs.get(key)) and plain(inputs.get(key)) != before.get(key)
    )


def check_change(creator: Creator, label: str, changes: Collection[str]) -> None:
    """Raise DeploymentError where something changed that neither an update nor a replacement carries out."""
    if creator.replacing.intersection(changes):
        return
    if fixed := ", ".join(sorted(set(changes) - creator.updatable)):
        raise DeploymentError(
            f"{label}: {fixed} changed, and the local deployer cannot change that in place. Replacing "
            "a resource is not supported here: start the emulator afresh, or give the creator in "
            "local/deploy/services an `update` where AWS has one"
        )


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


def replaced_with(recorded: Recorded, name: str) -> bool:
    """Whether a resource is replaced when this input of it changes."""
    return name in CATALOGUE[recorded.token].replacing


def unknown(value: Any) -> bool:
    """Whether a value, or a part of it at any depth, is known only after a real deployment."""
    if isinstance(value, Mapping):
        return any(map(unknown, value.values()))
    if isinstance(value, list):
        return any(map(unknown, value))
    return isinstance(value, Unknown)


def certain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only a real deployment will know: what a preview leaves out is unknown to the program."""
    return {key: value for key, value in values.items() if not unknown(value)}


def state_of(region: str, existing: Existing) -> dict[str, Any]:
    """The whole state of a resource as the engine keeps it: its inputs, and what came on top of them."""
    tags = {"tagsAll": existing.inputs["tags"]} if "tags" in existing.inputs else {}
    return {"region": region, **certain({**existing.inputs, **tags}), **existing.outputs}


def check_provider(name: str, inputs: Mapping[str, Any], region: str) -> None:
    """Raise DeploymentError for settings of the provider that are not known here, and for another region."""
    known = {"region", "skipCredentialsValidation", "skipRegionValidation", "allowedAccountIds", "version"}
    if unknown := sorted(set(inputs) - known):
        raise DeploymentError(f"pulumi:providers:aws {name!r}: {', '.join(unknown)} is not known here")
    if inputs.get("region", region) != region:
        raise DeploymentError(
            f"pulumi:providers:aws {name!r}: region {inputs['region']!r} is not the stack's {region!r}"
        )
