"""Tries what `make test` has no time for: other examples of every property, and every fault at every call.

It goes in rounds, each with a seed of its own, until SOAK_MINUTES are over (30, if nobody says otherwise);
the last one is brought to its end. The first one also lets every AWS call of the fault tests go wrong in
every way: those are the same in every round. After a failure it prints what repeats it, and stops.
"""

import json
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROPERTIES, FAULTS = "hypothesis", "faults"
"""The marker that Hypothesis gives to every property, and that of the fault tests."""


def command(seed: int, tests: Sequence[str]) -> list[str]:
    """Return what runs the tests (node ids, or pytest's options) with the examples that the seed makes."""
    options = ["-p", "no:randomly", "--hypothesis-profile=soak", f"--hypothesis-seed={seed}"]
    return [sys.executable, "-m", "pytest", "-q", *options, *tests]


def failed(seed: int, tests: Sequence[str], folder: Path = ROOT) -> list[str]:
    """Run the tests in the folder; return which failed, or all of `tests` where pytest itself did."""
    with tempfile.TemporaryDirectory() as cache:
        ended = subprocess.run([*command(seed, tests), "-o", f"cache_dir={cache}"], cwd=folder, check=False)
        noted = Path(cache, "v", "cache", "lastfailed")
        if ended.returncode == 0:
            return []
        return sorted(json.loads(noted.read_text(encoding="utf-8"))) if noted.exists() else list(tests)


def soak(minutes: float, tests: Sequence[str], more_at_first: Sequence[str], folder: Path = ROOT) -> int:
    """Run rounds of `tests` until the minutes are over, the first one with more; return the exit status."""
    end, number, chosen = time.monotonic() + minutes * 60, 0, more_at_first
    while number == 0 or time.monotonic() < end:
        number += 1
        seed, started = secrets.randbits(32), time.monotonic()
        _say(f"round {number}, seed {seed}")
        failures = failed(seed, chosen, folder)
        _say(f"round {number} took {time.monotonic() - started:.0f} s")
        if failures:
            _say(f"failed; to repeat it: {shlex.join(command(seed, failures))}")
            return 1
        chosen = tests
    _say(f"{number} rounds, nothing failed")
    return 0


def _say(text: str) -> None:
    print(f"soak: {text}", flush=True)  # noqa: T201 - it is started by people


if __name__ == "__main__":
    unit = "tests/unit"
    sys.exit(
        soak(
            float(os.environ.get("SOAK_MINUTES", "30")),
            [unit, "-m", PROPERTIES],
            [unit, "-m", f"{PROPERTIES} or {FAULTS}"],
        )
    )
