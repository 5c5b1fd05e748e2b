"""The contract clock: what happens on the days that follow from a contract.

AWS does not document what becomes of a one-time schedule whose time is past: some report that it is refused,
others that it is carried out at once. None is therefore asked for. What was missed (a hold that was lifted
late, a stack that was down) the watch takes up within the hour; the machine and the functions that are
called read the contract again and judge themselves.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pulumi
from pulumi_aws import scheduler

from ..ground import Ground
from ..iam import trust
from ..iam.documents import document
from ..iam.services import contract_schedules
from ..settings.settings import Customer
from ..standard.role import bounded_role

REMINDER_DAYS: Final = (90, 30, 7)
"""Days before the destruction on which the operator is told of it."""

_DAY_SECONDS: Final = 24 * 3600
"""The longest that the scheduler goes on trying (its API reference, "RetryPolicy")."""


@dataclass(frozen=True, kw_only=True)
class ContractClockArgs:
    """The customers, the ARNs of what is called on the days of their contracts, and the present moment.

    The machine destroys, the function reminds. `now` has a time zone; nothing is scheduled for before it.
    """

    ground: Ground
    customers: Sequence[Customer]
    machine_arn: pulumi.Input[str]
    remind_function_arn: pulumi.Input[str]
    now: datetime


class ContractClock(pulumi.ComponentResource):
    """One-time schedules for each customer: its data's destruction, and reminders before.

    A changed contract moves them. A hold disables the destruction; the reminders go on, and say that it is
    held. A terminated contract has none.
    """

    def __init__(
        self, name: str, args: ContractClockArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:contract_clock:ContractClock", name, None, opts)
        names = args.ground.names
        group = scheduler.ScheduleGroup(
            f"{name}-group",
            name=names.contract_schedules,
            tags=names.tags("operational"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        role, rights = bounded_role(
            f"{name}-role",
            parent=self,
            ground=args.ground,
            role=names.name("contract-schedules"),
            trusted=document(
                trust.by_service(names, "scheduler.amazonaws.com", source_arns=[names.contract_schedules_arn])
            ),
            policy=pulumi.Output.from_input(args.ground.region_key_arn).apply(
                lambda key: document(contract_schedules(names, key))
            ),
            data_class="operational",
        )
        for customer in args.customers:
            for moment in _moments(customer, args.now):
                # A dot, which no id contains: of two customers' schedules no two have one name.
                scheduler.Schedule(
                    f"{name}-{customer.id}.{moment.name}",
                    name=names.name(f"{customer.id}.{moment.name}"),
                    group_name=group.name,
                    description=moment.why,
                    schedule_expression=f"at({moment.at:%Y-%m-%dT%H:%M:%S})",
                    schedule_expression_timezone="UTC",
                    flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
                    state=moment.state,
                    # One that the scheduler removed by itself, Pulumi would make again.
                    action_after_completion="NONE",
                    target=scheduler.ScheduleTargetArgs(
                        arn=args.machine_arn if moment.days is None else args.remind_function_arn,
                        role_arn=role.arn,
                        input=json.dumps(moment.input(customer.id)),
                        dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(
                            arn=args.ground.dead_letters_arn
                        ),
                        retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                            # A reminder of yesterday would say what is no longer so.
                            maximum_event_age_in_seconds=_DAY_SECONDS
                            if moment.days is None
                            else _DAY_SECONDS // 2,
                            maximum_retry_attempts=185,  # the most there are: the age decides
                        ),
                    ),
                    # The scheduler tries to assume the role when a schedule is made.
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
                )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """One schedule of a contract: a reminder, `days` before the destruction, or (None) the destruction."""

    name: str
    why: str
    at: datetime
    state: str
    days: int | None

    def input(self, customer: str) -> dict[str, str | int]:
        """Return what is passed to the machine or the function."""
        return {"customer": customer} if self.days is None else {"customer": customer, "days": self.days}


def _moments(customer: Customer, now: datetime) -> Iterator[_Moment]:
    contract = customer.contract
    if contract.terminated:
        return
    midnight = datetime.combine(contract.destruction, datetime.min.time(), UTC)
    moments = (
        _Moment(
            name="destruction",
            why="Ends the contract and destroys the data, unless it was renewed or is held.",
            at=midnight,
            state="ENABLED" if contract.hold is None else "DISABLED",
            days=None,
        ),
        *(
            _Moment(
                name=f"reminder-{days}",
                why=f"Tells that the data will be destroyed in {days} days.",
                at=midnight - timedelta(days=days),
                state="ENABLED",
                days=days,
            )
            for days in REMINDER_DAYS
        ),
    )
    yield from (moment for moment in moments if moment.at > now)


def warn_of_ended(customers: Iterable[Customer], now: datetime) -> None:
    """Log a warning for each contract whose end asks something of the operator; destroy nothing."""
    for customer in customers:
        contract = customer.contract
        day, due = contract.destruction, contract.destruction <= now.astimezone(UTC).date()
        if contract.terminated and not due:
            pulumi.log.warn(
                f"customer {customer.id} is terminated, but its data is not due for destruction before {day} "
                "(UTC), and nothing destroys it any more. If it is still there, remove contract.status; to "
                "destroy it earlier, set an earlier contract.ends and wait until it is done"
            )
        elif due and contract.hold is not None:
            pulumi.log.warn(
                f"customer {customer.id}: its data is due for destruction since {day} (UTC), and a hold "
                "keeps it. Remove contract.hold as soon as its reason is gone"
            )
        elif due and not contract.terminated:
            pulumi.log.warn(
                f"customer {customer.id}: its data is due for destruction since {day} (UTC); the state "
                "machine contract-end destroys it. Once the evidence says so, set contract.status: "
                "terminated and run pulumi up; after that, remove the customer's lines"
            )
