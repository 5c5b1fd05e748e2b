"""Every call that a region makes by itself again and again, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..iam.documents import Statement
from ..iam.services import recurring_call
from ..naming import RegionNames


@dataclass(frozen=True, kw_only=True)
class RecurringCallSpec:
    """One call: of which function (`module`), and how often (`rate`, as EventBridge Scheduler writes it).

    `pulumi_type` is the component's type; under another one Pulumi would replace everything below it.
    `called` is what people call the function. `oldest_seconds` is how long a call that failed is tried again;
    it is at most what passes between two calls, since the next one does the same.
    """

    name: str
    pulumi_type: str
    module: str
    called: str
    why: str
    rate: str
    oldest_seconds: int
    retries: int

    @property
    def function(self) -> str:
        """The function's name without the stack's prefix, and the schedule's."""
        return self.module.replace("_", "-")

    @property
    def role(self) -> str:
        """The name, without the stack's prefix, of the role that the scheduler acts under."""
        return f"{self.name}-schedule"

    def rights(self, names: RegionNames, region_key_arn: str) -> list[Statement]:
        """Return the statements of that role."""
        return recurring_call(
            names,
            self.function,
            region_key_arn,
            sid=self.name.capitalize(),
            why=f"Call {self.called}.",
        )


_CALLS: Final = (
    RecurringCallSpec(
        name="sweep",
        pulumi_type="gdpr:runs:RunSweep",
        module="sweep_runs",
        called="the sweep",
        why="Starts what is pending without a run, and frees the locks of runs that died.",
        rate="rate(5 minutes)",
        oldest_seconds=300,
        retries=3,
    ),
    RecurringCallSpec(
        name="watch",
        pulumi_type="gdpr:contract_clock:ContractWatch",
        module="watch_contracts",
        called="the watch over contracts",
        why="Ends contracts that are due and that nobody ended; tells of those held or late.",
        rate="rate(1 hour)",
        oldest_seconds=1800,
        retries=5,
    ),
)

RECURRING_CALLS: Final[Mapping[str, RecurringCallSpec]] = {spec.name: spec for spec in _CALLS}
"""The calls by their names."""
