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


def test_a_csv_dataset_may_be_a_dump_of_a_database(config: dict[str, Any]) -> None:
    dialect = {"delimiter": "\t", "quote": "none", "escape": "\\", "comment": "#", "header": "caseless"}
    acme(config)["datasets"].append({**CSV, "csv": {**dialect, "encoding": "utf-16"}})
    *_, dump = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets
    assert dump.csv == Csv(**dialect, encoding="utf-16")  # type: ignore[arg-type]  # as the file has them


def test_a_subject_may_stand_in_a_list(config: dict[str, Any]) -> None:
    feedback = acme(config)["datasets"][1]
    feedback |= {"subject": "to[].email", "personal": {"to[].email": "email"}, "remove": "element"}
    dataset = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets[1]
    assert (dataset.subjects, dataset.remove) == (("to[].email",), "element")


MAILS = {
    "name": "mails",
    "format": "jsonl",
    "prefix": "mails/",
    "subject": ["from", "to[].email"],
    "personal": {"from": "email", "to[].email": "email"},
}


def test_several_fields_may_name_the_people_of_a_row(config: dict[str, Any]) -> None:
    acme(config)["datasets"] += [MAILS, {**CSV, "subject": ["email"]}]
    *_, mails, answers = parse_settings(config, project="gdpr", stack="eu-west").customers[0].datasets
    assert (mails.subjects, answers.subjects) == (("from", "to[].email"), ("email",))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": []}, ".subject: missing; it says which field of a row identifies"),
        ({"subject": ["from", "to..email"]}, ".subject[1] is 'to..email': write field names"),
        ({"subject": ["from", 3]}, ".subject[1] is 3: write field names"),
        ({"subject": ["from", "from"]}, ".subject[1] is 'from': stands there twice; once is enough"),
        ({"subject": ["from", "from.email"]}, ".subject[1] is 'from.email': no row has a single value there"),
        ({"subject": ["to[]", "to"]}, ".subject[1] is 'to': no row has a single value there and at to[],"),
        ({"subject": ["from", "cc"]}, ".personal is a mapping: the subject field cc is personal too"),
        ({"remove": "element"}, "has elements; from does not stand in one; remove it"),
        ({"as_of": "to[].email"}, ".as_of is 'to[].email': is a personal field"),
        ({"format": "csv", "subject": ["from", "to[].email"]}, ".subject[1] is 'to[].email': a csv row has"),
        (
            {"format": "csv", "subject": ["from"], "csv": {"columns": ["to"]}},
            ".csv.columns is a list of 1: the subject's column from is not among them",
        ),
        ({"format": "object", "personal": {}}, ".subject is a list of 2: a dataset of format object has no"),
    ],
)
def test_a_mistake_in_a_list_of_subject_fields_is_said(
    config: dict[str, Any], changes: object, said: str
) -> None:
    assert isinstance(changes, dict)
    acme(config)["datasets"].append({**MAILS, **changes})
    assert any("customers[0].datasets[4]" in problem and said in problem for problem in problems(config))


def test_columns_whose_names_have_dots_do_not_stand_in_each_other(config: dict[str, Any]) -> None:
    personal = {"mail": "email", "mail.2": "email"}
    acme(config)["datasets"].append({**CSV, "subject": ["mail", "mail.2"], "personal": personal})
    parse_settings(config, project="gdpr", stack="eu-west")


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
    assert (dataset.format, dataset.subjects, dataset.remove) == ("parquet", ("buyers[].email",), "element")


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
        ({"csv": {"quote": " "}}, ".csv.quote is ' ': write one visible ASCII character, or none"),
        ({"csv": {"quote": "nil"}}, ".csv.quote is 'nil': write one visible ASCII character, or none"),
        ({"csv": {"encoding": "utf-32"}}, ".csv.encoding is 'utf-32': use one of 'utf-8', 'utf-16'"),
        ({"csv": {"comment": "//"}}, ".csv.comment is '//': write one visible ASCII character"),
        ({"csv": {"escape": "\t"}}, ".csv.escape is '\\t': write one visible ASCII character"),
        ({"csv": {"escape": '"'}}, ".csv.escape is '\"': a quote that is doubled inside quotes needs no"),
        ({"csv": {"escape": ","}}, ".csv.escape is ',': delimiter and escape are the same"),
        ({"csv": {"comment": "#", "escape": "#"}}, ".csv.comment is '#': escape and comment are the same"),
        ({"csv": {"header": "any"}}, ".csv.header is 'any': use one of 'exact', 'caseless'"),
        (
            {"csv": {"header": "caseless", "columns": ["no", "email"]}},
            ".csv.header is 'caseless': files whose columns are declared have no header; remove it",
        ),
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
        ({"csv": {"head": True}}, ".csv.head: unknown key; did you mean header? valid keys are delimiter,"),
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
