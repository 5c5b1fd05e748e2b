"""The state machine of exports, as the API starts and asks it."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws import executions
from privacy.exports.store import Export
from privacy.timestamps import parse_timestamp

_SETTLING: Final = timedelta(seconds=60)
"""A younger export is believed: the function that put it on record may not have started it yet."""


@dataclass(frozen=True, slots=True)
class ExportMachine:
    """The state machine: one execution an export."""

    state_machine_arn: str

    @classmethod
    def from_environment(cls) -> Self:
        """Return the region's state machine of exports. Raises MissingEnvironmentVariableError."""
        return cls(environment.read(environment.EXPORT_STATE_MACHINE_ARN))

    def start(self, customer: str, export_id: str) -> None:
        """Start making the export, unless that was done before. Raises ClientError or BotoCoreError."""
        client = aws_clients.stepfunctions()
        try:
            client.start_execution(
                stateMachineArn=self.state_machine_arn,
                name=_name(customer, export_id),
                input=json.dumps({"customer": customer, "export_id": export_id}),
            )
        except client.exceptions.ExecutionAlreadyExists:
            return

    def checked(self, customer: str, export: Export, now: datetime) -> Export:
        """Return the export; as failed where the table has it as running and its execution has ended.

        The table then still says `running`, because the execution could not write how it ended.
        """
        if export.state != "running" or now - parse_timestamp(export.requested_at) < _SETTLING:
            return export
        if executions.is_going(executions.arn(self.state_machine_arn, _name(customer, export.id))):
            return export
        return replace(export, state="failed")


def _name(customer: str, export_id: str) -> str:
    # At most 21 + 1 + 36 characters; Step Functions allows 80.
    return f"{customer}-{export_id}"
