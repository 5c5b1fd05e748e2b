import ast
import platform
from pathlib import Path

import pytest

from components.functions import packages
from components.functions.catalogue import FUNCTIONS, FunctionSpec
from components.functions.function import environment_of
from components.machines.catalogue import MACHINES
from components.naming import RegionNames
from lambdas.privacy import environment

from ..programs import ROOT, Deployment

NAMES = RegionNames(project="gdpr", stack="eu-west", account="123456789012", region="eu-west-1")
HANDLERS = ROOT / "lambdas" / "handlers"


def test_every_handler_is_deployed_and_every_function_has_a_handler() -> None:
    assert {path.stem for path in HANDLERS.glob("*/[a-z]*.py")} == set(FUNCTIONS)


@pytest.mark.parametrize("spec", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_gets_the_variables_that_its_handler_reads(spec: FunctionSpec) -> None:
    tree = ast.parse((HANDLERS / spec.wing / f"{spec.module}.py").read_text(encoding="utf-8"))
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "environment"
    }
    read = {getattr(environment, name) for name in named if name.isupper()}
    given = environment_of(NAMES, spec)
    assert read <= set(given)
    assert (environment.PURPOSE_ROLE_ARN in given) == (spec.purpose is not None)


def test_variables_name_what_is_deployed() -> None:
    assert environment_of(NAMES, FUNCTIONS["create_erasure_request"]) == {
        "REGISTRY_TABLE": "gdpr-eu-west-registry",
        "REQUEST_TABLE": "gdpr-eu-west-requests",
        "RUN_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:gdpr-eu-west-run",
        "PURPOSE_ROLE_ARN": "arn:aws:iam::123456789012:role/gdpr-eu-west-purpose-intake",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    }
    assert environment_of(NAMES, FUNCTIONS["describe_service"]) == {}


