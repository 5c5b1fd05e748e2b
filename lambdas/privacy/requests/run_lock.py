"""At most one run a customer at a time, and no export meanwhile: the lock, and who starts the next run.

No request is left without a run. Who makes a request writes it first and tries to take the lock after; a run
that ends gives the lock back first and looks for pending requests after. So at least one of the two starts
the next run. Where a function dies in between, the sweep does.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws import executions
from privacy.aws.conditions import ConditionMayFail
from privacy.aws.failures import error_name
from privacy.identifiers import uuid7
from privacy.timestamps import parse_timestamp, timestamp

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_log: Final = logging.getLogger("privacy")

CONTRACT_END: Final = "contract-end"
"""What the lock names instead of a run once the customer's data is being destroyed: no run starts again."""


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """The run that holds a customer's lock, and since when.

    Where it is an export that holds the lock, `run_id` is its id, and `execution` the ARN of what makes it.
    """

    run_id: str
    started_at: datetime
    execution: str | None = None


@dataclass(frozen=True, slots=True)
class RunLock:
    """The run locks in the request table, and the state machine whose executions they stand for."""

    table: str
    state_machine_arn: str

    @classmethod
    def from_environment(cls) -> Self:
        """Return the region's run locks. Raises MissingEnvironmentVariableError."""
        return cls(
            environment.read(environment.REQUEST_TABLE), environment.read(environment.RUN_STATE_MACHINE_ARN)
        )

    def start_run(self, customer: str) -> str | None:
        """Take the customer's lock and start a run; return its id, or None where a run is active.

        Raises ClientError or BotoCoreError where the run could not be started. A definite refusal gives
        the lock back. After a time-out or a server error the execution may well exist, so the lock stays:
        the sweep asks Step Functions and settles it.
        """
        run_id = uuid7()
        if not self._take(customer, run_id):
            return None
        try:
            aws_clients.stepfunctions().start_execution(
                stateMachineArn=self.state_machine_arn,
                name=_execution_name(customer, run_id),
                input=f'{{"customer":"{customer}","run_id":"{run_id}"}}',
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                self.release_run(customer, run_id)
            raise
        return run_id

    def start_run_or_leave_to_sweep(self, customer: str) -> str | None:
        """Start a run as `start_run` does, but log an AWS error instead of raising it.

        For callers whose own work is already committed: the sweep starts the run some minutes later.
        """
        try:
            return self.start_run(customer)
        except (ClientError, BotoCoreError) as error:
            _log.warning(
                "run not started, left to the sweep: customer=%s error=%s", customer, error_name(error)
            )
            return None

    def take_for_export(self, customer: str, export_id: str, execution: str) -> bool:
        """Take the lock for an export, which an execution makes; return False where something else holds it.

        Harmless where the export has the lock already.
        """
        return self._take(customer, export_id, {"execution": {"S": execution}})

    def release_run(self, customer: str, run_id: str) -> None:
        """Give the lock back if this run still holds it; otherwise do nothing."""
        with ConditionMayFail():
            aws_clients.dynamodb().delete_item(
                TableName=self.table,
                Key=_key(customer),
                ConditionExpression="run_id = :run_id",
                ExpressionAttributeValues={":run_id": {"S": run_id}},
            )

    def active_run(self, customer: str) -> ActiveRun | None:
        """Return the run that holds the customer's lock (strongly consistent), or None."""
        answer = aws_clients.dynamodb().get_item(
            TableName=self.table, Key=_key(customer), ConsistentRead=True
        )
        item = answer.get("Item")
        if not item:
            return None
        return ActiveRun(
            item["run_id"]["S"],
            parse_timestamp(item["started_at"]["S"]),
            item["execution"]["S"] if "execution" in item else None,
        )

    def hold_for_contract_end(self, customer: str) -> None:
        """Stop the run or export that is active, and keep the customer's lock for ever.

        Functions that it has called already work on to their end: at most for 15 minutes, Lambda's limit.
        """
        while (active := self.active_run(customer)) is None or active.run_id != CONTRACT_END:
            if active is not None:
                executions.stop(self._execution(customer, active), "ContractEnded")
            self._put(customer, CONTRACT_END, instead_of=CONTRACT_END if active is None else active.run_id)

    def is_running(self, customer: str, active: ActiveRun) -> bool:
        """Return whether Step Functions is still carrying out the run, or the export."""
        return executions.is_going(self._execution(customer, active))

    def _execution(self, customer: str, active: ActiveRun) -> str:
        name = _execution_name(customer, active.run_id)
        return active.execution or executions.arn(self.state_machine_arn, name)

    def _take(
        self, customer: str, run_id: str, more: "Mapping[str, AttributeValueTypeDef] | None" = None
    ) -> bool:
        # Its own id for a call that is made again because its answer was lost.
        return self._put(customer, run_id, instead_of=run_id, more=more)

    def _put(
        self,
        customer: str,
        run_id: str,
        *,
        instead_of: str,
        more: "Mapping[str, AttributeValueTypeDef] | None" = None,
    ) -> bool:
        """Write the lock where there is none or where it names `instead_of`; return whether it was."""
        with ConditionMayFail():
            aws_clients.dynamodb().put_item(
                TableName=self.table,
                Item={
                    **_key(customer),
                    "run_id": {"S": run_id},
                    "started_at": {"S": timestamp(datetime.now(UTC))},
                    **(more or {}),
                },
                ConditionExpression="attribute_not_exists(sk) OR run_id = :run_id",
                ExpressionAttributeValues={":run_id": {"S": instead_of}},
            )
            return True
        return False


def _key(customer: str) -> "Mapping[str, AttributeValueTypeDef]":
    return {"pk": {"S": f"customer#{customer}"}, "sk": {"S": "run"}}


def _execution_name(customer: str, run_id: str) -> str:
    # At most 21 + 1 + 36 characters; Step Functions allows 80.
    return f"{customer}-{run_id}"
