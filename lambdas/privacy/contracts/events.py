"""Events about contracts, put on the region's own bus. They hold ids and dates, nothing personal."""

import json
from collections.abc import Mapping
from typing import Final, Literal

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws.failures import StepFailedError

DetailType = Literal["Contract ends soon", "Contract ended", "Data destroyed"]

ENDS_SOON: Final[DetailType] = "Contract ends soon"
CONTRACT_ENDED: Final[DetailType] = "Contract ended"
DATA_DESTROYED: Final[DetailType] = "Data destroyed"


class EventNotPutError(StepFailedError):
    """EventBridge did not take the event. Trying again helps where it was busy."""


def put(detail_type: DetailType, detail: Mapping[str, str | int | bool]) -> None:
    """Put an event on the bus under the function's own role.

    The operator decides who gets it, so `detail` has ids and dates only. An event may come twice where the
    call is made again. Raises EventNotPutError where EventBridge answers that it did not take it, ClientError
    or BotoCoreError where it cannot be asked.
    """
    answer = aws_clients.events().put_events(
        Entries=[
            {
                "EventBusName": environment.read(environment.EVENT_BUS),
                "Source": environment.EVENT_SOURCE,
                "DetailType": detail_type,
                "Detail": json.dumps(detail, sort_keys=True),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise EventNotPutError("the event was not taken")
