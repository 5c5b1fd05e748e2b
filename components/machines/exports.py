"""Exports: the state machine that writes down everything that a customer has sent."""

import json
from dataclasses import dataclass

import pulumi

from ..iam.services import export_machine
from ..naming import RegionNames
from ..standard.state_machine import state_machine
from .export import export_definition


@dataclass(frozen=True, kw_only=True)
class ExportMachineArgs:
    """The function that is its one step."""

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    function_arn: pulumi.Input[str]


class ExportMachine(pulumi.ComponentResource):
    """The state machine of an export, which the API starts."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ExportMachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:exports:ExportMachine", name, None, opts)
        machine = state_machine(
            name,
            parent=self,
            names=args.names,
            machine="export",
            rights=export_machine(args.names),
            boundary_arn=args.boundary_arn,
            region_key_arn=args.region_key_arn,
            definition=pulumi.Output.from_input(args.function_arn).apply(
                lambda arn: json.dumps(export_definition(arn))
            ),
        )
        self.arn = machine.arn
        self.register_outputs({"arn": self.arn})
