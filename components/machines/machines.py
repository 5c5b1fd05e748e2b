"""Runs: the state machine that carries them out, and the schedule that leaves none undone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from ..iam.services import run_machine, sweep_schedule
from ..naming import RegionNames
from ..standard.schedule import recurring_call
from ..standard.state_machine import state_machine
from .run import RunSteps, run_definition

SWEEP_RATE = "rate(5 minutes)"


@dataclass(frozen=True, kw_only=True)
class RunMachineArgs:
    """The functions that are its steps, by module name."""

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    functions: Mapping[str, pulumi.Input[str]]


class RunMachine(pulumi.ComponentResource):
    """The state machine of a run. It logs failures, and never what an execution was given or returned."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: RunMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:runs:RunMachine", name, None, opts)
        names = args.names
        machine = state_machine(
            name,
            parent=self,
            names=names,
            machine="run",
            rights=run_machine(names),
            boundary_arn=args.boundary_arn,
            region_key_arn=args.region_key_arn,
            definition=pulumi.Output.all(**args.functions).apply(
                lambda arns: json.dumps(
                    run_definition(
                        RunSteps(
                            plan=arns["plan_run"],
                            visit=arns["visit_objects"],
                            verify=arns["verify_run"],
                            complete=arns["complete_run"],
                        )
                    )
                )
            ),
        )
        self.arn = machine.arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class RunSweepArgs:
    """The function that sweeps, and where calls go that could not be made."""

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    dead_letters_arn: pulumi.Input[str]
    function_arn: pulumi.Input[str]


class RunSweep(pulumi.ComponentResource):
    """Calls the sweep every few minutes, so that no request waits for a run that nobody started."""

    def __init__(self, name: str, args: RunSweepArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:runs:RunSweep", name, None, opts)
        recurring_call(
            name,
            parent=self,
            names=args.names,
            role="sweep-schedule",
            rights=sweep_schedule,
            schedule="sweep-runs",
            description="Starts what is pending without a run, and frees the locks of runs that died.",
            rate=SWEEP_RATE,
            oldest_seconds=300,
            retries=3,
            function_arn=args.function_arn,
            boundary_arn=args.boundary_arn,
            region_key_arn=args.region_key_arn,
            dead_letters_arn=args.dead_letters_arn,
        )
        self.register_outputs({})
