"""Replays: the state machine that repeats erasures after a backup was restored."""

import json
from dataclasses import dataclass

import pulumi

from ..iam.services import replay_machine
from ..naming import RegionNames
from ..standard.state_machine import state_machine
from .replay import replay_definition


@dataclass(frozen=True, kw_only=True)
class ReplayMachineArgs:
    """The function that is its one step."""

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    function_arn: pulumi.Input[str]


class ReplayMachine(pulumi.ComponentResource):
    """The state machine of a replay. People start it, after a restoration; nothing in the region does."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ReplayMachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:replays:ReplayMachine", name, None, opts)
        machine = state_machine(
            name,
            parent=self,
            names=args.names,
            machine="replay",
            rights=replay_machine(args.names),
            boundary_arn=args.boundary_arn,
            region_key_arn=args.region_key_arn,
            definition=pulumi.Output.from_input(args.function_arn).apply(
                lambda arn: json.dumps(replay_definition(arn))
            ),
        )
        self.arn = machine.arn
        self.register_outputs({"arn": self.arn})
