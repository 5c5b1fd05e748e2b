"""`python -m benchmarks`: import times, visits of files, a contract's end and a load run.

Its exit status is not 0 where one of them is not as it must be.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import imports
from benchmarks.load import load
from benchmarks.visits import indexed, parquet
from benchmarks.visits import rows as row_visits
from components.functions.catalogue import FUNCTIONS
from lambdas.privacy import environment

_BUILD = Path(__file__).resolve().parent.parent / "build" / "local"


def main() -> int:
    """Measure what was asked for; return the exit status."""
    options = _options()
    if options.costs:
        return int(not _costs())
    failed = False
    everything = not (
        options.load_only or options.imports_only or options.visits_only or options.contract_end_only
    )
    if everything or options.imports_only:
        failed |= not _imports(options.rounds)
    if everything or options.visits_only:
        for rows in options.rows:
            failed |= not _visits(rows)
        failed |= not _memory()
    if everything or options.contract_end_only:
        failed |= not _contract_end(options.versions)
    if everything or options.load_only:
        failed |= not _load(options.seconds, options.workers, options.seed)
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--imports-only", action="store_true", help="measure import times and stop")
    parser.add_argument("--load-only", action="store_true", help="only the load run")
    parser.add_argument("--visits-only", action="store_true", help="only the visits of files")
    parser.add_argument(
        "--costs", action="store_true", help="only count calls, and update the README's table"
    )
    parser.add_argument("--contract-end-only", action="store_true", help="only the end of a contract")
    many = "versions, and records, of the vaults that are destroyed, at most two (default: 10,000 and 20,000)"
    parser.add_argument("--versions", type=int, nargs="+", default=[10_000, 20_000], help=many)
    sizes = "of the visited files (default: 200,000 and 1,000,000)"
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000], help=sizes)
    parser.add_argument("--rounds", type=int, default=9, help="imports of each module (default: 9)")
    parser.add_argument("--seconds", type=float, default=60, help="length of the load (default: 60)")
    parser.add_argument("--workers", type=int, help="this many workers instead of the best number")
    parser.add_argument("--seed", type=int, default=1, help="of the mix of requests (default: 1)")
    return parser.parse_args()


def _costs() -> bool:
    sys.path.insert(0, str(_BUILD.parent.parent / "lambdas"))
    from benchmarks.costs import costs

    costs.update()
    print(costs.table())
    calls = costs.shared(people=1000, files=100)
    print(f"S3 calls of a run for 1,000 people in 100 shared files: {calls}")
    # The ledger's entry is one more to put.
    return set(calls.values()) <= {100, 101}


def _imports(rounds: int) -> bool:
    names = (
        environment.REGISTRY_TABLE,
        environment.REQUEST_TABLE,
        environment.RUN_STATE_MACHINE_ARN,
        environment.CONTRACT_END_STATE_MACHINE_ARN,
        environment.EXPORT_STATE_MACHINE_ARN,
        environment.EVENT_BUS,
        environment.EVIDENCE_BUCKET,
        environment.PURPOSE_ROLE_ARN,
    )
    variables = dict.fromkeys(names, "arn:aws:iam::111122223333:role/none")
    modules = [(spec.path, _BUILD / spec.package) for spec in FUNCTIONS.values()]
    print(f"Import times, least of {rounds} fresh interpreters (limit: {imports.LIMIT} times boto3)")
    measured = imports.measure(modules, variables, rounds)
    for each in measured:
        late = "  TOO SLOW" if each.ratio > imports.LIMIT else ""
        print(f"  {each.module:<38}{each.seconds * 1000:>7.0f} ms{each.ratio:>7.2f} times{late}")
    return all(each.ratio <= imports.LIMIT for each in measured)


def _visits(rows: int) -> bool:
    print(f"\nVisits of files of {rows:,} rows: rows a second, and as a part of what a baseline does")
    sys.path.insert(0, str(_BUILD.parent.parent / "lambdas"))
    rounds = 5 if rows <= 200_000 else 2
    measured = [
        *row_visits.measure(rows, rounds),
        *indexed.measure(rows, rounds),
        parquet.measure(rows, rounds),
    ]
    for each in measured:
        slow = "" if each.good else "  TOO SLOW"
        ratio = each.rows / each.baseline_rows
        print(f"  {each.name:<26}{each.rows:>11,.0f}{ratio:>7.2f} of {each.baseline}{slow}")
    return all(each.good for each in measured)


def _memory() -> bool:
    print("\nPeak memory of visits")
    good = True
    for kind in row_visits.LIMITS:
        for size in (200_000, 5_000_000):
            taken = row_visits.peak_memory(kind, size)
            over = "" if taken <= row_visits.MEMORY_LIMIT else "  TOO MUCH"
            good &= not over
            print(f"  {kind} of {size:>9,} rows{taken:>9.0f} MiB above its imports{over}")
    for kind in (*indexed.KINDS, indexed.REINDEXED):
        for size in (200_000, 5_000_000):
            taken = indexed.peak_memory(kind, size)
            over = "" if taken <= row_visits.MEMORY_LIMIT else "  TOO MUCH"
            good &= not over
            name = kind if kind == indexed.REINDEXED else f"{kind}, through the index,"
            print(f"  {name} of {size:>9,} rows{taken:>9.0f} MiB above its imports{over}")
    for size in (200_000, 5_000_000):
        taken, limit = parquet.peak_memory(size)
        over = "" if taken <= limit else "  TOO MUCH"
        good &= not over
        print(f"  parquet of {size:>9,} rows{taken:>7.0f} MiB of {limit:.0f} (one row group and 150){over}")
    return good


def _contract_end(sizes: Sequence[int]) -> bool:
    print("\nThe end of a contract: S3 calls as a multiple of what the pages need, and peak memory")
    sys.path.insert(0, str(_BUILD.parent.parent / "lambdas"))
    from benchmarks import contract_end

    measured = contract_end.measure(sizes, print)
    good = True
    for each in measured:
        more = each.mib - measured[0].mib
        over = "" if each.good else "  TOO MANY"
        large = "" if more <= contract_end.MEMORY_LIMIT else "  TOO MUCH"
        good &= not over + large
        print(
            f"  {each.versions:>9,} versions{sum(each.calls.values()):>7} calls, {each.ratio:.3f} times{over}"
            f"{each.mib:>7.0f} MiB above its imports{large}, {each.seconds:.0f} s"
        )
    return good


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
