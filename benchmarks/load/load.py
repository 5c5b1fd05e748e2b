"""A load run: both stacks, concurrent mixed requests at the highest rate that holds, and nothing lost.

Workers are closed loops: each sends its next request when the last one is answered. Their number is doubled
until that no longer brings more answers a second; at that number they run for the time asked. Then everything
that was accepted has to end, and the state of both regions is compared with what the workers remember.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

from benchmarks.load import checks
from benchmarks.load.datasets import Datasets
from benchmarks.load.figures import Call, table
from benchmarks.load.region import Program, Region
from benchmarks.load.workers import Upload, Worker
from local.client import PrivacyClient
from local.commands.up import regions as deployed_regions
from local.emulator.emulator import Emulator

MAX_WORKERS = 16
SETTLE_SECONDS = 6.0
"""The emulator starts a process for every call at the same time as others: not what is to be measured."""

RAMP_SECONDS = 6.0
GAIN = 1.1
"""A doubling that brings less than this factor is not worth it."""

DRAIN_SECONDS = 900.0
"""How long everything that was accepted may take to end, after the last request."""


@dataclass(slots=True)
class Crew:
    """The workers' threads, of which the first `active` work and the others wait."""

    workers: Sequence[Worker]
    active: int = 0
    failures: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopped: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start a thread for each worker."""
        for number, worker in enumerate(self.workers):
            thread = threading.Thread(target=self._work, args=(number, worker), name=worker.name)
            self._threads.append(thread)
            thread.start()

    def set_active(self, count: int) -> None:
        """Let the first `count` workers work."""
        with self._changed:
            self.active = count
            self._changed.notify_all()

    def stop(self) -> None:
        """End after the requests that are under way, and wait for that."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _may_work(self, number: int) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or number < self.active)
            return not self._stopped

    def _work(self, number: int, worker: Worker) -> None:
        while self._may_work(number):
            try:
                worker.step()
            except Exception as error:  # noqa: BLE001 - reported, and makes the run fail
                self.failures.append(f"{worker.name}: {type(error).__name__}: {error}")
                return


def run(seconds: float, workers: int | None, seed: int, say: Callable[[str], None] = print) -> list[str]:
    """Carry out a load run and return what was not as it should be, one line each.

    `workers` fixes their number instead of looking for the best one.
    """
    with ExitStack() as stack:
        began = time.monotonic()
        emulator, stacks = stack.enter_context(deployed_regions(name="load"))
        regions = [Region(emulator, each) for each in stacks]
        say(f"{len(regions)} stacks up in {time.monotonic() - began:.1f} s")
        crew = Crew(_workers(stack, emulator, regions, workers or MAX_WORKERS, seed))
        for worker in crew.workers:
            worker.prepare()
        _until(lambda: all(region.queues_empty() for region in regions), 60, "the first files are indexed")
        problems = _measure(crew, seconds, workers, say)
        problems += _drain(regions, crew.workers, say)
        problems += checks.all_checks(regions, crew.workers)
        say(f"{sum(len(region.executions()) for region in regions)} runs")
        return problems


def _workers(
    stack: ExitStack, emulator: Emulator, regions: Iterable[Region], count: int, seed: int
) -> list[Worker]:
    """Spread workers evenly over all customers of all regions."""
    uploads = stack.enter_context(httpx.Client(verify=str(emulator.authority), timeout=60))

    def upload(url: str, headers: Mapping[str, str], content: bytes) -> int:
        return uploads.put(url, headers=headers, content=content).status_code

    programs = [program for region in regions for program in region.programs]
    clients = {program: stack.enter_context(program.client()) for program in programs}
    return [
        _worker(number, programs[number % len(programs)], clients, upload, random.Random(seed + number))
        for number in range(count)
    ]


def _worker(
    number: int,
    program: Program,
    clients: dict[Program, PrivacyClient],
    upload: Upload,
    source: random.Random,
) -> Worker:
    client = clients[program]
    return Worker(f"w{number:02}", program, client, upload, Datasets.of(program.customer), source)


def _measure(crew: Crew, seconds: float, workers: int | None, say: Callable[[str], None]) -> list[str]:
    crew.start()
    try:
        count = workers or _best_count(crew, say)
        crew.set_active(count)
        time.sleep(SETTLE_SECONDS)
        began = time.monotonic()
        while time.monotonic() < began + seconds and not crew.failures:
            time.sleep(0.2)
        ended = time.monotonic()
    finally:
        crew.stop()
    calls = [call for call in _calls(crew.workers) if began <= call.sent < ended]
    say(f"\n{count} workers, {ended - began:.0f} s\n{table(calls, ended - began)}")
    return crew.failures + checks.answer_problems(_calls(crew.workers))


def _best_count(crew: Crew, say: Callable[[str], None]) -> int:
    best, best_rate, count = 1, 0.0, 2
    while count <= len(crew.workers) and not crew.failures:
        crew.set_active(count)
        time.sleep(SETTLE_SECONDS)
        began = time.monotonic()
        time.sleep(RAMP_SECONDS)
        ended = time.monotonic()
        answered = sum(began <= call.sent + call.seconds < ended for call in _calls(crew.workers))
        rate = answered / (ended - began)
        say(f"{count:>3} workers: {rate:6.1f} answers a second")
        if rate < best_rate * GAIN:
            break
        best, best_rate, count = count, rate, count * 2
    return best


def _drain(regions: Sequence[Region], workers: Sequence[Worker], say: Callable[[str], None]) -> list[str]:
    """Wait until queues are empty and all requests have ended."""
    accepted = sum(len(worker.accepted) for worker in workers)
    say(f"\n{accepted} requests accepted, {sum(worker.replays for worker in workers)} of them sent twice")
    began = time.monotonic()
    try:
        _until(lambda: all(region.at_rest() for region in regions), DRAIN_SECONDS, "all requests have ended")
    except TimeoutError as error:
        return [str(error)]
    say(f"at rest {time.monotonic() - began:.0f} s after the last request")
    return []


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {seconds:.0f} s: {what}")
        time.sleep(0.5)


def _calls(workers: Iterable[Worker]) -> Iterable[Call]:
    for worker in workers:
        yield from list(worker.calls)
