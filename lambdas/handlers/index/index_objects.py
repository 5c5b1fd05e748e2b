"""Queue of bucket events → the vaults' indexes."""

import logging
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws.failures import error_name, reported
from privacy.customers.registry import Registry
from privacy.formats.blocks import LineTooLongError
from privacy.formats.readers import DatasetUnknownError
from privacy.index.events import MalformedEventError, object_events
from privacy.index.indexer import Indexer
from privacy.index.redelivery import come_again_soon
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestBusyError, RequestStore
from privacy.vault.items import TableBusyError
from privacy.vault.scratch import ObjectTooLargeError
from privacy.vault.sessions import open_vault

_log: Final = logging.getLogger("privacy")
_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_lock: Final = RunLock.from_environment()


class UnknownBucketError(Exception):
    """An event of a bucket that is no customer's."""


_FAILURES: Final = (
    BotoCoreError,
    ClientError,
    DatasetUnknownError,
    LineTooLongError,
    MalformedEventError,
    ObjectTooLargeError,
    RequestBusyError,
    TableBusyError,
    UnknownBucketError,
)


@reported("index")
def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Index what the messages tell, and name those that have to come again (`batchItemFailures`)."""
    failed = []
    for message in event["Records"]:
        try:
            _take(message["body"])
        except _FAILURES as error:
            # Only the kind: an error's text may quote an object key.
            _log.error("message not taken: message=%s error=%s", message["messageId"], error_name(error))
            come_again_soon(message)
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def _take(body: str) -> None:
    for object_event in object_events(body):
        customer = _registry.customer_of_bucket(object_event.bucket)
        if customer is None:
            raise UnknownBucketError
        if _registry.destruction(customer.id) is not None:
            continue  # its versions are being deleted, and the index with them
        Indexer(open_vault(customer, "index"), _requests, _lock).take(object_event)
