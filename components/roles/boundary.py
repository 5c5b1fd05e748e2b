"""The permissions boundary of every role that runs a stack: a limit, which grants nothing by itself.

It names every action that any of these roles has (and no other), and refuses other regions and whatever would
copy data. A role that somebody widens by hand stays within it. API Gateway's log role stands without it:
AWS's own policy for that role has actions that nothing else here needs.
"""

from collections.abc import Iterable

from ..functions import rights as function_rights
from ..functions.catalogue import FUNCTIONS
from ..iam import purposes, services
from ..iam.documents import Statement
from ..iam.resources import REPLICATION
from ..machines.catalogue import MACHINES
from ..naming import RegionNames
from ..schedules.catalogue import RECURRING_CALLS

COPYING = (
    *REPLICATION,
    "backup:StartCopyJob",
    "dynamodb:CreateGlobalTable",
    "dynamodb:CreateTableReplica",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:UpdateGlobalTable",
    "kms:ReplicateKey",
    "kms:UpdatePrimaryRegion",
)
"""Actions that duplicate data or keys, in this region or another."""

VAULT_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")


def boundary(names: RegionNames) -> list[Statement]:
    """Statements of the boundary."""
    # A boundary grants nothing; which resources, each role's own policy says.
    everything = ["*"]
    return [
        Statement(
            sid="Limit",
            why="The actions of all roles within it. A limit: each role's own policy says what it has.",
            actions=sorted(_actions(names)),
            resources=everything,
        ),
        Statement(
            sid="DenyOtherRegions",
            why="Nothing of this stack acts in another region.",
            effect="Deny",
            actions=["*"],
            resources=everything,
            conditions={"StringNotEquals": {"aws:RequestedRegion": names.region}},
        ),
        Statement(
            sid="DenyCopies",
            why="Data is not duplicated: no replication, no replicas, no exports, no copied backups.",
            effect="Deny",
            actions=sorted(COPYING),
            resources=everything,
        ),
    ]


def _actions(names: RegionNames) -> set[str]:
    statements: list[Statement] = [
        *(s for spec in FUNCTIONS.values() for s in function_rights.function_statements(names, spec, "", "")),
        *(s for purpose in purposes.PURPOSES for s in purposes.purpose_statements(names, purpose)),
        *(s for spec in MACHINES.values() for s in spec.rights(names)),
        *(s for spec in RECURRING_CALLS.values() for s in spec.rights(names, "")),
        *services.contract_schedules(names, ""),
    ]
    return {*_of(statements), *services.CUSTOMER_ACTIONS, *VAULT_KEY_ACTIONS}


def _of(statements: Iterable[Statement]) -> set[str]:
    return {action for statement in statements for action in statement.actions}
