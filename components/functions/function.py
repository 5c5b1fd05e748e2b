"""A function with everything that belongs to it: role, log group, dead letters."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_

from lambdas.privacy import environment

from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..naming import RegionNames
from ..standard.log_group import encrypted_log_group
from ..standard.role import bounded_role
from .catalogue import FUNCTIONS, FunctionSpec
from .packages import architecture, package
from .rights import function_statements

RUNTIME = "python3.13"

STS_ENDPOINTS = {"AWS_STS_REGIONAL_ENDPOINTS": "regional"}
"""What older releases of boto3 need in order to call STS in this region; the runtime's release is not ours to
choose. By themselves they call the global endpoint, in us-east-1: the call would leave the region with a
customer's id in it, and the permissions boundary refuses it."""


@dataclass(frozen=True, kw_only=True)
class PrivacyFunctionArgs:
    """Which function, and the user pool in which some functions read or delete OAuth2 clients.

    `reserved` executions at once are the function's own: nobody else gets them, and it gets no more.
    """

    ground: Ground
    spec: FunctionSpec
    user_pool_arn: pulumi.Input[str]
    reserved: int | None = None


class PrivacyFunction(pulumi.ComponentResource):
    """A Lambda function under its own role, with its own encrypted log group.

    Concurrency is reserved only where the stack's config says so: a new account has a quota of 10, of which
    AWS lets nobody reserve any. The API's throttle and the concurrency limits of queue and machines bound the
    functions in any case.
    """

    spec: FunctionSpec
    arn: pulumi.Output[str]
    function_name: pulumi.Output[str]
    invoke_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    log_group: pulumi.Output[str]

    def __init__(
        self, name: str, args: PrivacyFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:functions:PrivacyFunction", name, None, opts)
        ground, names, spec = args.ground, args.ground.names, args.spec
        logs = encrypted_log_group(
            f"{name}-logs",
            parent=self,
            ground=ground,
            group=names.function_logs(spec.name),
        )
        role, rights = bounded_role(
            f"{name}-role",
            parent=self,
            ground=ground,
            role=names.name(spec.name),
            trusted=document(trust.by_lambda()),
            policy=pulumi.Output.all(ground.region_key_arn, args.user_pool_arn).apply(
                lambda arns: document(function_statements(names, spec, *arns))
            ),
            data_class="operational",
        )
        variables = environment_of(names, spec)
        function = lambda_.Function(
            f"{name}-function",
            name=names.name(spec.name),
            description=spec.why,
            role=role.arn,
            runtime=RUNTIME,
            architectures=[architecture()],
            handler=spec.handler,
            code=package(spec.package),
            memory_size=spec.memory,
            timeout=spec.timeout,
            reserved_concurrent_executions=args.reserved,
            ephemeral_storage=lambda_.FunctionEphemeralStorageArgs(size=spec.disk) if spec.disk else None,
            environment=lambda_.FunctionEnvironmentArgs(variables=variables) if variables else None,
            dead_letter_config=lambda_.FunctionDeadLetterConfigArgs(target_arn=ground.dead_letters_arn),
            logging_config=lambda_.FunctionLoggingConfigArgs(
                log_format="JSON",
                log_group=logs.name,
                application_log_level="INFO",
                system_log_level="WARN",
            ),
            tags=names.tags("operational"),
            # Lambda checks when a function is made that its role may send to the dead-letter queue.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.spec = spec
        self.arn = function.arn
        self.function_name = function.name
        self.invoke_arn = function.invoke_arn
        self.role_arn = role.arn
        self.log_group = logs.name
        self.register_outputs({"arn": self.arn, "functionName": self.function_name, "roleArn": self.role_arn})


def privacy_functions(
    name: str,
    ground: Ground,
    user_pool_arn: pulumi.Input[str],
    api_concurrency: int | None,
    opts: pulumi.ResourceOptions,
) -> Mapping[str, PrivacyFunction]:
    """Declare every function of the catalogue; return them by their modules' names.

    `api_concurrency` executions are reserved for each function behind the API, where it is given.
    """
    return {
        spec.module: PrivacyFunction(
            f"{name}-{spec.name}",
            PrivacyFunctionArgs(
                ground=ground,
                spec=spec,
                user_pool_arn=user_pool_arn,
                reserved=api_concurrency if spec.wing == "api" else None,
            ),
            opts,
        )
        for spec in FUNCTIONS.values()
    }


def environment_of(names: RegionNames, spec: FunctionSpec) -> Mapping[str, str]:
    """Return the environment variables of a function: names, ARNs and where STS is, no secrets."""
    variables = {
        environment.REGISTRY_TABLE: names.registry_table if spec.registry else None,
        environment.REQUEST_TABLE: names.request_table if spec.requests else None,
        environment.RUN_STATE_MACHINE_ARN: names.run_machine_arn
        if spec.starts_runs or spec.stops_runs
        else None,
        environment.CONTRACT_END_STATE_MACHINE_ARN: (
            names.machine_arn("contract-end") if spec.ends_contracts else None
        ),
        environment.EVENT_BUS: names.event_bus if spec.puts_events else None,
        environment.EXPORT_STATE_MACHINE_ARN: (
            names.machine_arn("export") if spec.starts_exports or spec.watches_exports else None
        ),
        environment.EVIDENCE_BUCKET: names.evidence_bucket if spec.evidence else None,
        environment.PURPOSE_ROLE_ARN: names.role(f"purpose-{spec.purpose}") if spec.purpose else None,
    }
    named = {variable: value for variable, value in variables.items() if value is not None}
    return {**named, **STS_ENDPOINTS} if spec.purpose else named
