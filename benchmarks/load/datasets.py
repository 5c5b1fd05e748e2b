"""What a stack's config says that the load needs: one dataset of each format, and how its rows look."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Datasets:
    """The datasets of one customer that the load writes to, and the fields that it corrects."""

    records: str
    record_field: str
    rows: str
    rows_prefix: str
    rows_subject: str
    rows_field: str
    files: str
    files_prefix: str

    @classmethod
    def of(cls, customer: Mapping[str, Any]) -> "Datasets":
        """Pick the first dataset of each format from a customer's part of the stack config.

        Raises ValueError where the customer lacks a format, or a dataset a field to correct.
        """
        records, rows, files = (_first(customer, wanted) for wanted in ("records", "jsonl", "object"))
        return cls(
            records=records["name"],
            record_field=_correctable(records),
            rows=rows["name"],
            rows_prefix=rows["prefix"],
            rows_subject=rows["subject"],
            rows_field=_correctable(rows),
            files=files["name"],
            files_prefix=files["prefix"],
        )

    def row(self, subject: str, value: str) -> bytes:
        """Return one line of a row file: whose it is, and the value of the field that corrections change.

        Written as a correction writes it, so that a corrected line can be compared byte for byte.
        """
        row: dict[str, Any] = {}
        for path, leaf in ((self.rows_subject, subject), (self.rows_field, value)):
            _set(row, path, leaf)
        return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _first(customer: Mapping[str, Any], wanted: str) -> Mapping[str, Any]:
    for dataset in customer["datasets"]:
        if dataset["format"] == wanted:
            return dict(dataset)
    raise ValueError(f"customer {customer['id']} has no {wanted} dataset, and the load needs one")


def _correctable(dataset: Mapping[str, Any]) -> str:
    # Fields of kind email may identify the subject, and those cannot be corrected.
    for path, kind in dataset["personal"].items():
        if kind != "email" and path != dataset.get("subject"):
            return str(path)
    raise ValueError(f"dataset {dataset['name']} has no personal field that can be corrected")


def _set(row: dict[str, Any], path: str, leaf: str) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        row = row.setdefault(parent, {})
    row[name] = leaf
