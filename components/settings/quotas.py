"""Limits of AWS, and of one stack, that a config can exceed: told before anything is declared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .problems import Problem, path_of

MOST_NOTIFICATIONS: Final = 100
"""Event notifications of a bucket (Amazon S3 User Guide, "Event notification types and destinations")."""

MOST_CLIENTS: Final = 1_000
"""App clients of a user pool (Amazon Cognito Developer Guide, "Quotas in Amazon Cognito"; adjustable)."""

MOST_CUSTOMERS: Final = 200
"""Customers of one stack. Each has some 23 resources: with more, too much depends on one state, and a preview
takes too long. A second stack takes the next ones (docs/operating.md, "Cells")."""

Place = tuple[str | int, ...]


def quota_problems(place: Place, customers: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[Problem]:
    """Find what is too many: customers of the stack, programs of all of them, indexed datasets of one.

    `customers` are the entries of the list at `place` with their positions, whatever they hold.
    """
    if len(customers) > MOST_CUSTOMERS:
        yield Problem(
            path_of(place),
            f"a list of {len(customers)}",
            f"one stack takes {MOST_CUSTOMERS}; put the next customers into a second stack of the region",
        )
    programs = sum(len(_entries(customer.get("programs"))) for _, customer in customers)
    if programs > MOST_CLIENTS:
        yield Problem(
            path_of(place),
            f"{programs} programs in all",
            f"a user pool takes {MOST_CLIENTS} clients; let programs share one, or use a second stack",
        )
    for position, customer in customers:
        indexed = sum(
            isinstance(dataset, Mapping)
            and dataset.get("prefix") is not None
            and dataset.get("index") != "scan"
            for dataset in _entries(customer.get("datasets"))
        )
        if indexed > MOST_NOTIFICATIONS:
            yield Problem(
                path_of((*place, position, "datasets")),
                f"{indexed} datasets with an index",
                f"S3 takes {MOST_NOTIFICATIONS} notifications a bucket; let datasets share a prefix, or give "
                "some of them index: scan",
            )


def _entries(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
