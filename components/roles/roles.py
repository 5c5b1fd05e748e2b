"""Roles within the stack's permissions boundary: all but API Gateway's own, for its logs (account.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..iam.purposes import PURPOSES, purpose_statements
from ..naming import RegionNames
from ..standard.role import bounded_role
from .boundary import boundary


@dataclass(frozen=True, kw_only=True)
class BoundaryArgs:
    """The stack's names."""

    names: RegionNames


class Boundary(pulumi.ComponentResource):
    """The permissions boundary of every role that runs the stack (not of API Gateway's, for its logs)."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: BoundaryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:roles:Boundary", name, None, opts)
        policy = iam.Policy(
            f"{name}-policy",
            name=args.names.name("boundary"),
            description="Limit of the roles that run this stack: their actions, their region, no copies.",
            policy=document(boundary(args.names)),
            tags=args.names.tags("operational"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = policy.arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class PurposeRolesArgs:
    """The functions by module name: each assumes the role of the purpose that it serves."""

    ground: Ground
    functions: Mapping[str, PrivacyFunction]


class PurposeRoles(pulumi.ComponentResource):
    """One role for each purpose: what may be done in a vault.

    Whoever assumes one adds a session policy that says in whose vault.
    """

    arns: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: PurposeRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:roles:PurposeRoles", name, None, opts)
        names = args.ground.names
        arns: dict[str, pulumi.Output[str]] = {}
        for purpose in PURPOSES:
            serving = [each.role_arn for each in args.functions.values() if each.spec.purpose == purpose]
            role, _ = bounded_role(
                f"{name}-{purpose}",
                parent=self,
                ground=args.ground,
                role=names.name(f"purpose-{purpose}"),
                trusted=pulumi.Output.all(*serving).apply(_trust),
                policy=document(purpose_statements(names, purpose)),
                data_class="personal",
            )
            arns[purpose] = role.arn
        self.arns = arns
        self.register_outputs({"arns": arns})


def _trust(function_roles: Sequence[str]) -> str:
    return document(trust.by_functions(function_roles))
