"""Least privilege, measured: what a role may do is what the recorded trail saw it do.

Allowed are the actions in the role's policies and, for keys, those that a key's policy gives the role. Used
are the actions that the emulator's policy evaluator let the role's sessions through with. Both regions run
the same functions, so they are looked at together.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.stacks import Stack
from tests.e2e.isolation.unused_permissions import NOT_IN_EVERY_RUN, UNUSED
from tests.e2e.support import World

Actions = Mapping[str, set[str]]


def _statements(document: Any) -> Iterator[Mapping[str, Any]]:
    parsed = json.loads(document) if isinstance(document, str) else document
    yield from parsed["Statement"]


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _role_policies(world: World, stack: Stack) -> Iterator[tuple[str, Mapping[str, Any]]]:
    iam = world.emulator.client("iam", stack.region)
    details = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    for role in details:
        name = role["RoleName"]
        if not name.startswith(f"{stack.prefix}-"):
            continue
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for statement in _statements(document):
                yield name, statement


def _key_policies(world: World, stack: Stack) -> Iterator[tuple[str, Mapping[str, Any]]]:
    kms = world.emulator.client("kms", stack.region)
    for key in kms.list_keys()["Keys"]:
        for statement in _statements(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]):
            principals = statement.get("Principal", {})
            for arn in _list(principals.get("AWS", [])) if isinstance(principals, dict) else []:
                if f":role/{stack.prefix}-" in arn:
                    yield arn.rpartition("/")[2], statement


@pytest.fixture(scope="module")
def may(world: World) -> Actions:
    found: dict[str, set[str]] = defaultdict(set)
    for stack in world.stacks.values():
        for source in (_role_policies, _key_policies):
            for role, statement in source(world, stack):
                if statement["Effect"] == "Allow":
                    found[role.removeprefix(f"{stack.prefix}-")] |= set(_list(statement["Action"]))
    return found


@pytest.fixture(scope="module")
def did(world: World) -> Actions:
    found: dict[str, set[str]] = defaultdict(set)
    for decision in world.emulator.decisions():
        role = decision["principal"].split(":assumed-role/")[-1].split("/")[0]
        for stack in world.stacks.values():
            if decision["allowed"] and role.startswith(f"{stack.prefix}-"):
                found[role.removeprefix(f"{stack.prefix}-")].add(decision["action"])
    return found


def _unused(may: Actions, did: Actions) -> set[tuple[str, str]]:
    return {(role, action) for role, actions in may.items() for action in actions - did.get(role, set())}


def test_every_permission_is_used_or_explained(may: Actions, did: Actions) -> None:
    unused = _unused(may, did) - set(UNUSED) - set(NOT_IN_EVERY_RUN)
    assert not unused, "\n".join(f"{role}: {action}" for role, action in sorted(unused))


def test_every_explanation_is_still_needed(may: Actions, did: Actions) -> None:
    assert set(UNUSED) - _unused(may, did) == set()


def test_no_permission_has_a_wildcard(may: Actions) -> None:
    assert {(role, action) for role, actions in may.items() for action in actions if "*" in action} == set()


def test_nothing_was_done_that_the_policies_do_not_name(may: Actions, did: Actions) -> None:
    """Also shows that policies and trail speak of the same actions."""
    more = {(role, action) for role, actions in did.items() for action in actions - may.get(role, set())}
    assert more <= {(role, "sts:GetCallerIdentity") for role in did}


def test_the_trail_saw_every_function_of_both_regions(world: World, did: Actions) -> None:
    for stack in world.stacks.values():
        functions = world.emulator.client("lambda", stack.region).list_functions()["Functions"]
        names = {function["FunctionName"].removeprefix(f"{stack.prefix}-") for function in functions}
        assert names - set(did) <= {"describe-service"}
