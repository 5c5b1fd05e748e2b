"""A call that the scheduler makes again and again, under a role of its own."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import scheduler

from ..foundation import Foundation
from ..iam import trust
from ..iam.documents import document
from ..standard.role import bounded_role
from .catalogue import RecurringCallSpec


@dataclass(frozen=True, kw_only=True)
class RecurringCallArgs:
    """Which call, and the ARN of the function that is called."""

    foundation: Foundation
    spec: RecurringCallSpec
    function_arn: pulumi.Input[str]


class RecurringCall(pulumi.ComponentResource):
    """A schedule that calls a function. A call that could not be made is kept with the dead letters."""

    def __init__(
        self, name: str, args: RecurringCallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        spec, names = args.spec, args.foundation.names
        super().__init__(spec.pulumi_type, name, None, opts)
        role, granted = bounded_role(
            f"{name}-role",
            parent=self,
            names=names,
            role=names.name(spec.role),
            trusted=document(
                trust.by_service(names, "scheduler.amazonaws.com", source_arns=[names.default_schedules_arn])
            ),
            policy=pulumi.Output.from_input(args.foundation.region_key_arn).apply(
                lambda key: document(spec.rights(names, key))
            ),
            boundary_arn=args.foundation.boundary_arn,
            data_class="operational",
        )
        scheduler.Schedule(
            f"{name}-schedule",
            name=names.name(spec.function),
            description=spec.why,
            schedule_expression=spec.rate,
            flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=scheduler.ScheduleTargetArgs(
                arn=args.function_arn,
                role_arn=role.arn,
                dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(
                    arn=args.foundation.dead_letters_arn
                ),
                retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=spec.oldest_seconds, maximum_retry_attempts=spec.retries
                ),
            ),
            # The scheduler tries to assume the role when the schedule is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )
        self.register_outputs({})
