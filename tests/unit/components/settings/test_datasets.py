"""Datasets in a stack's file: csv, parquet, and subjects in lists."""

from typing import Any

import pytest

from components.settings.settings import Csv, parse_settings

from .stack_file import acme, problems

CSV = {
    "name": "answers",
    "format": "csv",
    "prefix": "answers/",
    "subject": "email",
    "personal": {"email": "email", "name": "name"},
}


def test_a_csv_dataset_is_read_as_it_is_written(config: dict[str, Any]) -> None:
    dialect = {"delimiter": ";", "quote": "'", "encoding": "windows-1252", "columns": ["no", "email"]}
    acme(config)["datasets"] += [{**CSV, "csv": dialect}, {**CSV, "name": "plain", "prefix": "plain/"}]
    *_, declared, plain = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets
    assert declared.csv == Csv(delimiter=";", quote="'", encoding="windows-1252", columns=("no", "email"))
    assert plain.csv is None


def test_a_subject_may_stand_in_a_list(config: dict[str, Any]) -> None:
    feedback = acme(config)["datasets"][1]
    feedback |= {"subject": "to[].email", "personal": {"to[].email": "email"}, "remove": "element"}
    dataset = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets[1]
    assert (dataset.subject, dataset.remove) == ("to[].email", "element")


PARQUET = {
    "name": "sales",
    "format": "parquet",
    "prefix": "sales/",
    "subject": "buyers[].email",
    "personal": {"buyers[].email": "email", "note": "text"},
}


def test_a_parquet_dataset_says_where_it_lies_and_whose_its_rows_are(config: dict[str, Any]) -> None:
    acme(config)["datasets"].append({**PARQUET, "remove": "element"})
    dataset = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets[4]
    assert (dataset.format, dataset.subject, dataset.remove) == ("parquet", "buyers[].email", "element")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prefix": None}, ".prefix: missing; it says where in the bucket the files lie"),
        ({"subject": None}, ".subject: missing; it says which field of a row identifies"),
        ({"csv": {}}, ".csv is a mapping: a dataset of format parquet has no csv"),
        ({"subject": "no", "personal": {"no": "id"}, "remove": "element"}, ".remove is 'element': only a"),
        ({"personal": {"note": "text"}}, "the subject field buyers[].email is personal too"),
    ],
)
def test_a_mistake_in_a_parquet_dataset_is_said(config: dict[str, Any], changes: object, said: str) -> None:
    assert isinstance(changes, dict)
    acme(config)["datasets"].append({**PARQUET, **changes})
    assert any("customers[0].datasets[4]" in problem and said in problem for problem in problems(config))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"csv": {"delimiter": ";;"}},
            ".csv.delimiter is ';;': write one printable ASCII character or a tab",
        ),
        ({"csv": {"delimiter": "\u20ac"}}, ".csv.delimiter is '\u20ac': write one printable ASCII"),
        ({"csv": {"quote": ","}}, ".csv.quote is ',': delimiter and quote are the same"),
        ({"csv": {"quote": " "}}, ".csv.quote is ' ': white space cannot quote"),
        ({"csv": {"encoding": "utf-16"}}, ".csv.encoding is 'utf-16': use one of 'utf-8', 'iso-8859-1'"),
        (
            {"csv": {"columns": ["no"]}},
            ".csv.columns is a list of 1: the subject's column email is not among",
        ),
        ({"csv": {"columns": []}}, ".csv.columns is a list of 0: give at least one entry"),
        ({"as_of": "at[]"}, ".as_of is 'at[]': a csv row has no lists; name a column"),
        (
            {"as_of": "at", "csv": {"columns": ["no", "email"]}},
            ".as_of is 'at': is not among the dataset's columns",
        ),
        ({"csv": {"header": True}}, ".csv.header: unknown key; valid keys are delimiter, quote, encoding,"),
        ({"subject": "to[]", "personal": {"to[]": "email"}}, ".subject is 'to[]': a csv row has no lists"),
        ({"subject": None}, ".subject: missing; it says which field of a row identifies"),
        ({"remove": "element"}, ".remove is 'element': only a jsonl or parquet subject in a list"),
    ],
)
def test_a_mistake_in_a_csv_dataset_is_said(config: dict[str, Any], changes: object, said: str) -> None:
    assert isinstance(changes, dict)
    acme(config)["datasets"].append({**CSV, **changes})
    assert any(f"customers[0].datasets[4]{said}" in problem for problem in problems(config))


def test_a_dataset_may_accept_what_nobody_can_attribute_and_says_why(config: dict[str, Any]) -> None:
    acme(config)["datasets"] += [{**CSV, "unattributed": {"accept": True, "reason": "machines only"}}]
    dataset = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets[-1]
    assert dataset.unattributed is not None
    assert dataset.unattributed.reason == "machines only"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"accept": True}, "unattributed.reason"),
        ({"reason": "machines only"}, "unattributed.accept"),
        ({"accept": False, "reason": "machines only"}, "unattributed.accept"),
        ({"accept": True, "reason": "ana@example.org"}, "unattributed.reason"),
    ],
)
def test_nothing_is_accepted_without_a_reason(config: dict[str, Any], said: object, problem: str) -> None:
    acme(config)["datasets"].append({**CSV, "unattributed": said})
    assert problem in str(problems(config))


def test_records_have_nothing_that_nobody_can_attribute(config: dict[str, Any]) -> None:
    acme(config)["datasets"][0]["unattributed"] = {"accept": True, "reason": "machines only"}
    assert "records lie in the vault's table" in str(problems(config))
