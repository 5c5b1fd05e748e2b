"""`python -m benchmarks`: import times and a load run; the status is not 0 if either is not as it must be."""

import argparse
import sys
from pathlib import Path

from benchmarks import imports, load
from components.catalogue import FUNCTIONS
from lambdas.privacy import environment

_BUILD = Path(__file__).resolve().parent.parent / "build" / "local"


def main() -> int:
    """Measure what was asked for; return the exit status."""
    options = _options()
    failed = False
    if not options.load_only:
        failed |= not _imports(options.rounds)
    if not options.imports_only:
        failed |= not _load(options.seconds, options.workers, options.seed)
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--imports-only", action="store_true", help="measure import times and stop")
    parser.add_argument("--load-only", action="store_true", help="only the load run")
    parser.add_argument("--rounds", type=int, default=9, help="imports of each module (default: 9)")
    parser.add_argument("--seconds", type=float, default=60, help="length of the load (default: 60)")
    parser.add_argument("--workers", type=int, help="this many workers instead of the best number")
    parser.add_argument("--seed", type=int, default=1, help="of the mix of requests (default: 1)")
    return parser.parse_args()


def _imports(rounds: int) -> bool:
    names = (
        environment.REGISTRY_TABLE,
        environment.REQUEST_TABLE,
        environment.RUN_STATE_MACHINE_ARN,
        environment.PURPOSE_ROLE_ARN,
    )
    variables = dict.fromkeys(names, "arn:aws:iam::111122223333:role/none")
    modules = [(f"handlers.{spec.module}", _BUILD / spec.package) for spec in FUNCTIONS.values()]
    print(f"Import times, least of {rounds} fresh interpreters (limit: {imports.LIMIT} times boto3)")
    measured = imports.measure(modules, variables, rounds)
    for each in measured:
        late = "  TOO SLOW" if each.ratio > imports.LIMIT else ""
        print(f"  {each.module:<38}{each.seconds * 1000:>7.0f} ms{each.ratio:>7.2f} times{late}")
    return all(each.ratio <= imports.LIMIT for each in measured)


def _load(seconds: float, workers: int | None, seed: int) -> bool:
    print(f"\nLoad run of {seconds:.0f} s")
    problems = load.run(seconds, workers, seed)
    for problem in problems:
        print(f"  WRONG: {problem}")
    if not problems:
        print("Every request that was accepted ended completed, none was lost, none was carried out twice.")
    return not problems


if __name__ == "__main__":
    sys.exit(main())
