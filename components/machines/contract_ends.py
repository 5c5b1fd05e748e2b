"""Contract ends: the state machine that destroys a customer's data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from ..iam.services import contract_end_machine
from ..naming import RegionNames
from ..standard.state_machine import state_machine
from .contract_end import ContractEndSteps, contract_end_definition


@dataclass(frozen=True, kw_only=True)
class ContractEndMachineArgs:
    """The functions that are its steps, by module name."""

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    functions: Mapping[str, pulumi.Input[str]]


class ContractEndMachine(pulumi.ComponentResource):
    """The state machine of a contract's end. It logs failures, and never what an execution was given."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ContractEndMachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:contract_ends:ContractEndMachine", name, None, opts)
        machine = state_machine(
            name,
            parent=self,
            names=args.names,
            machine="contract-end",
            rights=contract_end_machine(args.names),
            boundary_arn=args.boundary_arn,
            region_key_arn=args.region_key_arn,
            definition=pulumi.Output.all(**args.functions).apply(
                lambda arns: json.dumps(
                    contract_end_definition(
                        ContractEndSteps(
                            check=arns["check_contract_end"],
                            inventory=arns["take_inventory"],
                            freeze=arns["freeze_contract"],
                            empty=arns["empty_bucket"],
                            table=arns["delete_table"],
                            clients=arns["delete_clients"],
                            key=arns["schedule_key_deletion"],
                            verify=arns["verify_destruction"],
                            confirm=arns["confirm_key_deletion"],
                        )
                    )
                )
            ),
        )
        self.arn = machine.arn
        self.register_outputs({"arn": self.arn})
