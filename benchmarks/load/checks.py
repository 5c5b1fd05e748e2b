"""What has to be true after a load run: nothing lost, nothing done twice, nobody else's data touched."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from benchmarks.load.figures import Call
from benchmarks.load.region import Execution, Program, Region
from benchmarks.load.workers import Worker
from local.client import RequestView

_ENDED = re.compile(r"request ended: customer=(\S+) request=(\S+)")
_SUBJECT = re.compile(rb"w\d+-\d{6}@load\.example")


def all_checks(regions: Sequence[Region], workers: Sequence[Worker]) -> list[str]:
    """Return everything that is wrong, one line each; empty if all is well."""
    return [problem for region in regions for problem in _region(region, workers)]


def answer_problems(calls: Iterable[Call]) -> list[str]:
    """Return every kind of answer that no input may bring about: all from 500, and so 503 too."""
    failed = Counter((call.operation, call.status) for call in calls if call.status >= 500)
    return [f"{operation} was answered {status}, {n} times" for (operation, status), n in failed.items()]


def _region(region: Region, workers: Sequence[Worker]) -> Iterator[str]:
    for queue in ("object-events-dead", "dead-letters"):
        if count := region.messages(queue):
            yield f"{region.stack.name}: {count} messages in {queue}"
    requests: dict[str, list[RequestView]] = {}
    for program in region.programs:
        own = [worker for worker in workers if worker.program is program]
        customer = program.customer["id"]
        requests[customer] = _listed(program)
        for problem in (*request_problems(requests[customer], own), *_data(region, customer, own)):
            yield f"{region.stack.name}/{customer}: {problem}"
    for problem in run_problems(region.executions(), requests):
        yield f"{region.stack.name}: {problem}"
    for problem in end_problems(region.log_lines("complete-run"), requests):
        yield f"{region.stack.name}: {problem}"


def _listed(program: Program) -> list[RequestView]:
    with program.client() as client:
        return client.requests(limit=100)


def request_problems(listed: Sequence[RequestView], workers: Iterable[Worker]) -> Iterator[str]:
    """Every answer 202 is one request, every request is one answer 202 or follows one, and all have ended."""
    times_listed = Counter(request.id for request in listed)
    accepted = [id_ for worker in workers for id_ in worker.accepted]
    for id_, times in times_listed.items():
        if times > 1:
            yield f"request {id_} is listed {times} times"
    for id_, times in Counter(accepted).items():
        if times > 1:
            yield f"{times} different idempotency keys got the same request {id_}"
    for id_ in set(accepted) - set(times_listed):
        yield f"request {id_} was answered 202 and is not listed"
    for request in listed:
        if request.id not in accepted and request.follows is None:
            yield f"request {request.id} is listed and nobody asked for it"
        if request.state != "completed":
            yield f"request {request.id} is {request.state}: {request.detail}"
        elif request.completed_at is None or request.run_id is None:
            yield f"request {request.id} is completed and does not say when or by which run"


def run_problems(
    executions: Iterable[Execution], requests: Mapping[str, Sequence[RequestView]]
) -> Iterator[str]:
    """Every run ended well, every request was ended by a run that was there, and no two runs overlapped."""
    by_customer = defaultdict(list)
    for execution in executions:
        by_customer[execution.customer].append(execution)
        if execution.status != "SUCCEEDED":
            yield f"run {execution.run_id} of {execution.customer} is {execution.status}"
    for customer, listed in requests.items():
        ended: dict[str | None, list[datetime]] = defaultdict(list)
        for request in listed:
            if request.completed_at is not None:
                ended[request.run_id].append(datetime.fromisoformat(request.completed_at))
        known = {execution.run_id for execution in by_customer[customer]}
        for run_id in set(ended) - known:
            yield f"requests of {customer} were ended by run {run_id}, which has no execution"
        for earlier, later in zip(by_customer[customer], by_customer[customer][1:], strict=False):
            # A run starts the next one itself, after it has ended its own requests.
            if any(moment > later.started for moment in ended[earlier.run_id]):
                yield f"run {later.run_id} of {customer} began before run {earlier.run_id} had ended"


def end_problems(lines: Iterable[str], requests: Mapping[str, Sequence[RequestView]]) -> Iterator[str]:
    """Every request was ended once, as the log of the function that ends them tells, and no other was."""
    ended = Counter((end[1], end[2]) for line in lines for end in _ENDED.finditer(line))
    listed = {(customer, request.id) for customer, own in requests.items() for request in own}
    for customer, id_ in sorted(listed | set(ended)):
        if (customer, id_) not in listed:
            yield f"request {id_} of {customer} was ended and is not listed"
        elif (times := ended[customer, id_]) != 1:
            yield f"request {id_} of {customer} was ended {times} times"


def _data(region: Region, customer: str, workers: Sequence[Worker]) -> Iterator[str]:
    """Nobody who was erased is found, all others are as they were written, and corrections are in order."""
    erased = {subject.encode() for worker in workers for subject in worker.erased}
    versions = list(region.objects(customer))
    for key, content in versions:
        found = set(_SUBJECT.findall(content)) & erased
        if found:
            yield f"{key} still holds {len(found)} erased subjects"
    contents = dict(versions)
    records: dict[str, str] = {}
    for item in region.vault_items(customer):
        found = set(_SUBJECT.findall(repr(item).encode())) & erased
        if found:
            yield f"item {item['sk']} still holds an erased subject"
        if "record_id" in item:
            records[item["record_id"]["S"]] = item["fields"]["S"]
    for worker in workers:
        yield from record_problems(worker, records)
        yield from file_problems(worker, contents)


def record_problems(worker: Worker, records: Mapping[str, str]) -> Iterator[str]:
    for subject in worker.living:
        if "as written" not in records.get(worker.record_id(subject), ""):
            yield f"the record {worker.record_id(subject)} of somebody who was not erased is not as written"
    for subject in worker.erased:
        if worker.record_id(subject) in records:
            yield f"the record {worker.record_id(subject)} of somebody who was erased is there"
    ledger = records.get(worker.record_id(worker.ledger), "nothing")
    if f'"{worker.ledger_value}"' not in ledger:
        yield f"{worker.name}: the corrected record is {ledger}, not {worker.ledger_value!r}"


def file_problems(worker: Worker, contents: Mapping[str, bytes]) -> Iterator[str]:
    for key, rows in worker.files.items():
        content = contents.get(key)
        if key == worker.ledger_file:
            if content != worker.datasets.row(worker.ledger, worker.ledger_value):
                yield f"{worker.name}: the corrected row is {content!r}, not {worker.ledger_value!r}"
        elif content != b"".join(line for subject, line in rows if subject not in worker.erased):
            yield f"{key} is not what was written without the rows of those who were erased"
    for key, subject in worker.letters.items():
        if (key in contents) == (subject in worker.erased):
            yield f"{key} should be {'gone' if subject in worker.erased else 'there'}, and is not"