@pytest.mark.parametrize("spec", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_that_assumes_a_role_asks_the_sts_of_its_region(spec: FunctionSpec) -> None:
    asks = environment_of(NAMES, spec).get("AWS_STS_REGIONAL_ENDPOINTS")
    assert asks == ("regional" if spec.purpose else None)


def test_names_in_variables_are_the_deployed_ones(deployment: Deployment) -> None:
    tables = {made.inputs["name"] for made in deployment.of("aws:dynamodb/table:Table")}
    roles = {made.inputs["name"] for made in deployment.of("aws:iam/role:Role")}
    machine = deployment.named("aws:sfn/stateMachine:StateMachine", f"{deployment.prefix}-run")
    buckets = {made.inputs["bucket"] for made in deployment.of("aws:s3/bucket:Bucket")}
    for function in deployment.of("aws:lambda/function:Function"):
        variables = function.inputs.get("environment", {}).get("variables", {})
        assert {variables[key] for key in ("REGISTRY_TABLE", "REQUEST_TABLE") if key in variables} <= tables
        assert {variables[key] for key in ("EVIDENCE_BUCKET",) if key in variables} <= buckets
        if "PURPOSE_ROLE_ARN" in variables:
            assert variables["PURPOSE_ROLE_ARN"].rpartition("/")[2] in roles
        if "RUN_STATE_MACHINE_ARN" in variables:
            assert variables["RUN_STATE_MACHINE_ARN"].endswith(f":stateMachine:{machine.inputs['name']}")


def test_every_function_has_its_own_role_log_group_and_dead_letters(deployment: Deployment) -> None:
    functions = deployment.of("aws:lambda/function:Function")
    assert len(functions) == len(FUNCTIONS)
    assert len({made.inputs["role"] for made in functions}) == len(functions)
    groups = {made.inputs["name"] for made in deployment.of("aws:cloudwatch/logGroup:LogGroup")}
    for made in functions:
        name = made.inputs["name"]
        assert made.inputs["role"] == f"arn:mock:Role:{name}"
        logs = made.inputs["loggingConfig"]
        assert (logs["logFormat"], logs["logGroup"]) == ("JSON", f"/aws/lambda/{name}")
        assert logs["logGroup"] in groups
        assert made.inputs["deadLetterConfig"] == {
            "targetArn": f"arn:mock:Queue:{deployment.prefix}-dead-letters"
        }


def test_functions_run_on_arm_with_the_pinned_runtime_and_within_limits(deployment: Deployment) -> None:
    for made in deployment.of("aws:lambda/function:Function"):
        assert (made.inputs["runtime"], made.inputs["architectures"]) == ("python3.13", ["arm64"])
        assert 128 <= made.inputs["memorySize"] <= 10_240
        assert 1 <= made.inputs["timeout"] <= 900
        # Tracing would record URLs of the API.
        assert "tracingConfig" not in made.inputs


def test_functions_behind_the_api_end_before_the_gateway_gives_up() -> None:
    for spec in FUNCTIONS.values():
        if spec.package == "api":
            assert spec.timeout < 29


def test_the_machines_may_call_their_steps() -> None:
    for machine in MACHINES.values():
        (steps,) = [each for each in machine.rights(NAMES) if each.sid == "Steps"]
        deployed = {NAMES.function_arn(spec.name) for spec in FUNCTIONS.values()}
        assert set(steps.resources) <= deployed
        assert set(machine.steps.values()) <= set(FUNCTIONS)


def test_log_groups_are_encrypted_and_forget(deployment: Deployment) -> None:
    groups = deployment.of("aws:cloudwatch/logGroup:LogGroup")
    assert len(groups) == len(FUNCTIONS) + 6
    for made in groups:
        assert made.inputs["kmsKeyId"] == f"arn:mock:Key:{deployment.prefix}-key-key"
        assert made.inputs["retentionInDays"] == 90


def test_a_function_is_made_once_its_role_has_its_rights(deployment: Deployment) -> None:
    policies = {made.urn for made in deployment.of("aws:iam/rolePolicy:RolePolicy")}
    for made in deployment.of("aws:lambda/function:Function"):
        assert policies & set(made.dependencies), made.urn


def test_events_are_taken_off_the_queue_one_failure_at_a_time(deployment: Deployment) -> None:
    (mapping,) = deployment.of("aws:lambda/eventSourceMapping:EventSourceMapping")
    assert mapping.inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping.inputs["eventSourceArn"] == f"arn:mock:Queue:{deployment.prefix}-object-events"
    assert mapping.inputs["functionName"] == f"arn:mock:Function:{deployment.prefix}-index-objects"
    assert mapping.inputs["scalingConfig"]["maximumConcurrency"] >= 2


def test_queues_are_encrypted_keep_messages_and_put_aside_what_keeps_failing(deployment: Deployment) -> None:
    queues = {
        made.inputs["name"].removeprefix(f"{deployment.prefix}-"): made
        for made in deployment.of("aws:sqs/queue:Queue")
    }
    assert set(queues) == {"dead-letters", "object-events", "object-events-dead"}
    for made in queues.values():
        assert made.inputs["kmsMasterKeyId"] == f"arn:mock:Key:{deployment.prefix}-key-key"
        assert made.inputs["messageRetentionSeconds"] == 1_209_600
    events = queues["object-events"]
    assert events.document("redrivePolicy") == {
        "deadLetterTargetArn": f"arn:mock:Queue:{deployment.prefix}-object-events-dead",
        "maxReceiveCount": 10,
    }
    # Lambda refuses a mapping whose messages come back while the function still works on them.
    assert events.inputs["visibilityTimeoutSeconds"] >= FUNCTIONS["index_objects"].timeout


def test_every_queue_refuses_what_comes_without_tls(deployment: Deployment) -> None:
    policies = deployment.of("aws:sqs/queuePolicy:QueuePolicy")
    assert len(policies) == 3
    for made in policies:
        denial = made.document()["Statement"][-1]
        assert (denial["Effect"], denial["Principal"]) == ("Deny", "*")
        assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_missing_build_stops_with_the_command_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    with pytest.raises(packages.MissingBuildError, match=r"build/production/api .* `make build`"):
        packages.package("api")
    (tmp_path / "build" / "production" / "api").mkdir(parents=True)
    with pytest.raises(packages.MissingBuildError):
        packages.package("api")


def test_the_environment_chooses_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    folder = tmp_path / "build" / "local" / "runs"
    folder.mkdir(parents=True)
    (folder / "x.py").write_text("")
    monkeypatch.setenv("GDPR_BUILD", "local")
    assert packages.package("runs").path == str(folder)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert packages.architecture() == "x86_64"
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert packages.architecture() == "arm64"
    monkeypatch.setenv("GDPR_BUILD", "production")
    assert packages.architecture() == "arm64"


def test_an_unknown_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDPR_BUILD", "staging")
    with pytest.raises(packages.UnknownBuildError, match="'staging': set it to production or local"):
        packages.target()
