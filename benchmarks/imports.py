"""How long each handler takes to import, as a multiple of `import boto3` in the same run.

A cold start is paid by whoever sends the first request after a pause, and most of it is imports. Each import
is measured in a fresh interpreter, from the built package, without bytecode of our own code: Lambda cannot
write any next to a package. boto3, like the one in the Lambda runtime, has its bytecode.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1.5
"""A handler may take this many times as long as `import boto3`."""

_MEASURE = """
import sys, time
started = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - started)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Median import time of one module, in seconds, and its ratio to boto3's."""

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
    for _ in range(rounds):
        for module, package in plan:
            times[module].append(_import_once(module, package, environment))
    baseline = statistics.median(times["boto3"])
    return [
        Measured(module, median, median / baseline)
        for module, median in ((module, statistics.median(taken)) for module, taken in times.items())
    ]


def _import_once(module: str, package: Path, environment: dict[str, str]) -> float:
    variables = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(package.resolve()) if package != Path() else "",
        "AWS_DEFAULT_REGION": "eu-west-1",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, module], env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} does not import from {package}:\n{done.stderr}")
    return float(done.stdout)
