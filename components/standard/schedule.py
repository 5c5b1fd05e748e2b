"""Calls that the scheduler makes again and again, each under a role of its own."""

from collections.abc import Callable, Sequence

import pulumi
from pulumi_aws import scheduler

from ..iam import trust
from ..iam.documents import Statement, document
from ..naming import RegionNames
from .role import bounded_role


def recurring_call(
    resource: str,
    *,
    parent: pulumi.Resource,
    names: RegionNames,
    role: str,
    rights: Callable[[RegionNames, str], Sequence[Statement]],
    schedule: str,
    description: str,
    rate: str,
    oldest_seconds: int,
    retries: int,
    function_arn: pulumi.Input[str],
    boundary_arn: pulumi.Input[str],
    region_key_arn: pulumi.Input[str],
    dead_letters_arn: pulumi.Input[str],
) -> None:
    """Declare a schedule that calls a function, and the role it acts under.

    `rights` makes the role's statements of the names and the region key's ARN. `oldest_seconds` is at most
    what passes between two calls: the next does the same, so that an older call is not worth making.
    """
    made, granted = bounded_role(
        f"{resource}-role",
        parent=parent,
        names=names,
        role=names.name(role),
        trusted=document(
            trust.by_service(names, "scheduler.amazonaws.com", source_arns=[names.default_schedules_arn])
        ),
        policy=pulumi.Output.from_input(region_key_arn).apply(lambda key: document(rights(names, key))),
        boundary_arn=boundary_arn,
        data_class="operational",
    )
    scheduler.Schedule(
        f"{resource}-schedule",
        name=names.name(schedule),
        description=description,
        schedule_expression=rate,
        flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
        target=scheduler.ScheduleTargetArgs(
            arn=function_arn,
            role_arn=made.arn,
            dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(arn=dead_letters_arn),
            retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=oldest_seconds, maximum_retry_attempts=retries
            ),
        ),
        # The scheduler tries to assume the role when the schedule is made.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[granted]),
    )
