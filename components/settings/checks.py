"""Checks between values of the config, made on what the file holds.

They run even where the shape has problems, so they take nothing for granted: a value of the wrong type is the
shape check's business and is passed over here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from ..iam.documents import Statement, document
from ..iam.purposes import EXPORTS
from ..iam.services import customer_access
from ..iam.trust import by_customer
from ..naming import SHARED, RegionNames
from .datasets import dataset_checks
from .problems import Problem, path_of, shown
from .quotas import quota_problems
from .values import contract_date

RESERVED_PREFIXES: Final = (EXPORTS,)
"""Prefixes of a vault's bucket that the program itself uses."""

LONGEST_BUCKET_NAME: Final = 63
"""Amazon S3 User Guide, "General purpose bucket naming rules"; a Cognito domain prefix has the same limit."""

LONGEST_ROLE_NAME: Final = 64
"""IAM User Guide, "IAM and AWS STS quotas"; function names have the same limit."""

LONGEST_TRUST_POLICY: Final = 2_048
"""IAM User Guide, "IAM and AWS STS quotas", role trust policy length, in characters."""

LONGEST_ROLE_POLICIES: Final = 10_240
"""The same, all inline policies of a role together, in characters."""

REFUSED_IN_DOMAINS: Final = ("amazon", "aws", "cognito")
"""Words that Cognito takes in no domain prefix (its Developer Guide, "Using … prefix domain")."""

TAKEN_IN_NAMES: Final = (
    "check",
    "clear",
    "complete",
    "create",
    "get",
    "plan",
    "purpose",
    "redrive",
    "report",
    "vault",
    "verify",
)
"""Beginnings of names whose rest is a name, too: `run` of the stack `eu-plan` would be `plan-run` of `eu`.
And what `eu` may do to its vaults would reach all that begins with `eu-vault-`."""

LAST_YEAR: Final = 9990
"""Last year in which a contract may end: grace days and the key's end come after it, and 9999 is the last."""

FIRST_YEAR: Final = 1900
"""First year in which a contract may start: reminders go out before its end, and the calendar begins in 1."""

_LONGEST_FUNCTION: Final = "create-correction-request"

Place = tuple[str | int, ...]


def cross_checks(config: Mapping[str, Any], names: RegionNames) -> Iterator[Problem]:
    """Find what is wrong between values; `names` carries a stand-in account id of 12 digits."""
    yield from _stack_name(names)
    customers: Place = ("gdpr:customers",)
    entries = list(_mappings(config.get("gdpr:customers")))
    yield from _duplicates(customers, entries, "id", "every customer needs an id of its own")
    yield from quota_problems(customers, entries)
    for position, customer in entries:
        place = (*customers, position)
        yield from _reserved_id(place, customer)
        yield from _region(place, customer, names.region)
        yield from _contract((*place, "contract"), customer.get("contract"))
        yield from _calendar((*place, "contract"), customer.get("contract"))
        yield from _termination((*place, "contract"), customer.get("contract"))
        yield from _long_names(place, customer, names)
        yield from _programs((*place, "programs"), customer.get("programs"))
        yield from _datasets((*place, "datasets"), customer.get("datasets"))
        yield from _access_role(place, customer, names)


