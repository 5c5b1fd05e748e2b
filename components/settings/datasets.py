"""Checks between the values of one dataset, made on what the config's file holds."""

import re
from collections.abc import Iterator, Mapping, Sequence
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
    given = {key for key in ("prefix", "subject") if dataset.get(key) not in (None, [], ())}
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
    subjects = list(_subjects(place, dataset)) if "subject" in wanted else []
    yield from _personal(place, dataset, [subject for _, subject in subjects])
    yield from _one_in_another(dataset, subjects)
    yield from _lists(place, dataset, subjects)
    yield from _as_of(place, dataset, [subject for _, subject in subjects])
    yield from _files_only(place, dataset)
    if dataset.get("csv") is not None:
        yield from _csv(place, dataset, [subject for _, subject in subjects])


def _subjects(place: Place, dataset: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield the fields that name a person of the row, each with its place in the config."""
    value, here = dataset.get("subject"), (*place, "subject")
    entries = enumerate(value) if isinstance(value, list | tuple) else ()
    for where, field in ((here, value), *(((*here, number), each) for number, each in entries)):
        if isinstance(field, str) and re.fullmatch(FIELD_PATH[0], field):
            yield where, field


def _personal(place: Place, dataset: Mapping[str, Any], subjects: Sequence[str]) -> Iterator[Problem]:
    personal = dataset.get("personal")
    if not isinstance(personal, Mapping):
        return
    for subject in subjects:
        if subject not in personal:
            fix = f"the subject field {subject} is personal too; add it with its kind"
            yield Problem(path_of((*place, "personal")), shown(personal), fix)


def _one_in_another(dataset: Mapping[str, Any], subjects: Sequence[tuple[Place, str]]) -> Iterator[Problem]:
    """Find fields of which no row can have both: one is a single value, where the other needs more."""
    is_csv = dataset["format"] == "csv"  # there a dot is part of a name
    for number, (where, field) in enumerate(subjects):
        for _, other in subjects[:number]:
            if field == other:
                yield Problem(path_of(where), shown(field), "stands there twice; once is enough")
            elif not is_csv and (_leads_through(field, other) or _leads_through(other, field)):
                fix = f"no row has a single value there and at {other}, too; name one of them"
                yield Problem(path_of(where), shown(field), fix)


def _leads_through(path: str, other: str) -> bool:
    return path.startswith((f"{other}.", f"{other}[]"))


def _lists(
    place: Place, dataset: Mapping[str, Any], subjects: Sequence[tuple[Place, str]]
) -> Iterator[Problem]:
    single = [subject for _, subject in subjects if "[]" not in subject]
    if dataset["format"] == "csv":
        for where, subject in subjects:
            if subject not in single:
                yield Problem(path_of(where), shown(subject), "a csv row has no lists; name a column")
    if dataset.get("remove") == "element" and (single or not subjects):
        which = f"{single[0]} does not stand in one; " if len(subjects) > 1 else ""
        fix = "only a jsonl or parquet subject in a list, such as recipients[].email, has elements; "
        fix += f"{which}remove it"
        yield Problem(path_of((*place, "remove")), shown("element"), fix)


def _as_of(place: Place, dataset: Mapping[str, Any], subjects: Sequence[str]) -> Iterator[Problem]:
    field, personal = dataset.get("as_of"), dataset.get("personal")
    if not isinstance(field, str):
        return
    here = path_of((*place, "as_of"))
    if dataset["format"] not in ("jsonl", "csv"):
        fix = f"only rows of jsonl and csv files have a time of their own, not {dataset['format']}; remove it"
        yield Problem(here, shown(field), fix)
    elif field in subjects or (isinstance(personal, Mapping) and field in personal):
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


def _csv(place: Place, dataset: Mapping[str, Any], subjects: Sequence[str]) -> Iterator[Problem]:
    here = (*place, "csv")
    if dataset["format"] != "csv":
        fix = f"a dataset of format {dataset['format']} has no csv; remove it"
        yield Problem(path_of(here), shown(dataset["csv"]), fix)
        return
    dialect = dataset["csv"]
    if not isinstance(dialect, Mapping):
        return
    marks = {"delimiter": ",", "quote": '"', "escape": None, "comment": None}
    taken: dict[str, str] = {}
    for name, default in marks.items():
        mark = dialect.get(name, default)
        if not isinstance(mark, str):
            continue
        if mark in taken:
            fix = f"{taken[mark]} and {name} are the same; give one of them another character"
            if (taken[mark], name) == ("quote", "escape"):
                fix = "a quote that is doubled inside quotes needs no escape; remove it"
            yield Problem(path_of((*here, name)), shown(mark), fix)
        taken.setdefault(mark, name)
    if dialect.get("header") == "caseless" and dialect.get("columns") is not None:
        fix = "files whose columns are declared have no header; remove it"
        yield Problem(path_of((*here, "header")), shown("caseless"), fix)
    columns = dialect.get("columns")
    if isinstance(columns, list | tuple):
        for subject in subjects:
            if subject not in columns:
                fix = f"the subject's column {subject} is not among them; add it where it stands in the files"
                yield Problem(path_of((*here, "columns")), shown(columns), fix)
