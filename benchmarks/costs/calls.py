"""The AWS calls that functions make, recorded while they make them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError


@dataclass(frozen=True, slots=True)
class Call:
    """One call: service and operation as botocore names them, what was sent and what was answered.

    `answer` is None where the service refused the call.
    """

    service: str
    operation: str
    sent: dict[str, Any]
    answer: dict[str, Any] | None


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Give a list to which every AWS call of this process is added while the `with` block lasts."""
    calls: list[Call] = []
    original = BaseClient._make_api_call

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service = client.meta.service_model.service_name
        sent = {**parameters}  # botocore replaces some
        try:
            answer = original(client, operation, parameters)
        except ClientError:
            calls.append(Call(service, operation, sent, None))
            raise
        calls.append(Call(service, operation, sent, answer))
        return answer

    with patch.object(BaseClient, "_make_api_call", call):
        yield calls


@contextmanager
def tallied(service: str) -> Iterator[Counter[str]]:
    """Give a count of the service's operations by name, and keep nothing of what was sent or answered."""
    tally: Counter[str] = Counter()
    original = BaseClient._make_api_call

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if client.meta.service_model.service_name == service:
            tally[operation] += 1
        answer: dict[str, Any] = original(client, operation, parameters)
        return answer

    with patch.object(BaseClient, "_make_api_call", call):
        yield tally


def counts(calls: Iterable[Call], service: str) -> dict[str, int]:
    """Return how often each of the service's operations was called, by name."""
    return dict(sorted(Counter(call.operation for call in calls if call.service == service).items()))
