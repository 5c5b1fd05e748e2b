"""Comparing the objects of a reindex one after the other, until less than RESERVE_MILLISECONDS are left."""

import logging
from collections.abc import Callable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws.failures import StepFailedError, error_name
from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.reindex.comparer import Comparer
from privacy.reindex.items import Comparison
from privacy.requests.store import RequestBusyError
from privacy.vault.items import TableBusyError
from privacy.vault.objects import ObjectChangedError

_log: Final = logging.getLogger("privacy")

_FAILURES: Final = (BotoCoreError, ClientError, ObjectChangedError, RequestBusyError, TableBusyError)


class ComparisonsFailedError(StepFailedError):
    """Some of the objects could not be compared. Calling again takes up what is left."""


def compare_between(comparer: Comparer, first: str, last: str, remaining: Callable[[], int]) -> bool:
    """Compare the objects whose digests begin with `first` to `last` and that are not done yet.

    `remaining` tells the milliseconds left. Returns whether they sufficed. Raises ComparisonsFailedError,
    after the others, where some failed.
    """
    comparisons = comparer.comparisons
    waiting = [each for each in comparisons.between(first, last) if not each.done]
    failed = 0
    # What was tried least comes first: an object that ends the function's process keeps no other waiting.
    for comparison in sorted(waiting, key=lambda each: each.tries):
        if remaining() < RESERVE_MILLISECONDS:
            return False
        try:
            comparisons.begin(comparison)
            comparer.compare(comparison)
            comparisons.mark_done(comparison)
        except _FAILURES as error:
            failed += 1
            _note_failure(comparer, comparison, error_name(error))
    if failed:
        raise ComparisonsFailedError(f"{failed} objects between {first} and {last} failed")
    return True


def _note_failure(comparer: Comparer, comparison: Comparison, error: str) -> None:
    # Only the kind: an error's text may quote an object key.
    text = "object not compared: customer=%s reindex=%s object=%s error=%s"
    place = (comparer.vault.customer.id, comparer.comparisons.reindex_id, comparison.digest[:12])
    _log.error(text, *place, error)
    try:
        comparer.comparisons.note_failure(comparison, error)
    except (BotoCoreError, ClientError) as failure:
        # The others go on; the report says that this one was not compared all the same.
        _log.error(text, *place, error_name(failure))
