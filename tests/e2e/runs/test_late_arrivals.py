"""What was uploaded before an erasure and is found after it: erased too, and on record."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.support import World, completed, somebody, wait_for


@contextmanager
def bucket_events_wait(world: World) -> Iterator[None]:
    """Leave bucket events in their queue, as when indexing is slow."""
    functions = world.emulator.client("lambda", "eu-west-1")
    (mapping,) = functions.list_event_source_mappings(FunctionName="gdpr-eu-west-index-objects")[
        "EventSourceMappings"
    ]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    time.sleep(1)  # a poll that has begun ends, which nothing tells
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def rows(*subjects: str) -> bytes:
    return b"".join(json.dumps({"author": {"email": each}}).encode() + b"\n" for each in subjects)


def test_a_file_whose_event_comes_after_the_erasure_is_erased_by_a_request_that_says_so(world: World) -> None:
    gone, stays = somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    with bucket_events_wait(world):
        api.upload("feedback", "feedback/late.jsonl", rows(gone, stays))
        erasure = completed(api, api.request_erasure([gone]))
        assert view.body("feedback/late.jsonl") == rows(gone, stays)

    wait_for(lambda: view.body("feedback/late.jsonl") == rows(stays), "the late file's erasure")

    (follow_up,) = [request for request in api.requests(limit=20) if request.follows == erasure.id]
    assert completed(api, follow_up).type == "erasure"
    assert [key for key, _ in view.versions() if key == "feedback/late.jsonl"] == ["feedback/late.jsonl"]


def test_a_version_that_nobody_has_looked_into_is_searched_when_it_is_rewritten(world: World) -> None:
    """A rewrite gives the rows a new date: an earlier erasure would no longer seem to concern them."""
    early, late, stays = somebody(), somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    world.send_rows([early], "feedback/replaced.jsonl")
    with bucket_events_wait(world):
        api.upload("feedback", "feedback/replaced.jsonl", rows(early, late, stays))
        completed(api, api.request_erasure([late]))
        completed(api, api.request_erasure([early]))

        assert view.body("feedback/replaced.jsonl") == rows(stays)


def test_an_event_that_comes_twice_or_for_a_version_that_is_gone_changes_nothing(world: World) -> None:
    stack, view = world.stacks["eu-west"], world.view("eu-west", "acme")
    person = somebody()
    content = world.send_rows([person], "feedback/again.jsonl")
    version = world.newest("feedback/again.jsonl")
    before = view.digests()
    sqs = world.emulator.client("sqs", stack.region)
    queue = sqs.get_queue_url(QueueName=f"{stack.prefix}-object-events")["QueueUrl"]
    for version_id in (version, "0" * 32):
        record = {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-11-01T00:00:00.000Z",
            "s3": {
                "bucket": {"name": stack.vaults["acme"].bucket},
                "object": {"key": "feedback/again.jsonl", "versionId": version_id},
            },
        }
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [record]}))

    def is_empty() -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return set(counts.values()) == {"0"}

    wait_for(is_empty, "the queue")
    assert view.digests() == before
    assert view.body("feedback/again.jsonl") == content
