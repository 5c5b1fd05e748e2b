"""Checks between the values of one dataset, made on what the config's file holds."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .problems import Problem, path_of, shown
from .values import FIELD_PATH

Place = tuple[str | int, ...]

_WANTED: Final = {
    "records": frozenset[str](),
    "jsonl": frozenset({"prefix", "subject"}),
    "csv": frozenset({"prefix", "subject"}),
    "parquet": frozenset({"prefix", "subject"}),
    "object": frozenset({"prefix"}),
}
"""What says where a dataset's data lies and whose it is, by format."""

_REASONS: Final = {
    "prefix": "says where in the bucket the files lie, such as feedback/",
    "subject": "says which field of a row identifies the data subject, such as author.email",
}


def dataset_checks(place: Place, dataset: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong between the values of a dataset."""
    kind = dataset.get("format")
    wanted = _WANTED.get(kind) if isinstance(kind, str) else None
    if wanted is None:
        return
    given = {key for key in ("prefix", "subject") if dataset.get(key) is not None}
    for key in sorted(wanted - given):
        yield Problem(path_of((*place, key)), None, f"missing; it {_REASONS[key]}")
    for key in sorted(given - wanted):
        fix = f"a dataset of format {kind} has no {key}; remove it"
        yield Problem(path_of((*place, key)), shown(dataset[key]), fix)
    if kind == "object" and dataset.get("personal"):
        yield Problem(
            path_of((*place, "personal")),
            shown(dataset["personal"]),
            "an object belongs to its data subject as a whole and has no fields; leave it {}",
        )
    subject = dataset.get("subject") if "subject" in wanted else None
    if isinstance(subject, str):
        yield from _personal(place, dataset, subject)
    yield from _lists(place, dataset, subject)
    yield from _as_of(place, dataset)
    yield from _files_only(place, dataset)
    if dataset.get("csv") is not None:
        yield from _csv(place, dataset, subject)


def _personal(place: Place, dataset: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    personal = dataset.get("personal")
    if isinstance(personal, Mapping) and subject not in personal and re.fullmatch(FIELD_PATH[0], subject):
        yield Problem(
            path_of((*place, "personal")),
            shown(personal),
            f"the subject field {subject} is personal too; add it with its kind",
        )


def _lists(place: Place, dataset: Mapping[str, Any], subject: object) -> Iterator[Problem]:
    in_list = isinstance(subject, str) and "[]" in subject
    if in_list and dataset["format"] == "csv":
        fix = "a csv row has no lists; name a column"
        yield Problem(path_of((*place, "subject")), shown(subject), fix)
    elif dataset.get("remove") == "element" and not in_list:
        fix = "only a jsonl or parquet subject in a list, such as recipients[].email, has elements; remove it"
        yield Problem(path_of((*place, "remove")), shown("element"), fix)


def _as_of(place: Place, dataset: Mapping[str, Any]) -> Iterator[Problem]:
    field, personal = dataset.get("as_of"), dataset.get("personal")
    if not isinstance(field, str):
        return
    here = path_of((*place, "as_of"))
    if dataset["format"] not in ("jsonl", "csv"):
        fix = f"only rows of jsonl and csv files have a time of their own, not {dataset['format']}; remove it"
        yield Problem(here, shown(field), fix)
    elif field == dataset.get("subject") or (isinstance(personal, Mapping) and field in personal):
        # A correction could set it, and with that what an earlier erasure covers.
        fix = "is a personal field; name the field that says when the row was written"
        yield Problem(here, shown(field), fix)
    elif dataset["format"] == "csv":
        if "[]" in field:
            yield Problem(here, shown(field), "a csv row has no lists; name a column")
        dialect = dataset.get("csv")
        columns = dialect.get("columns") if isinstance(dialect, Mapping) else None
        if isinstance(columns, list | tuple) and field not in columns:
            fix = "is not among the dataset's columns; name one of them"
            yield Problem(here, shown(field), fix)


def _files_only(place: Place, dataset: Mapping[str, Any]) -> Iterator[Problem]:
    if dataset["format"] != "records":
        return
    for key, default in (("index", "events"), ("archived", "report"), ("unattributed", None)):
        if dataset.get(key, default) != default:
            fix = "records lie in the vault's table, where this means nothing; remove it"
            yield Problem(path_of((*place, key)), shown(dataset[key]), fix)


def _csv(place: Place, dataset: Mapping[str, Any], subject: object) -> Iterator[Problem]:
    here = (*place, "csv")
    if dataset["format"] != "csv":
        fix = f"a dataset of format {dataset['format']} has no csv; remove it"
        yield Problem(path_of(here), shown(dataset["csv"]), fix)
        return
    dialect = dataset["csv"]
    if not isinstance(dialect, Mapping):
        return
    delimiter, quote = dialect.get("delimiter", ","), dialect.get("quote", '"')
    if delimiter == quote:
        fix = "delimiter and quote are the same; give one of them another character"
        yield Problem(path_of((*here, "quote")), shown(quote), fix)
    if quote in (" ", "\t"):
        yield Problem(path_of((*here, "quote")), shown(quote), "white space cannot quote; give a visible one")
    columns = dialect.get("columns")
    if isinstance(columns, list | tuple) and isinstance(subject, str) and subject not in columns:
        fix = f"the subject's column {subject} is not among them; add it where it stands in the files"
        yield Problem(path_of((*here, "columns")), shown(columns), fix)
