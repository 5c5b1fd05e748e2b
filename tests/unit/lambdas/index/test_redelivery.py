"""A bucket event that could not be taken comes again soon."""

import logging
from typing import TYPE_CHECKING

import boto3
import pytest

from privacy.index import redelivery

from ..region import REGION
from ..support.world import QUEUE

if TYPE_CHECKING:
    from ..support.world import World


def test_the_wait_doubles_from_a_minute_to_an_hour() -> None:
    waits = [redelivery.seconds_until_next(receives) for receives in range(1, 10)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_failed_message_is_visible_again_before_the_queues_own_time(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "FIRST_SECONDS", 0)
    sqs = boto3.client("sqs", region_name=REGION)
    name = QUEUE.rpartition(":")[2]
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "5400"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="not an event")
    (received,) = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)  # hidden, as it would be for 90 minutes
    message = {
        "messageId": received["MessageId"],
        "body": received["Body"],
        "receiptHandle": received["ReceiptHandle"],
        "attributes": received["Attributes"],
        "eventSourceARN": QUEUE,
    }
    answer = world.call("index_objects", {"Records": [message]})
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [received["MessageId"]]
    (again,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert again["MessageId"] == received["MessageId"]


def test_where_aws_refuses_the_message_is_given_back_all_the_same(
    world: "World", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert world.deliver_bodies("not an event") == ["0"]  # the queue does not exist
    assert "message comes again later" in caplog.text
