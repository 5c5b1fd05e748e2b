"""Corrections: which changes a customer may ask for, and where their values wait."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.api import problems
from privacy.api.problems import Fault, ProblemError
from privacy.aws.failures import error_name
from privacy.customers.customer import Customer, Dataset
from privacy.customers.references import EMAIL, EXACT
from privacy.vault import request_items
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")

MAX_CHANGES_BYTES: Final = 64 * 1024
"""With the largest record (`records.MAX_FIELDS_BYTES`) this stays below the 400 KB of a table item."""

_IDENTIFYING_KIND: Final = {EMAIL: "email", EXACT: "id"}
"""How the customer tells people apart → the kind of field that holds it, in a dataset that names none."""

_IDENTIFIES: Final = (
    "identifies the subject: changed, the data would be another subject's. Erase and send again"
)

_WHOSE: Final = (
    "is about one of the people whom a row names, and nothing tells about which: erase and send the row again"
)

_OF_THE_ROW: Final = frozenset({"text", "other"})
"""Kinds of fields that may be about everybody in a row; others are somebody's own."""


def faults(customer: Customer, changes: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Return everything in the changes that the customer's datasets do not allow."""
    return [
        Fault(detail, pointer=f"/changes/{number}{pointer}")
        for number, change in enumerate(changes)
        for pointer, detail in _faults(customer, change)
    ]


def text_of(changes: Sequence[Mapping[str, Any]]) -> str:
    """Return the changes as they wait in the vault. Raises ProblemError (413) for too many."""
    text = json.dumps(changes, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_CHANGES_BYTES:
        raise ProblemError(problems.TOO_LARGE, f"Changes take at most {MAX_CHANGES_BYTES} bytes.")
    return text


def confirm(vault: Vault, refs: Sequence[str], request_id: str, changes: str) -> None:
    """Keep the values until the request ends, which is on record by now.

    An AWS error is logged: the values are then kept long enough for a run that starts soon.
    """
    try:
        request_items.confirm_changes(vault, refs, request_id, changes)
    except (BotoCoreError, ClientError) as error:
        text = "values not confirmed, kept for some hours: customer=%s request=%s error=%s"
        _log.warning(text, vault.customer.id, request_id, error_name(error))


def _faults(customer: Customer, change: Mapping[str, Any]) -> list[tuple[str, str]]:
    dataset = customer.dataset(change["dataset"])
    if dataset is None:
        return [("/dataset", "is not a dataset of the customer")]
    if dataset.has_whole_files:
        return [("/dataset", "has files that are one subject's as a whole: erase and upload again")]
    found = []
    if "record" in change and dataset.prefix is not None:
        found.append(("/record", "is only for a dataset of format records"))
    for number, field in enumerate(change["set"]):
        # The name is the caller's; its number says which without repeating it.
        if field not in dataset.personal:
            found.append(("/set", f"field {number + 1} is not a personal field of the dataset"))
        elif "[]" in field:
            found.append(("/set", f"field {number + 1} stands in a list: erase and send the row again"))
        elif _identifies(customer, dataset, field):
            found.append(("/set", f"field {number + 1} {_IDENTIFIES}"))
        elif _is_of_one_of_several(dataset, field):
            found.append(("/set", f"field {number + 1} {_WHOSE}"))
    return found


def _identifies(customer: Customer, dataset: Dataset, field: str) -> bool:
    if dataset.has_columns:
        return field in dataset.subjects
    if dataset.subjects:
        # A parent would take the identifying field away with it, a child would replace it.
        one = f"{field}.".replace("[]", "")
        others = [f"{subject}.".replace("[]", "") for subject in dataset.subjects]
        return any(one.startswith(other) or other.startswith(one) for other in others)
    return dataset.personal[field] == _IDENTIFYING_KIND[customer.subject_id]


def _is_of_one_of_several(dataset: Dataset, field: str) -> bool:
    several = len(dataset.subjects) > 1
    return several and dataset.personal[field] not in _OF_THE_ROW and dataset.owner_of(field) is None
