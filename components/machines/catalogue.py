"""Every state machine of a region, in one table: how it goes, and which functions are its steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ..iam.documents import Statement
from ..iam.services import state_machine
from ..naming import RegionNames
from .contract_end import ContractEndSteps, contract_end_definition
from .export import export_definition
from .language import State
from .reindex import ReindexSteps, reindex_definition
from .replay import replay_definition
from .run import RunSteps, run_definition


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """One state machine. How long an execution may take stands in its definition.

    `pulumi_type` is the component's type; under another one Pulumi would replace everything below it.
    `steps` names the module of the function that is each step. `definition` takes the functions' ARNs under
    the same names, and how many calls a map that fans out has going at once. A `distributed` machine has a
    map whose batches are executions of their own. Failed executions of a `redriven` one are to be redriven by
    Step Functions: nothing in it catches errors.
    """

    name: str
    pulumi_type: str
    why: str
    steps: Mapping[str, str]
    definition: Callable[[Mapping[str, str], int], State]
    distributed: bool = False
    redriven: bool = False

    def rights(self, names: RegionNames) -> list[Statement]:
        """Return the statements of the machine's role."""
        functions = [module.replace("_", "-") for module in self.steps.values()]
        return state_machine(
            names, self.name, functions, distributed=self.distributed, redriven=self.redriven
        )


_MACHINES: Final = (
    MachineSpec(
        name="run",
        pulumi_type="gdpr:runs:RunMachine",
        why="The run state machine.",
        steps={
            "plan": "plan_run",
            "visit": "visit_objects",
            "verify": "verify_run",
            "complete": "complete_run",
        },
        definition=lambda arns, at_once: run_definition(RunSteps(**arns), at_once),
        distributed=True,
    ),
    # People start it; nothing in the region does.
    MachineSpec(
        name="reindex",
        pulumi_type="gdpr:reindexes:ReindexMachine",
        why="The reindex state machine.",
        steps={
            "plan": "plan_reindex",
            "compare": "reindex_objects",
            "report": "report_reindex",
            "clear": "clear_reindex",
        },
        definition=lambda arns, at_once: reindex_definition(ReindexSteps(**arns), at_once),
        distributed=True,
        redriven=True,
    ),
    # People start it, after a restoration; nothing in the region does.
    MachineSpec(
        name="replay",
        pulumi_type="gdpr:replays:ReplayMachine",
        why="The replay state machine.",
        steps={"replay": "replay_erasures"},
        definition=lambda arns, _: replay_definition(**arns),
        redriven=True,
    ),
    MachineSpec(
        name="contract-end",
        pulumi_type="gdpr:contract_ends:ContractEndMachine",
        why="The state machine of a contract's end.",
        steps={
            "check": "check_contract_end",
            "inventory": "take_inventory",
            "freeze": "freeze_contract",
            "empty": "empty_bucket",
            "table": "delete_table",
            "clients": "delete_clients",
            "key": "schedule_key_deletion",
            "verify": "verify_destruction",
            "confirm": "confirm_key_deletion",
            "keep": "keep_key",
        },
        definition=lambda arns, at_once: contract_end_definition(ContractEndSteps(**arns), at_once),
        redriven=True,
    ),
    # The API starts it.
    MachineSpec(
        name="export",
        pulumi_type="gdpr:exports:ExportMachine",
        why="The export state machine.",
        steps={"export": "export_vault"},
        definition=lambda arns, _: export_definition(**arns),
    ),
)

MACHINES: Final[Mapping[str, MachineSpec]] = {spec.name: spec for spec in _MACHINES}
"""The machines by their names without the stack's prefix."""
