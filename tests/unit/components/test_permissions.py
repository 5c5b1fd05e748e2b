"""Who may do what in all that a stack deploys, and the page that says so."""

import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from components import permissions
from components.functions.catalogue import FUNCTIONS
from components.iam import services
from components.iam.purposes import PURPOSES
from components.roles.boundary import COPYING

from .programs import ROOT, Deployment, Made

# Quotas: IAM User Guide "IAM and AWS STS quotas", S3 and KMS developer guides. Characters.
INLINE_POLICY, MANAGED_POLICY, TRUST_POLICY, BUCKET_POLICY, KEY_POLICY = 10_240, 6_144, 2_048, 20_480, 32_768


def statements(made: Made, key: str = "policy") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.document(key)["Statement"]
    return found


def allows(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (statement for statement in found if statement["Effect"] == "Allow")


def test_every_role_stands_within_the_boundary_but_the_gateways(deployment: Deployment) -> None:
    without = {
        made.inputs["name"]
        for made in deployment.of("aws:iam/role:Role")
        if "permissionsBoundary" not in made.inputs
    }
    assert without == {f"{deployment.prefix}-api-gateway-logs"}


def test_the_boundary_allows_what_the_roles_have_and_no_more(deployment: Deployment) -> None:
    (boundary,) = deployment.of("aws:iam/policy:Policy")
    limit, regions, copies = statements(boundary)
    held = {
        action
        for made in deployment.of("aws:iam/rolePolicy:RolePolicy")
        for statement in allows(statements(made))
        for action in statement["Action"]
    }
    through_key_policies = {"kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"}
    # Only one of the stacks has a customer with principals.
    assert set(limit["Action"]) == held | through_key_policies | set(services.CUSTOMER_ACTIONS)
    assert regions == {
        "Sid": "DenyOtherRegions",
        "Effect": "Deny",
        "Action": ["*"],
        "Resource": ["*"],
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": deployment.region}},
    }
    assert copies["Effect"] == "Deny"
    assert set(copies["Action"]) == set(COPYING)
    assert not set(copies["Action"]) & set(limit["Action"])


def test_nothing_allows_actions_by_wildcard(deployment: Deployment) -> None:
    """Of what is deployed. Session policies do: each is the intersection with a role that is looked at here
    (tests/unit/components/iam/test_session_policies.py)."""
    checked = 0
    for made in deployment.made:
        for key in ("policy", "assumeRolePolicy"):
            if key in made.inputs:
                for statement in allows(statements(made, key)):
                    assert not [action for action in statement["Action"] if "*" in action], made.urn
                    checked += 1
    assert checked > 100


def test_a_bare_star_is_a_resource_only_where_aws_has_no_other(deployment: Deployment) -> None:
    starred = {
        (made.type, statement["Sid"])
        for made in deployment.made
        if "policy" in made.inputs
        for statement in allows(statements(made))
        if "*" in statement.get("Resource", [])
    }
    in_key_policies = {(type_, sid) for type_, sid in starred if type_ == "aws:kms/key:Key"}
    assert starred - in_key_policies == {
        ("aws:iam/rolePolicy:RolePolicy", "DeliverLogs"),
        ("aws:iam/policy:Policy", "Limit"),
    }


def test_no_allowing_statement_is_for_everybody(deployment: Deployment) -> None:
    for made in deployment.made:
        for key in ("policy", "assumeRolePolicy"):
            if key in made.inputs:
                for statement in allows(statements(made, key)):
                    principal = statement.get("Principal", {})
                    assert principal != "*", made.urn
                    assert "*" not in principal.get("AWS", []), made.urn


def test_services_are_trusted_for_this_account_only_where_they_say_which(deployment: Deployment) -> None:
    services_seen = set()
    for role in deployment.of("aws:iam/role:Role"):
        for statement in statements(role, "assumeRolePolicy"):
            for service in statement["Principal"].get("Service", []):
                services_seen.add(service)
                source = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
                # Neither of the two says for whom it acts: a condition would lock it out.
                says_nothing = service in {"apigateway.amazonaws.com", "lambda.amazonaws.com"}
                assert source == (None if says_nothing else "123456789012")
    assert services_seen == {
        "apigateway.amazonaws.com",
        "lambda.amazonaws.com",
        "scheduler.amazonaws.com",
        "states.amazonaws.com",
    }


def test_a_purpose_role_is_assumed_by_exactly_its_functions(deployment: Deployment) -> None:
    roles = {made.inputs["name"]: made for made in deployment.of("aws:iam/role:Role")}
    for purpose in PURPOSES:
        (statement,) = statements(roles[f"{deployment.prefix}-purpose-{purpose}"], "assumeRolePolicy")
        serving = [spec.name for spec in FUNCTIONS.values() if spec.purpose == purpose]
        assert statement["Principal"] == {
            "AWS": [f"arn:mock:Role:{deployment.prefix}-{function}" for function in serving]
        }
        assert serving


@pytest.mark.parametrize(
    ("type_", "key", "longest"),
    [
        ("aws:iam/rolePolicy:RolePolicy", "policy", INLINE_POLICY),
        ("aws:iam/policy:Policy", "policy", MANAGED_POLICY),
        ("aws:iam/role:Role", "assumeRolePolicy", TRUST_POLICY),
        ("aws:s3/bucketPolicy:BucketPolicy", "policy", BUCKET_POLICY),
        ("aws:kms/key:Key", "policy", KEY_POLICY),
    ],
)
def test_documents_fit_awss_quotas(deployment: Deployment, type_: str, key: str, longest: int) -> None:
    assert all(len(made.inputs[key]) <= longest for made in deployment.of(type_))


def test_the_permissions_page_is_up_to_date() -> None:
    stored = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert stored == permissions.page(), "run: python -m components.permissions > docs/permissions.md"


# It is imported here, and run beside that as `python -m` runs it.
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_permissions_page_prints_itself(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("components.permissions", run_name="__main__")
    assert capsys.readouterr().out == permissions.page()


def test_the_permissions_page_has_every_role_and_every_action(deployment: Deployment) -> None:
    page = permissions.page().replace("<stack>", deployment.prefix.removeprefix("gdpr-"))
    for role in deployment.of("aws:iam/role:Role"):
        name = role.inputs["name"]
        shown = name if not name.endswith("-access") else f"{deployment.prefix}-vault-<customer>-access"
        assert f"`{shown}`" in page
    for policy in deployment.of("aws:iam/rolePolicy:RolePolicy"):
        for statement in statements(policy):
            assert all(f"`{action}`" in page for action in statement["Action"])
