"""Runs several callers at once, but one AWS call at a time, in an order that the test chooses."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from hypothesis import strategies as st

WAIT_SECONDS = 30


class Interleaving:
    """Threads that stop before each AWS call until they are told to go on."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        self._alive: set[int] = set()
        self._turn: int | None = None
        self._ids: dict[int, int] = {}

    def run(self, callers: Sequence[Callable[[], object]]) -> list[Any]:
        """Run the callers to their end; return what each returned, or raise what one raised."""
        results: list[Any] = [None] * len(callers)
        errors: list[BaseException] = []

        def work(number: int) -> None:
            self._ids[threading.get_ident()] = number
            try:
                results[number] = callers[number]()
            except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
                errors.append(error)
            finally:
                with self._changed:
                    # A thread that another caller starts may get the same one.
                    del self._ids[threading.get_ident()]
                    self._alive.discard(number)
                    self._turn = None
                    self._changed.notify_all()

        self._alive = set(range(len(callers)))
        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in self._alive]
        with self._one_call_at_a_time():
            for thread in threads:
                thread.start()
            self._conduct()
            for thread in threads:
                thread.join(WAIT_SECONDS)
        if errors:
            raise errors[0]
        return results

    def _conduct(self) -> None:
        while True:
            with self._changed:
                ready = self._changed.wait_for(
                    lambda: self._turn is None and set(self._waiting) == self._alive, WAIT_SECONDS
                )
                assert ready, "a caller neither called AWS nor came to its end"
                if not self._alive:
                    return
                waiting = sorted(self._waiting)
                self._turn = waiting[self._choose(len(waiting))]
                self._waiting.remove(self._turn)
                self._changed.notify_all()

    @contextmanager
    def _one_call_at_a_time(self) -> Iterator[None]:
        original = BaseClient._make_api_call

        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
            number = self._ids.get(threading.get_ident())
            if number is None:
                return original(client, operation, parameters)
            with self._changed:
                if self._turn == number:
                    self._turn = None
                self._waiting.append(number)
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: self._turn == number, WAIT_SECONDS):
                    raise TimeoutError
            return original(client, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield


def interleavings(calls: int = 40) -> st.SearchStrategy[Interleaving]:
    """Draw an order of that many calls; after them, the first caller that waits goes on."""
    choices = st.lists(st.integers(0, 11), max_size=calls)
    return choices.map(lambda drawn: Interleaving(_chooser(iter(drawn))))


def _chooser(drawn: Iterator[int]) -> Callable[[int], int]:
    return lambda count: next(drawn, 0) % count
