"""How long session policies get: with the longest that the settings take, and with anything that they do."""

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_aws import Region

from components.iam.purposes import PURPOSES
from components.naming import RegionNames
from components.settings.settings import parse_settings
from components.settings.values import CUSTOMER_ID, PREFIX, RESTORED_TABLE
from privacy import environment
from privacy.customers import customer as customers
from privacy.vault.session_policies import MAX_CHARACTERS, VaultResources, session_policy
from privacy.vault.sessions import vault_resources

from .test_quotas import REGION, accepted, config, last, longest_names


def names_of(region: str, stack: str) -> RegionNames:
    return RegionNames(project="gdpr", stack=stack, account="1" * 12, region=region)


def resources_of(names: RegionNames, customer: str, restored: str | None, uploads: str) -> VaultResources:
    return VaultResources(
        customer=customer,
        bucket_arn=f"arn:aws:s3:::{names.vault_bucket(customer)}",
        table_arn=names.arn("dynamodb", f"table/{names.vault_table(customer, restored)}"),
        # A key's id has 36 characters; those of keys in several regions have, too ("mrk-" and 32).
        key_arn=names.arn("kms", "key/" + "0" * 36),
        uploads=uploads,
        evidence_arn=names.evidence_arn,
    )


def with_customer(customer: str, **more: object) -> dict[str, Any]:
    content = config(customer)
    content["gdpr:customers"][0].update(more)
    return content


def longest_restored(customer: str) -> str:
    def fits(length: int) -> bool:
        return accepted(with_customer(customer, restoredTable="r" * length), "s")

    return "r" * last(fits)


def longest_prefix(customer: str) -> str:
    def fits(length: int) -> bool:
        dataset = {"name": "d", "format": "object", "prefix": "p" * length + "/", "personal": {}}
        return accepted(with_customer(customer, datasets=[dataset]), "s")

    return "p" * last(fits) + "/"


@pytest.mark.parametrize("customer", ["c" * length for length in (2, 3, 8, 13, 20, 21)])
def test_a_session_policy_is_short_with_the_longest_that_the_settings_take(customer: str) -> None:
    regions = {region.value for region in Region if not region.value.startswith(("cn-", "us-gov-", "us-iso"))}
    assert len(REGION) == max(len(region) for region in regions)
    vault = resources_of(
        longest_names(customer), customer, longest_restored(customer), longest_prefix(customer)
    )
    lengths = {purpose: len(session_policy(purpose, vault)) for purpose in PURPOSES}
    assert max(lengths.values()) <= MAX_CHARACTERS == 700
    assert max(lengths.values()) > 650  # the bound is near what it bounds


@given(
    region=st.sampled_from(["eu-west-1", "ap-southeast-3", "us-east-1", "eu-central-1", "il-central-1"]),
    customer=st.from_regex(CUSTOMER_ID[0], fullmatch=True),
    shortened=st.integers(0, 20),
    restored=st.none() | st.from_regex(RESTORED_TABLE[0], fullmatch=True),
    prefixes=st.lists(
        st.from_regex(r"[A-Za-z0-9_=-]([A-Za-z0-9_.=-]|[A-Za-z0-9]/[a-z]){0,66}/", fullmatch=True),
        min_size=1,
        max_size=60,
    ),
)
def test_a_session_policy_is_short_for_any_customer_and_any_number_of_datasets(
    region: str, customer: str, shortened: int, restored: str | None, prefixes: list[str]
) -> None:
    # The longest stack name that leaves its buckets 63 characters, or a shorter one.
    room = min(
        63 - len(names_of(region, "").vault_bucket(customer)), 63 - len(names_of(region, "").evidence_bucket)
    )
    stack = "s" * max(1, room - shortened)
    content = with_customer(customer, restoredTable=restored)
    content["aws:region"] = region
    assert all(re.fullmatch(PREFIX[0], prefix) for prefix in prefixes)
    (parsed,) = parse_settings(content, project="gdpr", stack=stack).customers
    names = names_of(region, stack)
    known = customers.Customer(
        id=parsed.id,
        bucket=names.vault_bucket(parsed.id),
        table=names.vault_table(parsed.id, parsed.restored_table),
        key_arn=names.arn("kms", "key/" + "0" * 36),
        contract_starts=date(2026, 1, 1),
        contract_ends=date(2027, 12, 31),
        grace_days=30,
        subject_id="email",
        datasets=tuple(
            customers.Dataset(f"d{number}", "object", prefix, (), {})
            for number, prefix in enumerate(prefixes)
        ),
    )
    for purpose in PURPOSES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(environment.EVIDENCE_BUCKET, names.evidence_bucket)
            for prefix in prefixes if purpose == "ingest" else [None]:
                assert len(session_policy(purpose, vault_resources(known, prefix))) <= MAX_CHARACTERS


def test_a_policy_that_is_too_long_is_refused_before_aws_is_asked() -> None:
    vault = resources_of(names_of(REGION, "eu-west"), "acme", None, "p" * 600)
    with pytest.raises(ValueError, match=r"session policy of ingest has .* characters and may have 700"):
        session_policy("ingest", vault)
