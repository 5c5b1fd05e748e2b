"""What a function says when it fails: the names of errors, never their texts.

The text of an AWS error may quote an object's key or an item, and that of any other exception whatever it was
about. Lambda writes text and stack trace of an exception that nobody caught into the function's log, and Step
Functions keeps both in the execution's history. So what leaves a handler is an exception whose name says what
an operator has to know, and whose text says nothing else.
"""

import functools
import logging
import re
from collections.abc import Callable
from traceback import walk_tb
from typing import Final, ParamSpec, TypeVar

from botocore.client import BaseClient
from botocore.exceptions import ClientError

_Event = ParamSpec("_Event")
_Answer = TypeVar("_Answer")

_log: Final = logging.getLogger("privacy")

_IDS: Final = {"customer": "customer", "run": "run_id", "reindex": "reindex_id"}
_OTHER_THAN_NAME: Final = re.compile(r"[^A-Za-z0-9]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,79}")
_OF_AWS: Final = re.compile(r"([a-z0-9]{2,20})\.([A-Z][A-Za-z0-9]{1,80})\.([A-Za-z0-9]{1,80})")


class StepFailedError(Exception):
    """A step failed. Name and text hold nothing of what the step was about, so they may go anywhere."""


def error_name(error: BaseException) -> str:
    """Return the name of an error: its class, or `service.Operation.Code` of an AWS error.

    The service is IAM's word for it (`dynamodb`, `states`). Where the error did not come out of a client, the
    name is the code alone.
    """
    if not isinstance(error, ClientError):
        return type(error).__name__
    code = _OTHER_THAN_NAME.sub("", error.response["Error"]["Code"])[:80]
    service = _service(error)
    return f"{service}.{error.operation_name}.{code}" if service else code


def shown(name: str) -> dict[str, str]:
    """Return an error's name as a request's detail shows it: `error`, and AWS's `operation` where it has one.

    What is no name of an error is not repeated: it may be a text.
    """
    if found := _OF_AWS.fullmatch(name):
        service, operation, code = found.groups()
        return {"error": code, "operation": f"{service}:{operation}"}
    return {"error": name if _NAME.fullmatch(name) else "unknown"}


def where(error: BaseException) -> str:
    """Return where the exception was raised, as file and line: a traceback's text could quote values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"


def reported(step: str) -> Callable[[Callable[_Event, _Answer]], Callable[_Event, _Answer]]:
    """Return the decorator of a handler that Lambda calls without anybody in between; `step` is what it does.

    An exception is logged by name and place with the ids of its run, and leaves as a StepFailedError of that
    name.
    """

    def decorate(handler: Callable[_Event, _Answer]) -> Callable[_Event, _Answer]:
        @functools.wraps(handler)
        def reporting(*args: _Event.args, **kwargs: _Event.kwargs) -> _Answer:
            try:
                return handler(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the last line: anything else would leak its text to the log
                failure = _clean(step, error)
                name = type(failure).__name__
                _log.error("step failed: step=%s error=%s at=%s%s", step, name, where(error), _ids(args[0]))
            # Out here, so that it does not carry the original with it.
            raise failure

        return reporting

    return decorate


def _clean(step: str, error: Exception) -> StepFailedError:
    if isinstance(error, StepFailedError):
        return error
    named: type[StepFailedError] = type(error_name(error), (StepFailedError,), {})
    return named(f"{step} failed")


def _ids(event: object) -> str:
    known = event if isinstance(event, dict) else {}
    return "".join(f" {name}={known[key]}" for name, key in _IDS.items() if key in known)


def _service(error: ClientError) -> str | None:
    """Return the service whose client raised the error: the error itself does not know."""
    clients = [frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__)]
    for client in reversed(clients):
        if isinstance(client, BaseClient):
            return str(client.meta.service_model.signing_name)
    return None
