"""Step of a contract's end: delete what is in the vault's bucket, all of it or below one prefix."""

from typing import Any

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.contracts import destruction_mark, empty_bucket
from privacy.contracts.destruction_steps import check_bucket, open_destruction


@reported("empty-bucket")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, round, dataset?} → {customer, round, done, datasets}.

    Without `dataset` (its number in the config) it is about the whole bucket. `datasets` are the numbers of
    those with a prefix, which can be emptied side by side where `done` is false.
    """
    step = open_destruction(event)
    vault = step.open("destroy")
    check_bucket(vault)
    number = event.get("dataset")
    prefix = "" if number is None else step.customer.datasets[number].prefix or ""
    emptied = empty_bucket.empty(
        vault,
        prefix,
        context.get_remaining_time_in_millis,
        pages=empty_bucket.PAGES_ALONE if number is None else None,
    )
    destruction_mark.count(step.registry.table, step.customer.id, emptied.counts)
    with_prefix = [number for number, dataset in enumerate(step.customer.datasets) if dataset.prefix]
    return {**step.ids, "done": emptied.done, "datasets": with_prefix}
