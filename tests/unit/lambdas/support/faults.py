"""Lets one AWS call of a function go wrong, in each of the ways in which a call can."""

import enum
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError, ResponseStreamingError
from botocore.response import StreamingBody

from tests import properties

Service = Callable[[Any, str, Any], Any]


class Fault(enum.Enum):
    """What goes wrong with a call. Retries inside botocore are over or, with REPEATED, what goes wrong."""

    REFUSED = "an error instead of the call"
    THROTTLED = "the call is throttled, or as much of it as the service can tell apart"
    LOST = "the call takes effect, its answer times out"
    REPEATED = "the call takes effect, its answer is lost, and botocore makes it again"
    CUT = "the content that the call returns breaks off in the middle"
    KILLED_BEFORE = "the function's process ends before the call"
    KILLED_AFTER = "the function's process ends after the call"

    @property
    def kills(self) -> bool:
        return self in {Fault.KILLED_BEFORE, Fault.KILLED_AFTER}

    def applies_to(self, operation: str, number: int) -> bool:
        """Whether the fault can happen to a function's call of this number, and is not another by name."""
        if self is Fault.CUT:
            return operation == "GetObject"
        if self is Fault.REPEATED:
            # Transactions and executions are recognised by a token or a name: repeating does nothing.
            return operation not in {"TransactWriteItems", "StartExecution"}
        # Before a later call is after the one before it.
        return self is not Fault.KILLED_BEFORE or number == 0


Place = TypeVar("Place")


def thinned(points: list[tuple[Place, int, Fault]]) -> list[tuple[Place, int, Fault]]:
    """Return one fault at every second call: in turn the end of the process, and what else can happen there.

    All of them, at every call, in a soak.
    """
    if properties.soaking():
        return points
    kinds: dict[tuple[int, int], list[Fault]] = {}
    for place, number, fault in points:
        kinds.setdefault((id(place), number), []).append(fault)
    taken: dict[tuple[int, int], Fault] = {}
    for turn, (call, possible) in enumerate(islice(kinds.items(), 0, None, 2)):
        others = [fault for fault in possible if fault is not Fault.KILLED_AFTER]
        ends = Fault.KILLED_AFTER in possible and (turn % 2 == 0 or not others)
        taken[call] = Fault.KILLED_AFTER if ends else others[turn // 2 % len(others)]
    return [
        (place, number, fault) for place, number, fault in points if fault is taken.get((id(place), number))
    ]


class Killed(BaseException):
    """The function's process is gone: nothing in it may catch this."""


@dataclass
class Faults:
    """Counts the AWS calls that functions make, and lets the one with the chosen number go wrong.

    `services` answer for AWS where the emulation does not: by service name, called with client, operation
    and parameters. Calls outside of `function` are the test's own: neither counted nor disturbed.
    """

    services: dict[str, Service] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    _chosen: tuple[int, Fault] | None = None
    _action: tuple[int, Callable[[], object]] | None = None
    _inside: bool = False
    _dead: bool = False
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def installed(self) -> Iterator[None]:
        original = BaseClient._make_api_call

        def call(client: BaseClient, operation: str, parameters: Any) -> Any:  # noqa: ANN401
            service = self.services.get(client.meta.service_model.service_name, original)
            if not self._inside:
                return service(client, operation, parameters)
            return self._call(service, client, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    @contextmanager
    def function(self) -> Iterator[None]:
        """What is called in here belongs to one invocation of a function."""
        self._inside, self._dead = True, False
        try:
            yield
        finally:
            self._inside = False

    def choose(self, number: int, fault: Fault) -> None:
        """Let the call with this number, counted from now, go wrong, or the next one that can in this way."""
        self.calls.clear()
        self._chosen = (number, fault)

    def before(self, number: int, action: Callable[[], object]) -> None:
        """Let something happen before the call with this number, counted from now, is made."""
        self.calls.clear()
        self._action = (number, action)

    @property
    def struck(self) -> bool:
        """Whether the chosen call was made."""
        return self._chosen is None and self._action is None

    def _act(self) -> None:
        if self._action is not None and len(self.calls) >= self._action[0]:
            (_, action), self._action = self._action, None
            self._inside = False
            try:
                action()
            finally:
                self._inside = True

    def _call(self, service: Service, client: BaseClient, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        self._act()
        with self._mutex:
            if self._dead:
                raise Killed
            fault = None
            if self._chosen is not None:
                number, wanted = self._chosen
                if len(self.calls) >= number and wanted.applies_to(operation, number):
                    fault, self._chosen = wanted, None
            self.calls.append(operation)
            self._dead = fault is Fault.KILLED_BEFORE
        if self._dead:
            raise Killed
        if fault is Fault.REFUSED:
            raise _error(client, operation, "InternalServerError", 500)
        if fault is Fault.THROTTLED:
            return _throttled(service, client, operation, parameters)
        # A copy: botocore replaces some parameters, and reads a body to its end.
        answer = service(client, operation, {**parameters})
        if fault is Fault.LOST:
            raise ReadTimeoutError(endpoint_url=client.meta.endpoint_url)
        if fault is Fault.REPEATED:
            return service(client, operation, parameters)
        if fault is Fault.CUT:
            return answer | {"Body": _CutBody(answer["Body"])}
        if fault is Fault.KILLED_AFTER:
            self._dead = True
            raise Killed
        return answer


class _CutBody(StreamingBody):
    def __init__(self, whole: StreamingBody) -> None:
        content = whole.read()
        super().__init__(io.BytesIO(content[: len(content) // 2]), None)

    def read(self, amt: int | None = None) -> bytes:
        piece: bytes = super().read(amt)
        if not piece:
            raise ResponseStreamingError(error="connection broken")
        return piece


def _throttled(service: Service, client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401
    """Do what is done of the call, and answer as the service does where it has too much to do."""
    if operation in {"BatchWriteItem", "BatchGetItem"}:
        # The first part is done, the rest handed back.
        ((table, asked),) = parameters["RequestItems"].items()
        if operation == "BatchWriteItem":
            done = len(asked) // 2
            if done:
                service(client, operation, {"RequestItems": {table: asked[:done]}})
            return {"UnprocessedItems": {table: asked[done:]}}
        return {"Responses": {}, "UnprocessedKeys": {table: asked}}
    if operation == "DeleteObjects":
        objects = parameters["Delete"]["Objects"]
        done = len(objects) // 2
        if done:
            service(client, operation, parameters | {"Delete": {"Objects": objects[:done]}})
        return {"Errors": [{**each, "Code": "SlowDown", "Message": "-"} for each in objects[done:]]}
    if operation == "TransactWriteItems":
        reasons = [{"Code": "ThrottlingError"}, *[{"Code": "None"}] * (len(parameters["TransactItems"]) - 1)]
        raise _error(client, operation, "TransactionCanceledException", 400, CancellationReasons=reasons)
    if client.meta.service_model.service_name == "s3":
        raise _error(client, operation, "SlowDown", 503)
    raise _error(client, operation, "ThrottlingException", 400)


def _error(client: Any, operation: str, code: str, status: int, **more: object) -> Exception:  # noqa: ANN401
    kind = client.exceptions.from_code(code)
    metadata = {"HTTPStatusCode": status}
    response = {"Error": {"Code": code, "Message": "-"}, "ResponseMetadata": metadata, **more}
    error: Exception = kind(response, operation)
    return error
