"""Step of a contract's end: delete what is in the vault's bucket, all of it or below one prefix."""

from typing import Any

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.contracts import destruction_mark, empty_bucket
from privacy.contracts.destruction_steps import DestructionHeldError, check_bucket, open_destruction


@reported("empty-bucket")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, round, dataset?} → {customer, round, done, datasets}.

    Without `dataset` (the number of a prefix) it is about the whole bucket. `datasets` are the numbers of all
    prefixes, which can be emptied side by side where `done` is false.
    """
    step = open_destruction(event)
    vault = step.open("destroy")
    if not check_bucket(vault):
        if step.mark.refused:  # with the bucket, what S3 refused to delete is gone
            destruction_mark.refuse(step.registry.table, step.customer.id, {})
        return {**step.ids, "done": True, "datasets": []}
    step.found("bucket")
    number = event.get("dataset")
    emptied = empty_bucket.empty(
        vault,
        "" if number is None else step.prefixes[number],
        context.get_remaining_time_in_millis,
        step.is_held,
        pages=empty_bucket.PAGES_ALONE if number is None else None,
    )
    table, customer = step.registry.table, step.customer.id
    destruction_mark.count(table, customer, emptied.counts)
    if emptied.held:
        raise DestructionHeldError("the contract is held")
    if emptied.done and number is None and emptied.refused != step.mark.refused:
        destruction_mark.refuse(table, customer, emptied.refused)
    return {**step.ids, "done": emptied.done, "datasets": list(range(len(step.prefixes)))}
