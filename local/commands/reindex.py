"""`python -m local reindex`: compare the indexes of a stack that is up with its objects."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from local import executions
from local.errors import LocalError
from local.executions import client_of
from local.stacks import Stack, there_are

KINDS: Final = {
    "missing-entry": "no entry for rows that are there",
    "wrong-entry": "an entry of another version, count or dataset",
    "superfluous-entry": "an entry of somebody without rows",
    "unmarked-version": "a version not marked as indexed",
    "unreadable-object": "a version that cannot be read",
    "missing-note": "nothing is noted of what cannot be attributed",
    "stale-note": "a note that is not true any more",
    "outside-datasets": "an entry outside every dataset",
    "vanished-object": "the object is gone",
    "not-compared": "the object could not be compared",
}
"""What each kind of difference means."""

_COLUMNS: Final = ("kind", "dataset", "object", "subject", "index_version", "object_version", "more")


def reindex(stack_name: str, customer: str | None = None, *, dry_run: bool = False) -> int:
    """Reindex one customer of the stack that is up, or all; print counts and differences.

    Returns the process's exit code: 1 where differences remain. Raises LocalError where the stack is not
    up, has no such customer, or an execution fails.
    """
    stack = Stack.read(stack_name)
    if customer is not None and customer not in stack.vaults:
        raise LocalError(f"{stack_name} has no customer {customer}: {there_are(stack.vaults)}")
    if not stack.vaults:
        print(f"{stack_name} has no customers: there is nothing to reindex")
    remaining = 0
    for each in [customer] if customer else stack.vaults:
        done = carry_out(client_of(stack, "stepfunctions"), stack, each, dry_run=dry_run)
        found = differences(client_of(stack, "s3"), stack, done)
        print("\n".join(shown(done, found)))
        remaining += done["counts"]["remaining"]
    return 1 if remaining else 0


def carry_out(step_functions: Any, stack: Stack, customer: str, *, dry_run: bool) -> dict[str, Any]:
    """Start an execution, wait for its end, return its output. Raises LocalError where it fails."""
    given = {"customer": customer, "dry_run": dry_run}
    return executions.carry_out(step_functions, stack, "reindex", given)


def differences(s3: Any, stack: Stack, done: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every difference that the reindex wrote down as evidence."""
    found: list[dict[str, Any]] = []
    for page in range(done["counts"]["pages"]):
        key = f"reindex/{done['customer']}/{done['reindex_id']}-{page:05d}.json"
        body = s3.get_object(Bucket=f"{stack.prefix}-evidence-{stack.account}-{stack.region}", Key=key)[
            "Body"
        ]
        found += json.loads(body.read())["differences"]
    return found


def shown(done: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines that tell a person what was found: counts, then a table of all differences."""
    counts = done["counts"]
    what = "looked at" if done["dry_run"] else "compared"
    head = f"{done['customer']}: {counts['objects']} objects {what}, {len(found)} differences"
    tail = f"{counts['repaired']} put right, {counts['remaining']} remain (reindex {done['reindex_id']})"
    lines = [f"{head}, {tail}"]
    lines += [
        f"  {number:>6}  {kind}: {KINDS[kind]}" for kind, number in sorted(counts["differences"].items())
    ]
    if not found:
        return lines
    rows = [_COLUMNS, *(_cells(difference) for difference in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines.append("")
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]


def _cells(difference: Mapping[str, Any]) -> tuple[str, ...]:
    more = [
        *difference.get("differs", []),
        *([difference["error"]] if "error" in difference else []),
        *([] if difference["repaired"] else ["remains"]),
    ]
    return (*(str(difference.get(name, "-")) for name in _COLUMNS[:-1]), " ".join(more))
