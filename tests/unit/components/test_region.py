"""What holds for everything that a stack deploys."""

import importlib
import inspect
import json
import pkgutil
import re

import pulumi
import pytest

import components
from components.machines.catalogue import MACHINES
from components.schedules.catalogue import RECURRING_CALLS

from .programs import ACCOUNT, NOW, STACKS, Deployment, customers_alone, declared, stack_config, taggable

COMPONENT_TYPES = {
    "gdpr:account:AccountSettings",
    "gdpr:alarms:Alarms",
    "gdpr:api:PrivacyApi",
    "gdpr:contract_clock:ContractClock",
    "gdpr:contract_clock:ContractWatch",
    "gdpr:contract_events:ContractEvents",
    "gdpr:evidence:EvidenceBucket",
    "gdpr:firewall:Firewall",
    "gdpr:functions:PrivacyFunction",
    "gdpr:identity:Identity",
    "gdpr:keys:RegionKey",
    "gdpr:queues:DeadLetters",
    "gdpr:queues:ObjectEvents",
    "gdpr:region:Region",
    "gdpr:contract_ends:ContractEndMachine",
    "gdpr:reindexes:ReindexMachine",
    "gdpr:replays:ReplayMachine",
    "gdpr:exports:ExportMachine",
    "gdpr:roles:Boundary",
    "gdpr:roles:PurposeRoles",
    "gdpr:runs:RunMachine",
    "gdpr:runs:RunSweep",
    "gdpr:stores:Registry",
    "gdpr:stores:RequestStore",
    "gdpr:vault:CustomerVault",
}

KEYS_AND_STORES = {
    "aws:kms/key:Key",
    "aws:s3/bucket:Bucket",
    "aws:dynamodb/table:Table",
    "aws:cognito/userPool:UserPool",
}

AWS_REGION = re.compile(
    r"\b(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:central|east|north|northeast|northwest|south|southeast|southwest|west)-\d\b"
)


def component_classes() -> list[type[pulumi.ComponentResource]]:
    found = []
    for module in pkgutil.walk_packages(components.__path__, "components."):
        loaded = importlib.import_module(module.name)
        found += [
            value
            for value in vars(loaded).values()
            if isinstance(value, type)
            and issubclass(value, pulumi.ComponentResource)
            and value.__module__ == loaded.__name__
        ]
    return found


def test_component_types_are_pinned(deployment: Deployment) -> None:
    # A changed token makes Pulumi replace everything below: vaults with the data in them.
    assert {made.type for made in deployment.made if not made.custom} == COMPONENT_TYPES


def test_each_component_says_when_it_is_done_exactly_once(deployment: Deployment) -> None:
    urns = [made.urn for made in deployment.made if not made.custom]
    assert {urn: deployment.finished[urn] for urn in urns} == dict.fromkeys(urns, 1)


def test_every_resource_hangs_below_the_one_region_and_carries_its_parents_name(
    deployment: Deployment,
) -> None:
    by_urn = {made.urn: made for made in deployment.made}
    (region,) = [made for made in deployment.made if made.parent not in by_urn]
    assert (region.type, region.name) == ("gdpr:region:Region", deployment.prefix)
    for made in deployment.made:
        if made is not region:
            assert made.name.startswith(f"{by_urn[made.parent].name}-"), made.urn


def test_logical_names_are_unique(deployment: Deployment) -> None:
    urns = [made.urn for made in deployment.made]
    assert len(urns) == len(set(urns))


def test_customers_and_programs_whose_ids_run_into_each_other_stay_apart() -> None:
    config = stack_config("eu-west")
    first = {**config["gdpr:customers"][0], "programs": [{"name": "eu-dpo", "scopes": ["read"]}]}
    second = {**first, "id": "acme-eu", "programs": [{"name": "dpo", "scopes": ["read"]}], "principals": []}
    third = {**second, "id": "acme-client-x"}
    fourth = {**second, "id": "acme-client", "programs": [{"name": "x-bucket", "scopes": ["read"]}]}
    made = customers_alone({**config, "gdpr:customers": [first, second, third, fourth]}).made
    assert len({each.urn for each in made}) == len(made)
    clients = [
        each.inputs["name"] for each in made if each.type == "aws:cognito/userPoolClient:UserPoolClient"
    ]
    assert len(set(clients)) == len(clients) == 4


