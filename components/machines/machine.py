"""A state machine with everything that belongs to it: its role, and a log of failures without data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import sfn

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..standard.log_group import encrypted_log_group
from ..standard.role import bounded_role
from .catalogue import MACHINES, MachineSpec


@dataclass(frozen=True, kw_only=True)
class MachineArgs:
    """Which machine, the region's functions by module name, and how many of one a map has `at_once`."""

    ground: Ground
    spec: MachineSpec
    functions: Mapping[str, PrivacyFunction]
    at_once: int


class Machine(pulumi.ComponentResource):
    """A state machine under its own role.

    It logs failures, and never what an execution was given or returned.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        spec, names = args.spec, args.ground.names
        super().__init__(spec.pulumi_type, name, None, opts)
        logs = encrypted_log_group(
            f"{name}-logs",
            parent=self,
            ground=args.ground,
            group=names.machine_logs(spec.name),
        )
        role, granted = bounded_role(
            f"{name}-role",
            parent=self,
            ground=args.ground,
            role=names.name(spec.name),
            trusted=document(
                trust.by_service(names, "states.amazonaws.com", source_arns=names.machine_sources(spec.name))
            ),
            policy=document(spec.rights(names)),
            data_class="operational",
        )
        steps = {step: args.functions[module].arn for step, module in spec.steps.items()}
        machine = sfn.StateMachine(
            f"{name}-machine",
            name=names.name(spec.name),
            type="STANDARD",
            role_arn=role.arn,
            definition=pulumi.Output.all(**steps).apply(
                lambda arns: json.dumps(spec.definition(arns, args.at_once))
            ),
            logging_configuration=sfn.StateMachineLoggingConfigurationArgs(
                level="ERROR",
                include_execution_data=False,
                log_destination=logs.arn.apply(lambda arn: f"{arn}:*"),
            ),
            tags=names.tags("pseudonymous"),
            # Step Functions tries the log delivery when the machine is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )
        self.arn = machine.arn
        self.register_outputs({"arn": self.arn})


def state_machines(
    name: str,
    ground: Ground,
    functions: Mapping[str, PrivacyFunction],
    at_once: int,
    opts: pulumi.ResourceOptions,
) -> Mapping[str, Machine]:
    """Declare every state machine of the catalogue; return them by their names.

    A map that fans out has `at_once` calls of its function going, in each execution.
    """
    return {
        spec.name: Machine(
            f"{name}-{spec.name}",
            MachineArgs(ground=ground, spec=spec, functions=functions, at_once=at_once),
            opts,
        )
        for spec in MACHINES.values()
    }
