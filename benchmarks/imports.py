"""How long each handler takes to import, as a multiple of `import boto3` in the same run.

A cold start is paid by whoever sends the first request after a pause, and most of it is imports. Each import
is measured in a fresh interpreter, from the built package, with the bytecode that is in it: Lambda cannot
write any next to a package. boto3, like the one in the Lambda runtime, has its bytecode. What counts is the
least processor time of several rounds: an import computes the same every time, and does little else, so all
that is more than the least is the machine doing something else.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1.5
"""A handler may take this many times as long as `import boto3`."""

STACK_STEP = 20
"""Frames by which each round imports at a greater depth than the one before.

CPython keeps Python frames in chunks of 16 KiB and gives a chunk back as soon as it is empty. A loop that
happens to call across a boundary maps and unmaps memory at every call, which can add half to an import. Where
that hits depends on the depth alone, and Lambda imports at another depth than this does.
"""

_MEASURE = """
import sys, time
def at(depth):
    if depth:
        return at(depth - 1)
    started = time.process_time()
    __import__(sys.argv[1])
    return time.process_time() - started
print(at(int(sys.argv[2])))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Least import time of one module, in seconds of processor time, and its ratio to boto3's."""

    module: str
    seconds: float
    ratio: float


def measure(modules: Iterable[tuple[str, Path]], environment: dict[str, str], rounds: int) -> list[Measured]:
    """Import each module, given with its package, `rounds` times; the first result is `import boto3`.

    Rounds go over all modules in turn, so that a slow moment of the machine does not fall on one of them.
    Raises RuntimeError with the interpreter's output where a module does not import.
    """
    plan = [("boto3", Path()), *modules]
    # boto3 gets its bytecode if it was only just installed.
    subprocess.run([sys.executable, "-c", "import boto3"], check=True)
    times: dict[str, list[float]] = {module: [] for module, _ in plan}
    for number in range(rounds):
        for module, package in plan:
            times[module].append(_import_once(module, package, environment, number * STACK_STEP))
    baseline = min(times["boto3"])
    return [Measured(module, min(taken), min(taken) / baseline) for module, taken in times.items()]


def _import_once(module: str, package: Path, environment: dict[str, str], depth: int) -> float:
    variables = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(package.resolve()) if package != Path() else "",
        "AWS_DEFAULT_REGION": "eu-west-1",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, module, str(depth)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} does not import from {package}:\n{done.stderr}")
    return float(done.stdout)
