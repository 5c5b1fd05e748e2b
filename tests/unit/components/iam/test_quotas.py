"""IAM documents fit AWS's quotas at the longest names and lists that the settings take."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from components.api.contract import routes
from components.functions import rights as function_rights
from components.functions.catalogue import FUNCTIONS
from components.iam import keys, purposes, resources, services, trust
from components.iam.documents import Statement, document
from components.machines.catalogue import MACHINES
from components.naming import RegionNames
from components.roles import boundary
from components.schedules.catalogue import RECURRING_CALLS
from components.settings.problems import SettingsError
from components.settings.settings import Customer, parse_settings

from ..programs import stack_config

# Characters: IAM User Guide, "IAM and AWS STS quotas"; S3 and KMS developer guides.
INLINE_POLICIES, MANAGED_POLICY, TRUST_POLICY = 10_240, 6_144, 2_048
BUCKET_POLICY, KEY_POLICY = 20_480, 32_768
# SQS Developer Guide, "Amazon SQS policy quotas"; SNS Developer Guide, "Policy quotas".
QUEUE_POLICY, QUEUE_STATEMENTS, QUEUE_CONDITIONS, QUEUE_ACTIONS = 8_192, 20, 10, 7
TOPIC_POLICY = 30_000
FUNCTION_POLICY = 20_480
"""Lambda Developer Guide, "Lambda quotas", resource-based policy; Lambda makes it of the permissions."""

REGION = "ap-northeast-1"
ACCOUNT = "arn:aws:iam::111122223333"
PRINCIPALS = [f"{ACCOUNT}:root", f"{ACCOUNT}:role/{'r' * 64}", f"{ACCOUNT}:user/{'u' * 512}"]


def config(customer: str) -> dict[str, Any]:
    content = stack_config("eu-west")
    content["aws:region"] = REGION
    acme = content["gdpr:customers"][0]
    content["gdpr:customers"] = [{**acme, "id": customer, "principals": PRINCIPALS[:1]}]
    return content


def accepted(content: dict[str, Any], stack: str) -> bool:
    try:
        parse_settings(content, project="gdpr", stack=stack)
    except SettingsError:
        return False
    return True


def last(count_fits: Callable[[int], bool]) -> int:
    """Return the largest count that fits; there has to be one, and an end to it."""
    assert count_fits(1)
    return next(count for count in range(1, 2000) if not count_fits(count + 1))


def longest_names(customer: str) -> RegionNames:
    """Names under the longest stack name that the settings take together with a customer's id."""
    length = last(lambda count: accepted(config(customer), "s" * count))
    return RegionNames(project="gdpr", stack="s" * length, account="1" * 12, region=REGION)


def most_principals(names: RegionNames, customer: str, principal: str) -> Customer:
    content = config(customer)

    def fits(count: int) -> bool:
        content["gdpr:customers"][0]["principals"] = [principal] * count
        return accepted(content, names.stack)

    content["gdpr:customers"][0]["principals"] = [principal] * last(fits)
    return parse_settings(content, project="gdpr", stack=names.stack).customers[0]


def most_prefixes(names: RegionNames, customer: str, length: int) -> Customer:
    content = config(customer)

    def datasets(count: int) -> list[dict[str, Any]]:
        return [
            {"name": f"d{n}", "format": "object", "prefix": f"{n:0{length - 1}}/", "personal": {}}
            for n in range(count)
        ]

    def fits(count: int) -> bool:
        content["gdpr:customers"][0]["datasets"] = datasets(count)
        return accepted(content, names.stack)

    content["gdpr:customers"][0]["datasets"] = datasets(last(fits))
    return parse_settings(content, project="gdpr", stack=names.stack).customers[0]


