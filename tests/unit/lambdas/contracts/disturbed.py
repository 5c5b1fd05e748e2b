"""A contract's end whose functions are new processes, and whose AWS calls can be disturbed one by one."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from privacy.aws import clients as aws_clients
from privacy.contracts import empty_bucket
from privacy.requests import store as request_store
from privacy.requests.run_lock import RunLock
from privacy.vault import sessions

from ..support import destroyed_state
from ..support.contract_region import EVIDENCE, MACHINE, REQUESTS, Region
from ..support.faults import Faults, Killed
from ..support.listing import Pages
from ..support.state_machine import Execution, TaskFailedError

PAGE = 4


class OneByOne(Executor):
    """Carries out what it is given at once, so that the number of a call always means the same call."""

    def __init__(self, _workers: int) -> None: ...

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:  # noqa: ANN401
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **more))
        except BaseException as error:  # noqa: BLE001 - as a pool does: whoever asks for the result gets it
            future.set_exception(error)
        return future


@dataclass
class World:
    """The region, and the faults of the calls of its functions."""

    region: Region
    faults: Faults
    invoked: str | None = None
    broken: str | None = None
    """A function that fails whenever it is called."""
    held: bool = False
    """Whether a hold keeps the key that is waited for."""

    def start(self) -> Execution:
        return self.region.start()

    def advance(self, execution: Execution) -> None:
        """Let at most one function be called; where the key is waited for, it goes."""
        if execution.waiting_until is not None and not self.held:
            self.region.remove_key("acme")
        execution.advance(self.invoke)

    def invoke(self, function: str, event: Any) -> Any:  # noqa: ANN401 - JSON
        """Call a function in a new process."""
        if function == self.broken:
            raise TaskFailedError("Lambda.Unknown")
        aws_clients.forget()
        sessions.forget()
        self.invoked = function
        try:
            with self.faults.function():
                return self.region.invoke(function, event)
        except Killed:
            raise TaskFailedError("Lambda.Unknown") from None

    def view(self, execution: Execution) -> str:
        return destroyed_state.written_down(self.region, execution)


@contextmanager
def disturbed(region: Region, patch: pytest.MonkeyPatch) -> Iterator[World]:
    """Provide a bucket of several pages, a request that is open, a run that goes on."""
    patch.setattr(empty_bucket, "PAGES_ALONE", 1)
    patch.setattr(empty_bucket, "ThreadPoolExecutor", OneByOne)
    patch.setattr(empty_bucket, "pause", lambda *_, **__: None)
    patch.setattr(request_store, "pause", lambda _: None)
    region.aws("s3").put_bucket_versioning(Bucket=EVIDENCE, VersioningConfiguration={"Status": "Enabled"})
    for customer in ("acme", "globex"):
        region.ask(customer)
    assert RunLock(REQUESTS, MACHINE).start_run("acme")
    faults = Faults({"s3": Pages(PAGE)})
    with faults.installed():
        yield World(region, faults)
