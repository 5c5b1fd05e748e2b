"""`python -m local contract-end`: what a contract's end would destroy, or the end itself."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.errors import LocalError
from local.executions import carry_out, client_of
from local.stacks import Stack, there_are

_WHY_NOT = {"held": "it is held (contract.hold)", "not-due": "it is not due"}


def contract_end(customer: str, stack_name: str | None = None, *, dry_run: bool) -> int:
    """Start the workflow for a customer of a stack that is up, and print what it found or did.

    Follows it until nothing is left but the key. Returns the process's exit code: 1 where the workflow would
    not destroy anything, or did not. Raises LocalError where no stack that is up has the customer, or the
    execution fails.
    """
    stack = _stack_of(customer, stack_name)
    step_functions = client_of(stack, "stepfunctions")
    given = {"customer": customer, "dry_run": dry_run}
    ended = carry_out(step_functions, stack, "contract-end", given, until="WaitForKey")
    print("\n".join(inventory(ended) if dry_run else outcome(customer, ended)))
    return 1 if ended.get("reason") else 0


def inventory(found: Mapping[str, Any]) -> list[str]:
    """The lines that tell a person what would go."""
    bucket, table, key = found["bucket"], found["table"], found["key"]
    partly = "" if bucket["complete"] else " at least (there was no time to list all)"
    versions = f"{bucket['versions']:,} versions with {bucket['bytes']:,} bytes"
    more = f"{bucket['delete_markers']:,} delete markers, {bucket['unfinished_uploads']:,} unfinished uploads"
    lines = [
        f"{found['customer']}: the end of its contract would destroy{partly}",
        f"  bucket   {bucket['name']}: {versions}, {more}",
    ]
    if table["state"] == "GONE":
        lines.append(f"  table    {table['name']}: gone already")
    else:
        lines.append(
            f"  table    {table['name']}: {table['items_counted_last']:,} items with "
            f"{table['bytes_counted_last']:,} bytes when DynamoDB last counted them"
        )
    lines.append(f"  clients  {found['clients']}")
    lines.append(f"  key      {key['arn']}, {key['deletion_days']} days after the order")
    when = f"from {found['due']} on"
    if found["reason"]:
        lines.append(f"now it would destroy nothing, because {_WHY_NOT[found['reason']]}; due {when}")
    else:
        lines.append(f"it is due {when}: nothing keeps it from being destroyed now")
    return lines


def outcome(customer: str, ended: Mapping[str, Any]) -> Sequence[str]:
    """The lines that tell a person how far the destruction has come."""
    if ended.get("reason"):
        due = f"due from {ended['due']} on"
        return [f"{customer}: nothing was destroyed, because {_WHY_NOT[ended['reason']]}; {due}"]
    return [f"{customer}: destroyed and read back; the key goes at {ended['look_at']}"]


def evidence(s3: Any, stack: Stack, customer: str) -> dict[str, dict[str, Any]]:
    """What the stack keeps as evidence of the contract's end, by stage."""
    bucket = f"{stack.prefix}-evidence-{stack.account}-{stack.region}"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"contract-end/{customer}/").get("Contents", [])
    documents = [json.loads(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()) for each in listed]
    return {document["stage"]: document for document in documents if "stage" in document}


def _stack_of(customer: str, stack_name: str | None) -> Stack:
    up = [Stack.read(stack_name)] if stack_name else Stack.all_that_are_up()
    having = [stack for stack in up if customer in stack.vaults]
    if len(having) == 1:
        return having[0]
    if having:
        names = ", ".join(stack.name for stack in having)
        raise LocalError(f"{customer} is a customer of {names}: say which with --stack")
    if not up:
        raise LocalError("no stack is up: start `make up` first")
    known = there_are(name for stack in up for name in stack.vaults)
    raise LocalError(f"no stack that is up has a customer {customer}: {known}")
