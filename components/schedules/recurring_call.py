"""A call that the scheduler makes again and again, under a role of its own."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import scheduler

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..standard.role import bounded_role
from .catalogue import RECURRING_CALLS, RecurringCallSpec


@dataclass(frozen=True, kw_only=True)
class RecurringCallArgs:
    """Which call, and the region's functions by module name."""

    ground: Ground
    spec: RecurringCallSpec
    functions: Mapping[str, PrivacyFunction]


class RecurringCall(pulumi.ComponentResource):
    """A schedule that calls a function. A call that could not be made is kept with the dead letters."""

    def __init__(
        self, name: str, args: RecurringCallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        spec, names = args.spec, args.ground.names
        super().__init__(spec.pulumi_type, name, None, opts)
        role, granted = bounded_role(
            f"{name}-role",
            parent=self,
            ground=args.ground,
            role=names.name(spec.role),
            trusted=document(
                trust.by_service(names, "scheduler.amazonaws.com", source_arns=[names.default_schedules_arn])
            ),
            policy=pulumi.Output.from_input(args.ground.region_key_arn).apply(
                lambda key: document(spec.rights(names, key))
            ),
            data_class="operational",
        )
        scheduler.Schedule(
            f"{name}-schedule",
            name=names.name(spec.function),
            description=spec.why,
            schedule_expression=spec.rate,
            flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=scheduler.ScheduleTargetArgs(
                arn=args.functions[spec.module].arn,
                role_arn=role.arn,
                dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(
                    arn=args.ground.dead_letters_arn
                ),
                retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=spec.oldest_seconds, maximum_retry_attempts=spec.retries
                ),
            ),
            # The scheduler tries to assume the role when the schedule is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )
        self.register_outputs({})


def recurring_calls(
    name: str, ground: Ground, functions: Mapping[str, PrivacyFunction], opts: pulumi.ResourceOptions
) -> None:
    """Declare every call of the catalogue."""
    for spec in RECURRING_CALLS.values():
        RecurringCall(
            f"{name}-{spec.name}", RecurringCallArgs(ground=ground, spec=spec, functions=functions), opts
        )
