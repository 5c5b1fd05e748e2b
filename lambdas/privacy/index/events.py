"""Bucket events, parsed from the messages of the queue."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_plus


class MalformedEventError(Exception):
    """A message is not a bucket event of a versioned bucket."""


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """What happened to one version of an object, and when (S3's own time)."""

    bucket: str
    key: str
    version_id: str
    name: str
    at: datetime

    @property
    def created(self) -> bool:
        """Whether the version is new."""
        return self.name.startswith("ObjectCreated:")

    @property
    def restored(self) -> bool:
        """Whether an archived version can be read for some days."""
        return self.name == "ObjectRestore:Completed"

    @property
    def hidden(self) -> bool:
        """Whether a delete marker hides the versions that are there."""
        return self.name in {"ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:DeleteMarkerCreated"}

    @property
    def removed(self) -> bool:
        """Whether the version is gone for good; a delete marker hides versions and removes none."""
        return self.name in {"ObjectRemoved:Delete", "LifecycleExpiration:Delete"}


def object_events(body: str) -> list[ObjectEvent]:
    """Return the events in a queue message; none for the test event S3 sends when it is configured.

    Keys arrive URL-encoded, with `+` for a space. Raises MalformedEventError.
    """
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        return [
            ObjectEvent(
                bucket=record["s3"]["bucket"]["name"],
                key=unquote_plus(record["s3"]["object"]["key"]),
                version_id=record["s3"]["object"]["versionId"],
                name=record["eventName"],
                at=datetime.fromisoformat(record["eventTime"]).astimezone(UTC),
            )
            for record in message["Records"]
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        # The cause would quote the message, and with it a key.
        raise MalformedEventError from None
