"""Tries what `make test` has no time for: other examples of every property, and every fault at every call.

It goes in rounds, each with a seed of its own, until SOAK_MINUTES are over (30, if nobody says otherwise);
the last one is brought to its end. The first one also lets every AWS call of the fault tests go wrong in
every way: those are the same in every round. After a failure it prints what repeats it, and stops.
"""

import json
import math
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


def repeat(seed: int, tests: Sequence[str], folder: Path = ROOT) -> str:
    """Return the shell's command that runs the tests again as a round did, wherever it is typed in."""
    return f"cd {shlex.quote(str(folder))} && PYTHONHASHSEED={seed} {shlex.join(command(seed, tests))}"


def failed(seed: int, tests: Sequence[str], folder: Path = ROOT) -> list[str]:
    """Run the tests in the folder; return which failed, or all of `tests` where pytest itself did."""
    with tempfile.TemporaryDirectory() as cache:
        ended = subprocess.run(
            [*command(seed, tests), "-o", f"cache_dir={cache}"],
            cwd=folder,
            # The order of sets is a part of what a seed has to repeat.
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            check=False,
        )
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
            _say(f"failed; to repeat it: {repeat(seed, failures, folder)}")
            return 1
        chosen = tests
    _say(f"{number} rounds, nothing failed")
    return 0


def _say(text: str) -> None:
    print(f"soak: {text}", flush=True)  # noqa: T201 - it is started by people


def main() -> int:
    """Soak for SOAK_MINUTES; return the exit status: 2 where that is no number, 130 after Ctrl-C."""
    asked = os.environ.get("SOAK_MINUTES", "30")
    try:
        minutes = float(asked)
    except ValueError:
        minutes = math.nan
    if not 0 <= minutes < math.inf:
        _say(f"SOAK_MINUTES is {asked!r}: give a number of minutes, such as 30")
        return 2
    unit = "tests/unit"
    try:
        return soak(minutes, [unit, "-m", PROPERTIES], [unit, "-m", f"{PROPERTIES} or {FAULTS}"])
    except KeyboardInterrupt:
        _say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