def test_everything_that_can_be_tagged_is(deployment: Deployment) -> None:
    customers = {
        customer["id"] for customer in stack_config(deployment.prefix.removeprefix("gdpr-"))["gdpr:customers"]
    }
    tagged = 0
    for made in deployment.made:
        if not made.custom or not taggable(made.type):
            continue
        tags = made.inputs.get("tags")
        assert tags is not None, made.urn
        assert set(tags) == {"stack", "customer", "data-class"}, made.urn
        assert tags["stack"] == deployment.prefix
        assert tags["customer"] in {*customers, "shared"}
        assert tags["data-class"] in {"personal", "pseudonymous", "operational"}
        tagged += 1
    assert tagged > 40


def test_what_a_vault_holds_is_tagged_as_its_customers_personal_data(deployment: Deployment) -> None:
    vaults = deployment.of("gdpr:vault:CustomerVault")
    assert len(vaults) == 2
    for vault in vaults:
        inside = [made for made in deployment.made if made.parent == vault.urn and "tags" in made.inputs]
        customer = vault.name.rpartition("-")[2]
        assert len(inside) >= 3
        assert {(made.inputs["tags"]["customer"], made.inputs["tags"]["data-class"]) for made in inside} == {
            (customer, "personal")
        }


def test_keys_and_data_stores_are_protected_and_nothing_else(deployment: Deployment) -> None:
    assert {made.type for made in deployment.made if made.protect} == KEYS_AND_STORES
    for type_ in KEYS_AND_STORES:
        assert all(made.protect for made in deployment.of(type_)), type_


def test_no_property_names_another_region_or_stack(deployment: Deployment) -> None:
    (other,) = [f"gdpr-{stack}" for stack in STACKS if f"gdpr-{stack}" != deployment.prefix]
    everything = json.dumps([[made.name, made.inputs] for made in deployment.made], default=str)
    assert set(AWS_REGION.findall(everything)) == {deployment.region}
    assert other not in everything
    assert deployment.prefix in everything


def test_no_property_names_another_customers_vault(deployment: Deployment) -> None:
    vaults = deployment.of("gdpr:vault:CustomerVault")
    names = {vault.urn: vault.name.removeprefix(f"{deployment.prefix}-") for vault in vaults}
    for vault, name in names.items():
        inside = json.dumps([made.inputs for made in deployment.made if made.parent == vault], default=str)
        assert name in inside
        for other in set(names.values()) - {name}:
            assert other not in inside


@pytest.mark.parametrize(
    ("type_", "key"),
    [
        ("aws:kms/alias:Alias", "name"),
        ("aws:s3/bucket:Bucket", "bucket"),
        ("aws:dynamodb/table:Table", "name"),
        ("aws:lambda/function:Function", "name"),
        ("aws:iam/role:Role", "name"),
        ("aws:iam/policy:Policy", "name"),
        ("aws:sqs/queue:Queue", "name"),
        ("aws:sns/topic:Topic", "name"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "name"),
        ("aws:sfn/stateMachine:StateMachine", "name"),
        ("aws:scheduler/schedule:Schedule", "name"),
        ("aws:scheduler/scheduleGroup:ScheduleGroup", "name"),
        ("aws:cloudwatch/eventBus:EventBus", "name"),
        ("aws:cloudwatch/eventRule:EventRule", "name"),
        ("aws:cognito/userPool:UserPool", "name"),
        ("aws:cognito/userPoolClient:UserPoolClient", "name"),
        ("aws:cognito/userPoolDomain:UserPoolDomain", "domain"),
        ("aws:apigateway/restApi:RestApi", "name"),
        ("aws:wafv2/webAcl:WebAcl", "name"),
    ],
)
def test_physical_names_begin_with_the_stacks_own(deployment: Deployment, type_: str, key: str) -> None:
    for made in deployment.of(type_):
        assert made.inputs[key].removeprefix("alias/").startswith(deployment.prefix), made.urn


def test_names_unique_among_all_accounts_carry_account_and_region(deployment: Deployment) -> None:
    ends = f"-{ACCOUNT}-{deployment.region}"
    assert all(made.inputs["bucket"].endswith(ends) for made in deployment.of("aws:s3/bucket:Bucket"))
    (domain,) = deployment.of("aws:cognito/userPoolDomain:UserPoolDomain")
    assert domain.inputs["domain"].endswith(ends)


def test_names_hold_nobodys_name(deployment: Deployment) -> None:
    for customer in stack_config(deployment.prefix.removeprefix("gdpr-"))["gdpr:customers"]:
        everything = json.dumps([[made.name, made.inputs] for made in deployment.made], default=str)
        assert customer["contact"] not in everything


