"""A contract's end on the emulator: a large vault is gone in as few S3 calls as its pages need.

The function that empties the bucket works in a process of its own here, with the credentials of its role and
against the emulator's endpoint, so that its calls can be counted and its memory looked at. Everything else
is carried out by the emulator, as the region's state machine has it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.commands.up import regions
from local.emulator.emulator import Emulator
from local.stacks import Stack
from tests.e2e.support import World

STACK: Final = "eu-west"
PAGE: Final = 1000
"""The most that S3 lists, and deletes, in one call."""

WITH_CONTENT: Final = 2_000
"""Versions that are put one by one, some hundred a second; of more there are delete markers."""

OTHER_CALLS: Final = 2
"""Besides pages: whose bucket it is, and which uploads are unfinished."""

RATIO_LIMIT: Final = 1.02
MEMORY_LIMIT: Final = 16.0
"""MiB by which a bucket of any size may take more memory than the smallest one."""

_SECONDS: Final = 900
_THREADS: Final = 8
_ROOT: Final = Path(__file__).resolve().parent.parent
_SCRIPT: Final = (
    "import sys; sys.path[:0] = sys.argv[2:]\n"
    "from benchmarks import contract_end; contract_end.empty_here(sys.argv[1])"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A vault that was destroyed: what its bucket held, and what emptying it took."""

    versions: int
    seconds: float
    calls: dict[str, int]
    mib: float

    @property
    def minimum(self) -> int:
        """Listings and deletions of so many versions, if each page is full."""
        return 2 * -(-self.versions // PAGE)

    @property
    def ratio(self) -> float:
        """Calls as a multiple of the minimum."""
        return sum(self.calls.values()) / self.minimum

    @property
    def good(self) -> bool:
        """Whether it took no more calls than it may: of few pages, the two others are a large part."""
        return sum(self.calls.values()) <= max(RATIO_LIMIT * self.minimum, self.minimum + OTHER_CALLS)


def measure(sizes: Iterable[int], say: Callable[[str], None]) -> list[Measured]:
    """Destroy a vault of each size, which is the number of its versions and of its records."""
    with regions([STACK], name="contract-end") as (emulator, (stack,)):
        world = World(emulator, {STACK: stack}, {})
        customers = list(stack.vaults)
        return [_measured(world, customers[number], size, say) for number, size in enumerate(sizes)]


def _measured(world: World, customer: str, size: int, say: Callable[[str], None]) -> Measured:
    emulator, stack = world.emulator, world.stacks[STACK]
    began = time.monotonic()
    _fill_bucket(emulator, stack, customer, size)
    _fill_table(emulator, stack, customer, size)
    say(f"  {size:,} versions and {size:,} records put in {time.monotonic() - began:.0f} s")
    _end_contract(emulator, stack, customer)
    functions = emulator.client("lambda", stack.region)
    for function in ("empty-bucket", "freeze-contract"):  # the first one in vain: so that its role is known
        functions.invoke(
            FunctionName=f"{stack.prefix}-{function}",
            Payload=json.dumps({"customer": customer, "round": 0}),
        )
    began = time.monotonic()
    calls, mib = _emptied(world, customer)
    seconds = time.monotonic() - began
    _carry_out(emulator, stack, customer)
    return Measured(size, seconds, calls, mib)


def _fill_bucket(emulator: Emulator, stack: Stack, customer: str, size: int) -> None:
    """Put so many versions where no dataset lies, so that nothing of it is indexed.

    Those with content first, two of each key; the rest are delete markers, which S3 lists and deletes in the
    same way, and of which a thousand are put in one call.
    """
    s3, bucket = emulator.client("s3", stack.region), stack.vaults[customer].bucket

    def put(number: int) -> None:
        s3.put_object(Bucket=bucket, Key=f"large/{number // 2:07}", Body=b"x")

    def hide(first: int) -> None:
        keys = [{"Key": f"large/{number:07}"} for number in range(first, min(first + PAGE, size))]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(put, range(min(size, WITH_CONTENT))))
        list(pool.map(hide, range(WITH_CONTENT, size, PAGE)))


def _fill_table(emulator: Emulator, stack: Stack, customer: str, size: int) -> None:
    dynamodb, table = emulator.client("dynamodb", stack.region), stack.vaults[customer].table

    def put(first: int) -> None:
        items = [
            {"pk": {"S": f"subject#{number}"}, "sk": {"S": f"record#profiles/{number}"}}
            for number in range(first, min(first + 25, size))
        ]
        dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(put, range(0, size, 25)))


def _end_contract(emulator: Emulator, stack: Stack, customer: str) -> None:
    emulator.client("dynamodb", stack.region).update_item(
        TableName=f"{stack.prefix}-registry",
        Key={"pk": {"S": f"customer#{customer}"}},
        UpdateExpression="SET contract_ends = :ends, grace_days = :days",
        ExpressionAttributeValues={":ends": {"S": "2026-01-31"}, ":days": {"N": "0"}},
    )


def _emptied(world: World, customer: str) -> tuple[dict[str, int], float]:
    """Have the bucket emptied in a new process; return its calls of S3, and the MiB above its imports."""
    stack = world.stacks[STACK]
    deployed = world.emulator.client("lambda", stack.region).get_function_configuration(
        FunctionName=f"{stack.prefix}-empty-bucket"
    )
    credentials: Any = world.function_session(STACK, "empty-bucket").get_credentials()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ENDPOINT_URL": world.emulator.url,
        "AWS_CA_BUNDLE": str(world.emulator.authority),
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
        **deployed["Environment"]["Variables"],
    }
    answer = subprocess.run(
        [sys.executable, "-c", _SCRIPT, customer, str(_ROOT), str(_ROOT / "lambdas")],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    found = json.loads(answer.stdout.splitlines()[-1])
    return found["calls"], found["mib"]


def empty_here(customer: str) -> None:
    """Empty the customer's bucket in this process, and print what that took."""
    from benchmarks.costs.calls import tallied
    from benchmarks.visits.rows import peak
    from handlers.contracts import empty_bucket

    @dataclass
    class Context:
        ends: float

        def get_remaining_time_in_millis(self) -> int:
            return int((self.ends - time.monotonic()) * 1000)

    started = peak()
    done = False
    with tallied("s3") as calls:
        while not done:
            context = Context(time.monotonic() + _SECONDS)
            done = empty_bucket.handler({"customer": customer, "round": 0}, context)["done"]
    print(json.dumps({"calls": calls, "mib": peak() - started}))


def _carry_out(emulator: Emulator, stack: Stack, customer: str) -> None:
    """Have the state machine do all the rest. Raises RuntimeError where something is left."""
    states = emulator.client("stepfunctions", stack.region)
    machine = f"arn:aws:states:{stack.region}:{stack.account}:stateMachine:{stack.prefix}-contract-end"
    execution = states.start_execution(stateMachineArn=machine, input=json.dumps({"customer": customer}))
    registry = emulator.client("dynamodb", stack.region)
    mark = {"pk": {"S": f"destruction#{customer}"}}
    deadline = time.monotonic() + _SECONDS
    while True:
        item = registry.get_item(TableName=f"{stack.prefix}-registry", Key=mark)["Item"]
        if item["state"]["S"] == "scheduled":
            return
        status = states.describe_execution(executionArn=execution["executionArn"])["status"]
        if status != "RUNNING" or time.monotonic() > deadline:
            raise RuntimeError(f"the contract's end of {customer} is {status}, and not all is gone")
        time.sleep(1)