def _mappings(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if isinstance(value, list | tuple):
        for position, entry in enumerate(value):
            if isinstance(entry, Mapping):
                yield position, entry


def _duplicates(
    place: Place, entries: Sequence[tuple[int, Mapping[str, Any]]], key: str, fix: str
) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for position, entry in entries:
        value = entry.get(key)
        if not isinstance(value, str):
            continue
        if value in first:
            there = path_of((*place, first[value], key))
            yield Problem(path_of((*place, position, key)), shown(value), f"taken by {there}; {fix}")
        first.setdefault(value, position)


def _stack_name(names: RegionNames) -> Iterator[Problem]:
    for path, own in (("project", names.project), ("stack", names.stack)):
        if re.fullmatch(r"[a-z0-9-]+", own) is None:
            yield Problem(
                path,
                shown(own),
                "S3 and Cognito take only lower-case letters, digits and hyphens; choose such a name",
            )
        for word in REFUSED_IN_DOMAINS:
            if word in own:
                yield Problem(
                    path, shown(own), f"Cognito refuses a token domain with {word} in it; choose another name"
                )
    for word in names.stack.split("-")[1:]:
        if word in TAKEN_IN_NAMES:
            yield Problem(
                "stack",
                shown(names.stack),
                f"a stack called as what stands before -{word} would have names of this one's; choose a name "
                f"without {word}",
            )
    longest = names.name(_LONGEST_FUNCTION)
    if len(longest) > LONGEST_ROLE_NAME:
        over = len(longest) - LONGEST_ROLE_NAME
        yield Problem(
            "stack", shown(names.stack), f"makes the function name {longest} too long; shorten it by {over}"
        )
    bucket = names.evidence_bucket
    if len(bucket) > LONGEST_BUCKET_NAME:
        over = len(bucket) - LONGEST_BUCKET_NAME
        yield Problem(
            "stack", shown(names.stack), f"makes the bucket name {bucket} too long; shorten it by {over}"
        )
    domain = names.token_domain
    if len(domain) > LONGEST_BUCKET_NAME:
        over = len(domain) - LONGEST_BUCKET_NAME
        yield Problem(
            "stack", shown(names.stack), f"makes the token domain {domain} too long; shorten it by {over}"
        )


def _reserved_id(place: Place, customer: Mapping[str, Any]) -> Iterator[Problem]:
    if customer.get("id") == SHARED:
        fix = "the tag of what no single customer owns, which nothing may destroy; choose another id"
        yield Problem(path_of((*place, "id")), shown(SHARED), fix)


def _region(place: Place, customer: Mapping[str, Any], region: str) -> Iterator[Problem]:
    own = customer.get("region")
    if isinstance(own, str) and own != region:
        yield Problem(
            path_of((*place, "region")),
            shown(own),
            f"this stack is in {region}; move the customer to the stack of that region, or leave the key out",
        )


def _contract(place: Place, contract: object) -> Iterator[Problem]:
    if not isinstance(contract, Mapping):
        return
    starts, ends = _day(contract.get("starts")), _day(contract.get("ends"))
    if starts is not None and ends is not None and ends < starts:
        yield Problem(
            path_of((*place, "ends")),
            shown(ends.isoformat()),
            f"lies before starts ({starts}); give a later day",
        )


def _calendar(place: Place, contract: object) -> Iterator[Problem]:
    """Find contracts whose first or last days lie beyond the calendar (the years 1 and 9999)."""
    starts = _day(contract.get("starts")) if isinstance(contract, Mapping) else None
    if starts is not None and starts.year < FIRST_YEAR:
        fix = f"lies too far back; give a day from {FIRST_YEAR}-01-01 on"
        yield Problem(path_of((*place, "starts")), shown(starts.isoformat()), fix)
    ends = _day(contract.get("ends")) if isinstance(contract, Mapping) else None
    if ends is not None and ends.year > LAST_YEAR:
        fix = f"lies too far ahead; give a day up to {LAST_YEAR}-12-31, and renew the contract before it ends"
        yield Problem(path_of((*place, "ends")), shown(ends.isoformat()), fix)


def _termination(place: Place, contract: object) -> Iterator[Problem]:
    if not isinstance(contract, Mapping):
        return
    if contract.get("status") == "terminated" and contract.get("hold") is not None:
        yield Problem(
            path_of((*place, "status")),
            shown("terminated"),
            "a hold keeps what is left, and this says that nothing is; leave the status out for as long as "
            "the hold stands, or remove the hold and let the contract end",
        )


def _day(value: object) -> date | None:
    try:
        return contract_date(value)
    except ValueError:
        return None


def _long_names(place: Place, customer: Mapping[str, Any], names: RegionNames) -> Iterator[Problem]:
    own = customer.get("id")
    if not isinstance(own, str):
        return
    for kind, name, longest in (
        ("S3 bucket", names.vault_bucket(own), LONGEST_BUCKET_NAME),
        ("IAM role", names.access_role(own), LONGEST_ROLE_NAME),
    ):
        if len(name) > longest:
            yield Problem(
                path_of((*place, "id")),
                shown(own),
                f"the {kind} name would have {len(name)} characters and {longest} are allowed;"
                f" shorten the id or the stack's name by {len(name) - longest}",
            )


def _access_role(place: Place, customer: Mapping[str, Any], names: RegionNames) -> Iterator[Problem]:
    """Check the lengths of the documents that go with the access role."""
    own, principals, datasets = (customer.get(key) for key in ("id", "principals", "datasets"))
    if not isinstance(own, str) or not isinstance(principals, list | tuple) or not principals:
        return
    arns = [arn for arn in principals if isinstance(arn, str)]
    prefixes = [entry["prefix"] for _, entry in _mappings(datasets) if isinstance(entry.get("prefix"), str)]
    day = "2026-01-01"  # every day has the same length
    yield from _too_long(
        (*place, "principals"),
        principals,
        by_customer(names, own, arns, starts=day, ends=day),
        "trust policy of its access role",
        LONGEST_TRUST_POLICY,
        "name fewer, or an account (arn:aws:iam::<account>:root), which decides itself who of it may",
    )
    yield from _too_long(
        (*place, "datasets"),
        datasets,
        customer_access(names, own, prefixes, ends=day),
        "policy of its access role",
        LONGEST_ROLE_POLICIES,
        "shorten the prefixes, or let fewer datasets share longer ones",
    )


def _too_long(
    place: Place, value: object, policy: Sequence[Statement], what: str, longest: int, fix: str
) -> Iterator[Problem]:
    length = len(document(policy))
    if length > longest:
        yield Problem(
            path_of(place),
            shown(value),
            f"the {what} would have {length} characters and IAM takes {longest}; {fix}",
        )


def _programs(place: Place, programs: object) -> Iterator[Problem]:
    entries = list(_mappings(programs))
    yield from _duplicates(place, entries, "name", "every program of a customer needs a name of its own")
    for position, program in entries:
        scopes = program.get("scopes")
        if not isinstance(scopes, list | tuple):
            continue
        for scope, count in Counter(scope for scope in scopes if isinstance(scope, str)).items():
            if count > 1:
                yield Problem(
                    path_of((*place, position, "scopes")),
                    shown(scope),
                    f"stands there {count} times; once is enough",
                )


def _datasets(place: Place, datasets: object) -> Iterator[Problem]:
    entries = list(_mappings(datasets))
    yield from _duplicates(place, entries, "name", "every dataset of a customer needs a name of its own")
    for position, dataset in entries:
        yield from dataset_checks((*place, position), dataset)
    taken = [(prefix, "which the program itself uses") for prefix in RESERVED_PREFIXES]
    for position, dataset in entries:
        prefix = dataset.get("prefix")
        if not isinstance(prefix, str):
            continue
        here = path_of((*place, position, "prefix"))
        for other, whose in taken:
            if prefix.startswith(other) or other.startswith(prefix):
                yield Problem(
                    here, shown(prefix), f"overlaps {other} ({whose}); an object must belong to one dataset"
                )
        taken.append((prefix, f"of {here}"))