@pytest.mark.xdist_group("eu-west")
def test_two_stacks_differ_only_in_what_their_files_say() -> None:
    shapes = []
    for stack in STACKS:
        config = {**stack_config("eu-west"), "aws:region": stack_config(stack)["aws:region"]}
        made = declared(stack, config, now=NOW)
        resources = [[m.type, m.name, m.inputs, m.protect] for m in sorted(made.made, key=lambda m: m.name)]
        text = json.dumps(resources, sort_keys=True, default=lambda archive: type(archive).__name__)
        shapes.append(
            text.replace(f"gdpr-{stack}", "PREFIX")
            .replace(config["aws:region"], "REGION")
            .replace(stack, "STACK")
        )
    assert shapes[0] == shapes[1]


def test_outputs_are_what_a_client_needs_and_secrets_are_secret(deployment: Deployment) -> None:
    assert set(deployment.outputs) == {"apiUrl", "tokenUrl", "clients", "evidence", "vaults"}
    assert deployment.secret_outputs == {"clients"}
    assert deployment.outputs["apiUrl"] == "https://api.example/live"
    assert deployment.outputs["tokenUrl"] == (
        f"https://{deployment.prefix}-{ACCOUNT}-{deployment.region}.auth.{deployment.region}.amazoncognito.com/oauth2/token"
    )
    for customer in stack_config(deployment.prefix.removeprefix("gdpr-"))["gdpr:customers"]:
        clients = deployment.outputs["clients"][customer["id"]]
        assert set(clients) == {program["name"] for program in customer["programs"]}
        assert all(set(client) == {"clientId", "clientSecret"} for client in clients.values())
        vault = deployment.outputs["vaults"][customer["id"]]
        assert vault["bucket"] == f"{deployment.prefix}-vault-{customer['id']}-{ACCOUNT}-{deployment.region}"
        assert vault["table"] == f"{deployment.prefix}-vault-{customer['id']}"


def test_components_take_one_frozen_arguments_object_by_keyword() -> None:
    classes = component_classes()
    # Machines and recurring calls have their types in a table. The middle of a type is where the component
    # once was: it stays when the module moves.
    in_tables = [spec.pulumi_type for spec in (*MACHINES.values(), *RECURRING_CALLS.values())]
    assert len(set(in_tables)) == len(in_tables) == 7
    assert sorted(cls.__name__ for cls in classes) == sorted(
        ["Machine", "RecurringCall", *(t.rpartition(":")[2] for t in COMPONENT_TYPES - set(in_tables))]
    )
    assert set(in_tables) <= COMPONENT_TYPES
    for cls in classes:
        name, args, opts = list(inspect.signature(cls).parameters.values())
        assert (name.name, args.name, opts.name, opts.default) == ("name", "args", "opts", None), cls
        taken = getattr(importlib.import_module(cls.__module__), f"{cls.__name__}Args")
        assert args.annotation is taken, cls
        assert taken.__dataclass_params__.frozen, taken
        kinds = {parameter.kind for parameter in inspect.signature(taken).parameters.values()}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}, taken


def test_components_know_nothing_of_the_functions_code_but_the_names_of_variables() -> None:
    for module in pkgutil.walk_packages(components.__path__, "components."):
        source = inspect.getsource(importlib.import_module(module.name))
        imported = set(
            re.findall(r"^(?:from|import) (?:lambdas|privacy|handlers)[\w.]*(?: import \w+)?", source, re.M)
        )
        assert imported <= {"from lambdas.privacy import environment"}, module.name


def empty_places(value: object, path: str) -> list[str]:
    if isinstance(value, dict):
        return [place for key, inner in value.items() for place in empty_places(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [place for each in value for place in empty_places(each, f"{path}[]")] if value else [path]
    return [] if value else [path]


def test_a_region_without_customers_is_whole_and_asks_aws_for_nothing_empty(deployment: Deployment) -> None:
    """Before the first customer, and after the last: an empty list in a policy is refused by IAM."""
    stack = deployment.prefix.removeprefix("gdpr-")
    config = stack_config(stack)
    customers = [customer["id"] for customer in config["gdpr:customers"]]
    hollow = declared(stack, {**config, "gdpr:customers": []}, now=NOW)
    assert (hollow.outputs["clients"], hollow.outputs["vaults"]) == ({}, {})
    policies = {
        f"{made.name} {key}": json.loads(value)
        for made in hollow.made
        for key, value in made.inputs.items()
        if isinstance(value, str) and value.startswith('{"Version"')
    }
    assert len(policies) > 100
    assert [place for name, policy in policies.items() for place in empty_places(policy, name)] == []
    gone = {made.urn for made in deployment.made} - {made.urn for made in hollow.made}
    assert gone
    assert [urn for urn in gone if not any(customer in urn for customer in customers)] == []
