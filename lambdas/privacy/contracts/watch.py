"""The watch over contracts: starts the end of those that are due, and logs which are held or late.

A one-time schedule can be missed: a hold was lifted after the day, the stack was made after it, the call
failed for a day. This looks at every contract each hour and needs no memory.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError, error_name
from privacy.customers.customer import Customer, Destruction
from privacy.customers.registry import Registry
from privacy.timestamps import parse_timestamp, timestamp

LATE: Final = timedelta(days=1)
"""How long a destruction may take, from its day on or from its beginning on, before somebody has to look."""

KEY_LATE: Final = timedelta(days=2)
"""The same for a key after its last day: KMS takes up to 24 hours more (its Developer Guide, "Deleting AWS
KMS keys"), and then it has to be noticed."""

_log: Final = logging.getLogger("privacy")


class WatchIncompleteError(StepFailedError):
    """Some contracts could not be looked at; the others were. Carries only how many."""


class CustomerUnknownError(StepFailedError):
    """The registry lists a customer that it has no entry of: its stack is only half deployed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done or logged about a contract, and since when (UTC).

    `due`: its end has to be started. `held`: a hold keeps the data from being destroyed, now or later.
    `late`: data that should be destroyed is not; `state` says how far its destruction has come.
    """

    kind: Literal["due", "held", "late"]
    since: datetime
    state: str = ""


def findings(customer: Customer, destruction: Destruction | None, now: datetime) -> Iterator[Finding]:
    """Yield what is to be done or logged about a contract now; nothing where all is as it should be.

    `destruction` is how far the destruction of the customer's data has come, None where it has not begun.
    """
    if customer.terminated:
        # Said too early: its schedules are gone, so only this notices that the data is not.
        if destruction is None or destruction.state == "destroying":
            yield Finding("late", customer.destruction, "terminated")
        return
    if customer.hold is not None:
        yield Finding("held", customer.destruction)
        return
    if destruction is None:
        if now >= customer.destruction:
            yield Finding("due", customer.destruction)
        if now >= customer.destruction + LATE:
            yield Finding("late", customer.destruction, "not-begun")
    elif destruction.state == "destroying":
        since = parse_timestamp(destruction.since)
        if now >= since + LATE:
            yield Finding("late", since, "destroying")
    elif destruction.state == "scheduled" and destruction.key_deletion is not None:
        gone = parse_timestamp(destruction.key_deletion)
        if now >= gone + KEY_LATE:
            yield Finding("late", gone, "scheduled")


def watch(
    registry: Registry,
    state_machine_arn: str,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[str]:
    """Look at every contract of the region; return the customers for whom the state machine was started.

    The machine reads the contract again before it does anything. Alarms count the lines logged here.
    Raises WatchIncompleteError at the end where AWS refused for some of them, so that it is noticed.
    """
    started, failed = [], 0
    for customer_id in registry.customer_ids():
        try:
            if _watch(registry, state_machine_arn, customer_id, clock()):
                started.append(customer_id)
        except (ClientError, BotoCoreError, CustomerUnknownError) as error:
            failed += 1
            _log.error("not watched: customer=%s error=%s", customer_id, error_name(error))
    if failed:
        raise WatchIncompleteError(f"{failed} customers")
    return started


def _watch(registry: Registry, state_machine_arn: str, customer_id: str, now: datetime) -> bool:
    customer = registry.customer(customer_id)
    if customer is None:
        raise CustomerUnknownError("no entry")
    found = list(findings(customer, registry.destruction(customer_id), now))
    for finding in found:
        since = timestamp(finding.since)
        if finding.kind == "held":
            _log.warning("destruction held: customer=%s since due=%s", customer_id, since)
        elif finding.kind == "late":
            _log.error(
                "contract end overdue: customer=%s state=%s since=%s", customer_id, finding.state, since
            )
    if not any(finding.kind == "due" for finding in found):
        return False
    _end(customer, state_machine_arn, now)
    return True


def _end(customer: Customer, state_machine_arn: str, now: datetime) -> None:
    client = aws_clients.stepfunctions()
    try:
        client.start_execution(
            stateMachineArn=state_machine_arn,
            name=execution_name(customer, now),
            input=f'{{"customer":"{customer.id}"}}',
        )
    except client.exceptions.ExecutionAlreadyExists:
        return
    _log.warning("contract end started by the watch: customer=%s", customer.id)


def execution_name(customer: Customer, now: datetime) -> str:
    """Return the execution's name: one an hour for a customer and a date, so that two calls start one.

    At most 21 + 1 + 8 + 1 + 11 characters; Step Functions allows 80.
    """
    return f"{customer.id}-{customer.destruction:%Y%m%d}-{now.astimezone(UTC):%Y%m%dT%H}"
