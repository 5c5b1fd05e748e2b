"""Who may do what, and why, as a page: `python -m components.permissions` prints docs/permissions.md.

It is made from the documents that are deployed, so it cannot say anything else.
"""

import sys
from collections.abc import Iterator, Sequence

from .functions import rights as function_rights
from .functions.catalogue import FUNCTIONS
from .iam import keys, purposes, resources, services, trust
from .iam.documents import Statement
from .machines.catalogue import MACHINES
from .naming import RegionNames
from .operations.account import LOG_POLICY
from .roles import boundary
from .schedules.catalogue import RECURRING_CALLS
from .settings.settings import Evidence

_NAMES = RegionNames(project="gdpr", stack="<stack>", account="<account>", region="<region>")
_CUSTOMER = "<customer>"
_REGION_KEY = _NAMES.arn("kms", "key/<region key>")
_USER_POOL = _NAMES.arn("cognito-idp", "userpool/<user pool>")
_EVIDENCE_KEY = _NAMES.arn("kms", "key/<evidence key>")
_YEARS = Evidence().years
_VAULT_KEY = _NAMES.arn("kms", "key/<vault key>")

_INTRODUCTION = """# Permissions

Made by `python -m components.permissions` from `components/iam/`; a test refuses a difference. Do not edit.

Every role that runs a stack (all but API Gateway's own, for its logs) stands within a permissions boundary,
which allows no action that no role has, no other region and no copying. No function's own role reaches a
vault. A function assumes the role of its one purpose with a session policy
(`lambdas/privacy/vault/session_policies.py`) that names one customer's bucket, table and key, and leaves the
actions to the role: what is allowed is what purpose role, session policy and boundary all allow. Use of a
vault's key is given by its key policy alone. Retention is shown for the default years of evidence.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield "## Functions\n"
    for spec in FUNCTIONS.values():
        yield from _role(
            _NAMES.name(spec.name),
            spec.why,
            trust.by_lambda(),
            function_rights.function_statements(_NAMES, spec, _REGION_KEY, _USER_POOL),
        )
    yield "## Purposes\n"
    for purpose, rights in purposes.PURPOSES.items():
        roles = [_NAMES.role(spec.name) for spec in FUNCTIONS.values() if spec.purpose == purpose]
        yield from _role(
            _NAMES.name(f"purpose-{purpose}"),
            rights.why,
            trust.by_functions(roles),
            purposes.purpose_statements(_NAMES, purpose),
        )
    yield "## AWS services\n"
    for machine in MACHINES.values():
        sources = _NAMES.machine_sources(machine.name)
        yield from _role(
            _NAMES.name(machine.name),
            machine.why,
            trust.by_service(_NAMES, "states.amazonaws.com", source_arns=sources),
            machine.rights(_NAMES),
        )
    for call in RECURRING_CALLS.values():
        yield from _role(
            _NAMES.name(call.role),
            f"The schedule of {call.called}.",
            trust.by_service(_NAMES, "scheduler.amazonaws.com", source_arns=[_NAMES.default_schedules_arn]),
            call.rights(_NAMES, _REGION_KEY),
        )
    yield from _role(
        _NAMES.name("contract-schedules"),
        "The schedules of the contracts.",
        trust.by_service(_NAMES, "scheduler.amazonaws.com", source_arns=[_NAMES.contract_schedules_arn]),
        services.contract_schedules(_NAMES, _REGION_KEY),
    )
    yield f"### `{_NAMES.name('api-gateway-logs')}`\n"
    yield (
        "Only where the stack's config says `apiGatewayLogRole: true`: API Gateway writes access logs under"
        f" it. It has AWS's own policy `{LOG_POLICY}`: API Gateway checks for it and takes nothing narrower."
        " The policy has actions outside the boundary, so this one role stands without it.\n"
    )
    yield "## Customers\n"
    yield from _role(
        _NAMES.access_role(_CUSTOMER),
        "A customer's own AWS principals, where its config names any.",
        trust.by_customer(_NAMES, _CUSTOMER, ["<principals>"], starts="<starts>", ends="<ends + 1 day>"),
        services.customer_access(_NAMES, _CUSTOMER, ["<prefix>/"], ends="<ends + 1 day>"),
    )
    yield "## Policies of resources\n"
    purpose_roles: dict[str, str] = {
        purpose: _NAMES.role(f"purpose-{purpose}") for purpose in purposes.PURPOSES
    }
    writers = [_NAMES.role(spec.name) for spec in FUNCTIONS.values() if spec.evidence]
    access_role = f"arn:aws:iam::{_NAMES.account}:role/{_NAMES.access_role(_CUSTOMER)}"
    for title, statements in (
        ("Key of a vault", keys.vault_key(_NAMES, _CUSTOMER, purpose_roles, access_role)),
        (
            "Bucket of a vault",
            resources.vault_bucket(
                _NAMES,
                _CUSTOMER,
                _VAULT_KEY,
                access_ends="<ends + 1 day>",
                destruction="<ends + grace days + 1 day>",
            ),
        ),
        ("Key of the evidence bucket", keys.evidence_key(_NAMES, writers, purpose_roles["replay"])),
        ("Evidence bucket", resources.evidence_bucket(_NAMES, _EVIDENCE_KEY, _YEARS * 365)),
        ("Key of the region", keys.region_key(_NAMES)),
        ("Queue of bucket events", resources.events_queue(_NAMES, "object-events")),
        ("Queue of dead letters", resources.dead_letters_queue(_NAMES)),
        ("Queue of bucket events that keep failing", resources.queue(_NAMES, "object-events-dead")),
        ("Topic of alarms", resources.alarms_topic(_NAMES)),
        ("Topic of events about contracts", resources.contracts_topic(_NAMES)),
    ):
        yield f"### {title}\n"
        yield from _table(statements, with_principals=True)
    yield "## Permissions boundary\n"
    yield from _table(boundary.boundary(_NAMES))


def _role(name: str, why: str, trusted: Sequence[Statement], rights: Sequence[Statement]) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{why}\n"
    for statement in trusted:
        yield f"Assumed by {_principals(statement)}{_conditions(statement, ' where ')}. {statement.why}\n"
    yield from _table(rights)


def _table(statements: Sequence[Statement], *, with_principals: bool = False) -> Iterator[str]:
    heads = ["statement", *(["who"] if with_principals else []), "actions", "resources", "conditions", "why"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for statement in statements:
        deny = "**deny** " if statement.effect == "Deny" else ""
        cells = [
            f"{deny}{statement.sid}",
            *([_principals(statement)] if with_principals else []),
            _codes(statement.actions),
            _codes(statement.resources),
            _conditions(statement),
            statement.why,
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _codes(values: Sequence[str]) -> str:
    return "<br>".join(f"`{value}`" for value in values)


def _principals(statement: Statement) -> str:
    principals = statement.principals
    if principals is None or principals.kind == "*":
        return "everybody"
    return ", ".join(f"`{name}`" for name in principals.names)


def _conditions(statement: Statement, lead: str = "") -> str:
    parts = [
        f"{operator} `{key}` {_codes([value] if isinstance(value, str) else value)}"
        for operator, keys_ in statement.conditions.items()
        for key, value in keys_.items()
    ]
    return f"{lead}{'<br>'.join(parts)}" if parts else ""


if __name__ == "__main__":
    sys.stdout.write(page())
