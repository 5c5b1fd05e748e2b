"""Send generated data through the API, as a customer's own programs would."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from local.client import PrivacyClient
from local.demo.generate import CustomerData
from local.emulator.emulator import Emulator
from local.errors import LocalError
from local.stacks import Stack
from local.vaults import VaultView

_THREADS = 3
"""More would only start more Lambda processes than a small machine has processors for."""


def send(client: PrivacyClient, data: CustomerData) -> int:
    """Send records, files and letters; how many calls that took.

    Raises the client's ProblemError for the first call that is refused.
    """
    setting = data.customer.subject_id
    calls: list[Callable[[], None]] = []
    for record in data.records:
        subject = record.person.identifier(setting)
        calls.append(_call(client.put_record, record.dataset, record.id, subject, record.fields))
    for file in data.files:
        calls.append(_call(client.upload, file.dataset, file.key, file.content))
    for table in data.tables:
        calls.append(_call(client.upload, table.dataset, table.key, table.content))
    for letter in data.letters:
        subject = letter.person.identifier(setting)
        calls.append(_call(client.upload, letter.dataset, letter.key, letter.content, subject=subject))
    _in_parallel(calls)
    return len(calls)


def expected_index_entries(data: CustomerData) -> int:
    """How many "this object holds rows of this subject" entries the vault has once all is indexed."""
    return sum(len(set(file.people)) for file in data.files_of_rows) + len(data.letters)


def wait_until_indexed(emulator: Emulator, stack: Stack, data: CustomerData, *, seconds: float = 180) -> None:
    """Wait until the index knows every row that was sent.

    Raises LocalError when it does not get there in time.
    """
    view = VaultView(emulator, stack, data.customer.id)
    wanted = expected_index_entries(data)
    deadline = time.monotonic() + seconds
    while (there := view.index_entries()) < wanted:
        if time.monotonic() > deadline:
            raise LocalError(f"{data.customer.id}: {there} of {wanted} index entries after {seconds} s")
        time.sleep(0.2)


def _call(function: Callable[..., None], *arguments: object, **named: object) -> Callable[[], None]:
    return lambda: function(*arguments, **named)


def _in_parallel(calls: Iterable[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for outcome in [pool.submit(call) for call in calls]:
            outcome.result()
