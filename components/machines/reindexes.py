"""Reindexes: the state machine that compares an index with the objects it is about."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from ..iam.services import reindex_machine
from ..naming import RegionNames
from ..standard.state_machine import state_machine
from .reindex import ReindexSteps, reindex_definition


@dataclass(frozen=True, kw_only=True)
class ReindexMachineArgs:
    """The functions that are its steps, by module name."""

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    functions: Mapping[str, pulumi.Input[str]]


class ReindexMachine(pulumi.ComponentResource):
    """The state machine of a reindex. People start it; nothing in the region does."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ReindexMachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:reindexes:ReindexMachine", name, None, opts)
        machine = state_machine(
            name,
            parent=self,
            names=args.names,
            machine="reindex",
            rights=reindex_machine(args.names),
            boundary_arn=args.boundary_arn,
            region_key_arn=args.region_key_arn,
            definition=pulumi.Output.all(**args.functions).apply(
                lambda arns: json.dumps(
                    reindex_definition(
                        ReindexSteps(
                            plan=arns["plan_reindex"],
                            compare=arns["reindex_objects"],
                            report=arns["report_reindex"],
                            clear=arns["clear_reindex"],
                        )
                    )
                )
            ),
        )
        self.arn = machine.arn
        self.register_outputs({"arn": self.arn})
