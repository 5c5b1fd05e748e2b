"""Who may assume a role."""

from collections.abc import Sequence

from ..naming import RegionNames
from .documents import Principals, Statement


def by_service(names: RegionNames, service: str, *, source_arns: Sequence[str] = ()) -> list[Statement]:
    """Trust an AWS service that acts for this account, and for these of its resources where it says which."""
    conditions: dict[str, dict[str, str | Sequence[str]]] = {
        "StringEquals": {"aws:SourceAccount": names.account}
    }
    if source_arns:
        conditions["ArnLike"] = {"aws:SourceArn": source_arns}
    return [
        Statement(
            sid="Service",
            why="The service acts for this account's own resources only (no confused deputy).",
            actions=["sts:AssumeRole"],
            principals=Principals(kind="Service", names=[service]),
            conditions=conditions,
        )
    ]


def by_lambda() -> list[Statement]:
    """Trust Lambda, which names no source in the call."""
    return _without_source(
        "lambda.amazonaws.com",
        "Lambda runs the function under this role; it passes no source account to check.",
    )


def by_api_gateway() -> list[Statement]:
    """Trust API Gateway. AWS documents no condition for its log role ("Set up CloudWatch logging")."""
    return _without_source(
        "apigateway.amazonaws.com",
        "API Gateway writes logs under this role; it passes no source account to check.",
    )


def _without_source(service: str, why: str) -> list[Statement]:
    """Trust a service that does not say for which account it acts: a condition on that would never hold."""
    return [
        Statement(
            sid="Service",
            why=why,
            actions=["sts:AssumeRole"],
            principals=Principals(kind="Service", names=[service]),
        )
    ]


def by_functions(function_roles: Sequence[str]) -> list[Statement]:
    """Trust exactly the functions that serve a purpose."""
    return [
        Statement(
            sid="Functions",
            why="Only the functions of this purpose, each of which adds a session policy for one customer.",
            actions=["sts:AssumeRole"],
            principals=Principals(kind="AWS", names=function_roles),
        )
    ]


def by_customer(
    names: RegionNames, customer: str, principals: Sequence[str], *, starts: str, ends: str
) -> list[Statement]:
    """Trust a customer's own principals from one UTC day's midnight until another's, with its external id."""
    return [
        Statement(
            sid="Customer",
            why="The customer's principals, with its external id, during its contract.",
            actions=["sts:AssumeRole"],
            principals=Principals(kind="AWS", names=principals),
            conditions={
                "StringEquals": {"sts:ExternalId": names.external_id(customer)},
                "DateGreaterThanEquals": {"aws:CurrentTime": f"{starts}T00:00:00Z"},
                "DateLessThan": {"aws:CurrentTime": f"{ends}T00:00:00Z"},
            },
        )
    ]