def documents(names: RegionNames, customer: str) -> Iterator[tuple[str, Sequence[Statement], int]]:
    """Yield every kind of document whose length follows from names, with its quota."""
    region_key = vault_key = names.arn("kms", "key/" + "0" * 36)
    user_pool = names.arn("cognito-idp", f"userpool/{names.region}_012345678")
    for spec in FUNCTIONS.values():
        own = function_rights.function_statements(names, spec, region_key, user_pool)
        yield spec.name, own, INLINE_POLICIES
    for purpose in purposes.PURPOSES:
        serving = [names.role(spec.name) for spec in FUNCTIONS.values() if spec.purpose == purpose]
        yield f"trust of {purpose}", trust.by_functions(serving), TRUST_POLICY
        yield purpose, purposes.purpose_statements(names, purpose), INLINE_POLICIES
    for machine in MACHINES.values():
        sources = names.machine_sources(machine.name)
        trusted = trust.by_service(names, "states.amazonaws.com", source_arns=sources)
        yield f"trust of {machine.name}", trusted, TRUST_POLICY
        yield machine.name, machine.rights(names), INLINE_POLICIES
    for call in RECURRING_CALLS.values():
        yield call.name, call.rights(names, region_key), INLINE_POLICIES
    yield "clock", services.contract_schedules(names, region_key), INLINE_POLICIES
    yield "boundary", boundary.boundary(names), MANAGED_POLICY
    roles: dict[str, str] = {purpose: names.role(f"purpose-{purpose}") for purpose in purposes.PURPOSES}
    access = names.role(f"vault-{customer}-access")
    yield "key of a vault", keys.vault_key(names, customer, roles, access), KEY_POLICY
    writers = [names.role(spec.name) for spec in FUNCTIONS.values() if spec.evidence]
    yield "key of the evidence", keys.evidence_key(names, writers, roles["replay"]), KEY_POLICY
    yield "evidence bucket", resources.evidence_bucket(names, vault_key, 30 * 365), BUCKET_POLICY
    yield "key of the region", keys.region_key(names), KEY_POLICY
    for which, queue in queues(names):
        yield which, queue, QUEUE_POLICY
    yield "topic of alarms", resources.alarms_topic(names), TOPIC_POLICY
    yield "topic of contracts", resources.contracts_topic(names), TOPIC_POLICY
    yield (
        "bucket",
        resources.vault_bucket(
            names, customer, vault_key, access_ends="2026-01-01", destruction="2026-01-31"
        ),
        BUCKET_POLICY,
    )


def queues(names: RegionNames) -> Iterator[tuple[str, Sequence[Statement]]]:
    yield "queue of dead letters", resources.dead_letters_queue(names)
    yield "queue of events", resources.events_queue(names, "object-events")


@pytest.mark.parametrize("customer", ["cc", "c" * 10, "c" * 21])
def test_documents_fit_with_the_longest_names(customer: str) -> None:
    names = longest_names(customer)
    too_long = {
        name: len(document(statements))
        for name, statements, quota in documents(names, customer)
        if len(document(statements)) > quota
    }
    assert too_long == {}


def test_policies_of_queues_are_as_small_as_sqs_wants() -> None:
    for which, statements in queues(longest_names("cc")):
        conditions = [key for each in statements for test in each.conditions.values() for key in test]
        assert len(statements) <= QUEUE_STATEMENTS, which
        assert len(conditions) <= QUEUE_CONDITIONS, which
        assert all(len(each.actions) <= QUEUE_ACTIONS for each in statements), which


def test_the_permissions_of_all_routes_fit_even_on_one_function() -> None:
    names = longest_names("cc")
    function = names.function_arn("create-correction-request")
    statements = [
        {
            "Sid": "terraform-" + "0" * 26,
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": function,
            "Condition": {
                "ArnLike": {
                    "AWS:SourceArn": names.arn(
                        "execute-api", f"0123456789/live/{operation.method}{operation.permission_path}"
                    )
                }
            },
        }
        for operation in routes().operations
    ]
    assert len(json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements})) < (
        FUNCTION_POLICY
    )


@pytest.mark.parametrize("principal", PRINCIPALS, ids=["account", "role", "user"])
def test_the_most_principals_that_the_settings_take_fit_and_leave_no_room(principal: str) -> None:
    names = longest_names("cc")
    customer = most_principals(names, "cc", principal)
    starts, ends = customer.contract.starts.isoformat(), customer.contract.access_ends.isoformat()
    length = len(document(trust.by_customer(names, "cc", customer.principals, starts=starts, ends=ends)))
    assert TRUST_POLICY - len(f',"{principal}"') < length <= TRUST_POLICY


@pytest.mark.parametrize("length", [5, 60, 200])
def test_the_most_prefixes_that_the_settings_take_fit(length: int) -> None:
    names = longest_names("cc")
    customer = most_prefixes(names, "cc", length)
    ends = customer.contract.access_ends.isoformat()
    policy = document(services.customer_access(names, "cc", customer.prefixes, ends=ends))
    assert 0.8 * INLINE_POLICIES < len(policy) <= INLINE_POLICIES
