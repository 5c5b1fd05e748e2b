"""The watch over contracts: starts the end of those that are due, and logs which are held or late.

A one-time schedule can be missed: a hold was lifted after the day, the stack was made after it, the call
failed for a day. An execution can fail, or stop at a hold. This looks at every contract each hour, and starts
again what has begun and goes on nowhere: how often that was in vain before, the last execution's input says.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws import clients as aws_clients
from privacy.aws import executions
from privacy.aws.failures import StepFailedError, error_name
from privacy.contracts import destruction_mark
from privacy.customers.customer import Customer, Destruction
from privacy.customers.registry import Registry
from privacy.timestamps import parse_timestamp, timestamp

LATE: Final = timedelta(days=1)
"""How long a destruction may take, from its day on or from its beginning on, before somebody has to look."""

KEY_LATE: Final = timedelta(days=2)
"""The same for a key after its last day: KMS takes up to 24 hours more (its Developer Guide, "Deleting AWS
KMS keys"), and then it has to be noticed."""

KEY_GONE: Final = timedelta(days=1)
"""After its last day KMS has deleted a key: a hold finds no order to take back any more."""

FIRST_WAIT: Final = timedelta(minutes=50)
"""After an execution that failed, until it is started again: the next watch does. Each time twice as long."""

LONGEST_WAIT: Final = timedelta(days=1)

_HELD: Final = {"DestructionHeldError", "ContractChangedError"}
"""Errors of an execution that met a hold: it did not fail in vain."""

_log: Final = logging.getLogger("privacy")


class WatchIncompleteError(StepFailedError):
    """Some contracts could not be looked at; the others were. Carries only how many."""


class CustomerUnknownError(StepFailedError):
    """The registry lists a customer that it has no entry of: its stack is only half deployed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done or logged about a contract, and since when (UTC).

    `due`: its end has to be started, unless it is going on. `keep`: it has to be started, because a hold has
    come and the order to delete the key has to be taken back. `held`: a hold keeps the data from being
    destroyed, now or later. `late`: data that should be destroyed is not; `state` says how far its
    destruction has come.
    """

    kind: Literal["due", "keep", "held", "late"]
    since: datetime
    state: str = ""


def findings(customer: Customer, destruction: Destruction | None, now: datetime) -> Iterator[Finding]:
    """Yield what is to be done or logged about a contract now; nothing where all is as it should be.

    `destruction` is how far the destruction of the customer's data has come, None where it has not begun.
    """
    if destruction is not None and destruction.state == "destroyed":
        return
    if customer.terminated and (destruction is None or destruction.state == "destroying"):
        # Said too early: its schedules are gone, so only this notices that the data is not.
        yield Finding("late", customer.destruction, "terminated")
    if customer.hold is not None:
        if not (customer.terminated and destruction is None):
            yield Finding("held", customer.destruction)
        if destruction is not None and _has_an_order(destruction, now):
            yield Finding("keep", customer.destruction)
    elif destruction is None:
        if not customer.terminated:
            yield from _not_begun(customer, now)
    elif destruction.state == "destroying":
        since = parse_timestamp(destruction.since)
        yield Finding("due", since)
        if now >= since + LATE and not customer.terminated:
            yield Finding("late", since, "destroying")
    elif destruction.key_deletion is not None:
        gone = parse_timestamp(destruction.key_deletion)
        if now >= gone + KEY_LATE:
            yield Finding("due", gone)
            yield Finding("late", gone, "scheduled")


def _not_begun(customer: Customer, now: datetime) -> Iterator[Finding]:
    if now >= customer.destruction:
        yield Finding("due", customer.destruction)
    if now >= customer.destruction + LATE:
        yield Finding("late", customer.destruction, "not-begun")


def _has_an_order(destruction: Destruction, now: datetime) -> bool:
    """Return whether an order to delete the key may stand, that the key has not followed yet."""
    if not destruction.key_ordered:
        return False
    return destruction.key_deletion is None or now < parse_timestamp(destruction.key_deletion) + KEY_GONE


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
    customer = registry.customer(customer_id) or _marked(registry, customer_id)
    destruction = registry.destruction(customer_id)
    found = list(findings(customer, destruction, now))
    for finding in found:
        since = timestamp(finding.since)
        if finding.kind == "held":
            _log.warning("destruction held: customer=%s since due=%s", customer_id, since)
        elif finding.kind == "late":
            _log.error(
                "contract end overdue: customer=%s state=%s since=%s", customer_id, finding.state, since
            )
    if any(finding.kind == "keep" for finding in found):
        attempt: int | None = 1
    elif any(finding.kind == "due" for finding in found):
        attempt = _attempt(destruction, now)
    else:
        attempt = None
    if attempt is None:
        return False
    name = execution_name(customer, now)
    _end(customer, state_machine_arn, name, attempt)
    if destruction is not None:
        arn = executions.arn(state_machine_arn, name)
        destruction_mark.take_up(registry.table, customer_id, arn)
    return True


def _marked(registry: Registry, customer_id: str) -> Customer:
    """Return a customer that has no entry as its mark notes it. Raises CustomerUnknownError without one."""
    mark = destruction_mark.read(registry.table, customer_id)
    if mark is None or mark.vault is None:
        raise CustomerUnknownError("no entry")
    return mark.vault.customer


def _attempt(destruction: Destruction | None, now: datetime) -> int | None:
    """Return the how-manieth execution it would be that is started now; None where it is too early for one.

    Executions that end without a failure, or at a hold, are not counted: what comes after them is the first.
    """
    last = None
    if destruction is not None and destruction.execution is not None:
        last = executions.describe(destruction.execution)
    if last is None:
        return 1
    if last.is_going:
        return None
    if last.error is None or last.error in _HELD or last.ended_at is None:
        return 1
    before = int(last.input.get("attempt", 1))
    # No power of a large number: it would be the longest in any case.
    wait = min(FIRST_WAIT * 2 ** min(before - 1, 10), LONGEST_WAIT)
    return before + 1 if now >= last.ended_at + wait else None


def _end(customer: Customer, state_machine_arn: str, name: str, attempt: int) -> None:
    client = aws_clients.stepfunctions()
    more = {"attempt": attempt} if attempt > 1 else {}
    try:
        client.start_execution(
            stateMachineArn=state_machine_arn,
            name=name,
            input=json.dumps({"customer": customer.id, **more}, separators=(",", ":")),
        )
    except client.exceptions.ExecutionAlreadyExists:
        return
    _log.warning("contract end started by the watch: customer=%s attempt=%d", customer.id, attempt)


def execution_name(customer: Customer, now: datetime) -> str:
    """Return the execution's name: one an hour for a customer and a date, so that two calls start one.

    At most 21 + 1 + 8 + 1 + 11 characters; Step Functions allows 80.
    """
    return f"{customer.id}-{customer.destruction:%Y%m%d}-{now.astimezone(UTC):%Y%m%dT%H}"
