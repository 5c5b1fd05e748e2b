from datetime import date, datetime
from typing import Any

import pytest
import yaml

from components.settings.problems import SettingsError
from components.settings.settings import Contract, load_settings, parse_settings

from ..programs import ROOT, STACKS, run_program, stack_config, stack_settings
from .stack_file import acme, problems


@pytest.mark.parametrize("stack", STACKS)
def test_both_stacks_can_be_read(stack: str) -> None:
    settings = stack_settings(stack)
    assert len(settings.customers) >= 2
    assert settings.stack == stack


@pytest.mark.parametrize("stack", STACKS)
def test_nobody_but_the_operator_gets_into_a_stack_as_it_comes(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    customers = parse_settings(yaml.safe_load(text)["config"], project="gdpr", stack=stack).customers
    assert customers
    assert {customer.principals for customer in customers} == {()}


def test_a_customer_is_read_as_it_is_written() -> None:
    customer = stack_settings("eu-west").customers[0]
    assert (customer.id, customer.subject_id) == ("acme", "email")
    assert customer.contract == Contract(starts=date(2026, 1, 1), ends=date(2027, 12, 31), graceDays=30)
    assert customer.prefixes == ("feedback/", "letters/", "orders/")
    assert customer.datasets[1].personal == {"author.name": "name", "author.email": "email", "text": "text"}
    assert customer.programs[1].scopes == ("read",)


def test_settings_cannot_be_changed() -> None:
    settings = stack_settings("eu-west")
    with pytest.raises(AttributeError):
        settings.customers[0].id = "globex"  # type: ignore[misc]  # what the test is about


def test_a_running_program_reads_its_own_config() -> None:
    read = []
    run_program(lambda: read.append(load_settings()), config=stack_config("eu-west"))
    assert read == [stack_settings("eu-west")]


def test_a_key_without_a_value_is_told_as_such() -> None:
    # The CLI hands an empty text over.
    with pytest.raises(SettingsError, match="customers is None: give a list"):
        run_program(load_settings, config={**stack_config("eu-west"), "gdpr:customers": ""})


def test_a_running_program_refuses_keys_it_does_not_know() -> None:
    with pytest.raises(SettingsError, match="custmers: unknown key; did you mean customers"):
        run_program(load_settings, config={**stack_config("eu-west"), "gdpr:custmers": []})


def test_a_key_in_a_namespace_that_nothing_reads_is_told_with_all_the_rest() -> None:
    changed = {"gpdr:evidence": {"years": 9}, "gdpr:customers": "hello", "aws:profile": "a"}
    with pytest.raises(SettingsError) as refused:
        run_program(load_settings, config={**stack_config("eu-west"), **changed})
    found = [str(problem) for problem in refused.value.problems]
    assert len(found) == 2
    assert any(text.startswith("gpdr:evidence") and "write gdpr:evidence" in text for text in found)
    assert any(text.startswith("customers is 'hello'") for text in found), found


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00 +0000 UTC",  # the Pulumi CLI, of an unquoted day
        date(2026, 1, 1),
        datetime(2026, 1, 1),  # noqa: DTZ001 -- as a YAML reader makes it
    ],
)
def test_a_day_may_be_what_yaml_tools_make_of_it(config: dict[str, Any], value: object) -> None:
    acme(config)["contract"]["starts"] = value
    assert parse_settings(config, project="gdpr", stack="eu-west").customers[0].contract.starts == date(
        2026, 1, 1
    )


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30",
        "2026-13-01",
        "01.01.2026",
        "2026-1-1",
        "2026-01-01T12:00:00Z",
        "2026-01-01 12:00:00 +0000 UTC",
        "2026-01-01 00:00:00 +0200 +0200",
        20260101,
        None,
        "",
        "20260101",
    ],
)
def test_a_bad_day_is_refused(config: dict[str, Any], value: object) -> None:
    acme(config)["contract"]["starts"] = value
    (problem,) = problems(config)
    assert problem.startswith("customers[0].contract.starts is ")
    assert "such as 2026-12-31" in problem or "as 2026-12-31" in problem


def change(config: dict[str, Any], path: tuple[str | int, ...], value: object) -> None:
    place: Any = acme(config)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            ("contrat",),
            {},
            "customers[0].contrat: unknown key; did you mean contract or contact? valid keys are id,",
        ),
        (("contract", "graceday"), 1, "customers[0].contract.graceday: unknown key; did you mean graceDays?"),
        (("id",), "Acme", "customers[0].id is 'Acme': write 2 to 21 lower-case letters"),
        (("id",), "globex", "customers[1].id is 'globex': taken by customers[0].id"),
        (
            ("contract", "ends"),
            "2025-12-31",
            "customers[0].contract.ends is '2025-12-31': lies before starts (2026-01-01)",
        ),
        (("contract", "graceDays"), "30", "customers[0].contract.graceDays is '30': give a whole number"),
        (("contract", "graceDays"), -1, "customers[0].contract.graceDays is -1: give a number from 0"),
        (("contract", "graceDays"), 400, "customers[0].contract.graceDays is 400: give a number up to 365"),
        (
            ("contract", "keyDeletionDays"),
            6,
            "customers[0].contract.keyDeletionDays is 6: give a number from 7",
        ),
        (
            ("contract", "keyDeletionDays"),
            31,
            "customers[0].contract.keyDeletionDays is 31: give a number up to",
        ),
        (
            ("contract", "hold"),
            "ada@example.org",
            "customers[0].contract.hold is 'ada@example.org': write why",
        ),
        (
            ("contract", "status"),
            "ended",
            "customers[0].contract.status is 'ended': use one of 'active', 'terminated'",
        ),
        (
            ("contract",),
            {"starts": "2026-01-01", "ends": "2026-12-31", "hold": "litigation", "status": "terminated"},
            "customers[0].contract.status is 'terminated': a hold keeps what is left, and this says",
        ),
        (
            ("region",),
            "us-east-1",
            "customers[0].region is 'us-east-1': this stack is in eu-west-1; move the customer",
        ),
        (("subjectId",), "phone", "customers[0].subjectId is 'phone': use one of 'exact', 'email'"),
        (
            ("programs", 0, "scopes"),
            ["raed"],
            "customers[0].programs[0].scopes[0] is 'raed': use one of 'ingest', 'erase'",
        ),
        (("programs", 0, "scopes"), [], "customers[0].programs[0].scopes is a list of 0: give at least one"),
        (
            ("programs", 0, "scopes"),
            ["read", "read"],
            "customers[0].programs[0].scopes is 'read': stands there 2 times",
        ),
        (
            ("programs", 1, "name"),
            "dpo",
            "customers[0].programs[1].name is 'dpo': taken by customers[0].programs[0].name",
        ),
        (
            ("principals",),
            ["*"],
            "customers[0].principals[0] is '*': write the ARN of an AWS account, role or user",
        ),
        (
            ("principals",),
            ["arn:aws:iam::1:root"],
            "customers[0].principals[0] is 'arn:aws:iam::1:root': write the ARN",
        ),
        (("datasets", 1, "csv"), {}, "datasets[1].csv is a mapping: a dataset of format jsonl has no csv"),
        (("datasets", 1, "remove"), "cell", "datasets[1].remove is 'cell': use one of 'row', 'element'"),
        (
            ("datasets", 1, "remove"),
            "element",
            "datasets[1].remove is 'element': only a jsonl or parquet subject in a list, such as",
        ),
        (
            ("datasets", 1, "format"),
            "xml",
            "datasets[1].format is 'xml': use one of 'records', 'jsonl', 'csv', 'parquet', 'object'",
        ),
        (
            ("datasets", 1, "index"),
            "walk",
            "customers[0].datasets[1].index is 'walk': use one of 'events', 'scan'",
        ),
        (("datasets", 0, "index"), "scan", "datasets[0].index is 'scan': records lie in the vault's table"),
        (("datasets", 0, "archived"), "restore", "datasets[0].archived is 'restore': records lie in"),
        (("datasets", 1, "archived"), True, "datasets[1].archived is True: use one of 'report', 'restore'"),
        (("datasets", 1, "as_of"), "text", "datasets[1].as_of is 'text': is a personal field; name"),
        (("datasets", 1, "as_of"), "author.email", "datasets[1].as_of is 'author.email': is a personal"),
        (("datasets", 1, "as_of"), "a..b", "datasets[1].as_of is 'a..b': write field names"),
        (("datasets", 0, "as_of"), "at", "datasets[0].as_of is 'at': only rows of jsonl and csv files"),
        (("datasets", 2, "as_of"), "at", "datasets[2].as_of is 'at': only rows of jsonl and csv files"),
        (
            ("datasets", 1, "name"),
            "letters",
            "customers[0].datasets[2].name is 'letters': taken by customers[0].datasets[1].name",
        ),
        (("datasets", 1, "prefix"), None, "customers[0].datasets[1].prefix: missing; it says where"),
        (
            ("datasets", 1, "prefix"),
            "feedback",
            "customers[0].datasets[1].prefix is 'feedback': write a key prefix that ends with",
        ),
        (
            ("datasets", 1, "prefix"),
            "/feedback/",
            "customers[0].datasets[1].prefix is '/feedback/': write a key prefix",
        ),
        (
            ("datasets", 1, "prefix"),
            "letters/",
            "customers[0].datasets[2].prefix is 'letters/': overlaps letters/ (of customers",
        ),
        (
            ("datasets", 1, "prefix"),
            "letters/rows/",
            "customers[0].datasets[2].prefix is 'letters/': overlaps letters/rows/",
        ),
        (
            ("datasets", 1, "prefix"),
            "exports/",
            "customers[0].datasets[1].prefix is 'exports/': overlaps exports/ (which the",
        ),
        (
            ("datasets", 1, "prefix"),
            "exports/rows/",
            "is 'exports/rows/': overlaps exports/ (which the program itself uses)",
        ),
        (("datasets", 1, "subject"), None, "customers[0].datasets[1].subject: missing; it says which field"),
        (
            ("datasets", 1, "subject"),
            "author..email",
            "customers[0].datasets[1].subject is 'author..email': write field names",
        ),
        (
            ("datasets", 1, "subject"),
            "id",
            "customers[0].datasets[1].personal is a mapping: the subject field id is personal too",
        ),
        (
            ("datasets", 0, "prefix"),
            "p/",
            "customers[0].datasets[0].prefix is 'p/': a dataset of format records has no prefix",
        ),
        (
            ("datasets", 2, "subject"),
            "a",
            "customers[0].datasets[2].subject is 'a': a dataset of format object has no subject",
        ),
        (
            ("datasets", 2, "personal"),
            {"a": "name"},
            "customers[0].datasets[2].personal is a mapping: an object belongs",
        ),
        (
            ("datasets", 0, "personal"),
            {"name": "nmae"},
            "customers[0].datasets[0].personal.name is 'nmae': use one of 'name',",
        ),
        (
            ("datasets", 0, "personal"),
            {"a b": "name"},
            "customers[0].datasets[0].personal.a b is 'a b': write field names",
        ),
        (("datasets",), [], "customers[0].datasets is a list of 0: give at least one entry"),
        (("datasets",), {}, "customers[0].datasets is a mapping: give a list"),
        (("controller",), "", "customers[0].controller is '': write 1 to 200 characters in one line"),
        (("controller",), 7, "customers[0].controller is 7: write 1 to 200 characters in one line"),
        (
            ("controller",),
            "A\nB",
            r"customers[0].controller is 'A\nB': write 1 to 200 characters in one line",
        ),
        (("contract", "starts"), "0001-01-01", "contract.starts is '0001-01-01': lies too far back"),
        (("contract", "ends"), "9999-12-31", "contract.ends is '9999-12-31': lies too far ahead"),
        (("datasets", 1, "prefix"), "../", "datasets[1].prefix is '../': write a key prefix"),
        (("datasets", 1, "prefix"), "./", "datasets[1].prefix is './': write a key prefix"),
        (("datasets", 1, "prefix"), "a/../b/", "datasets[1].prefix is 'a/../b/': write a key prefix"),
        (("contract",), None, "customers[0].contract is None: give a mapping"),
    ],
)
def test_one_mistake_is_said_with_path_value_and_fix(
    config: dict[str, Any], path: tuple[str | int, ...], value: object, said: str
) -> None:
    change(config, path, value)
    (problem,) = problems(config)
    assert said in problem


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("EU-west", "stack is 'EU-west': S3 and Cognito take only lower-case letters, digits and hyphens"),
        ("eu_west", "stack is 'eu_west': S3 and Cognito take only lower-case letters"),
        ("eu.west", "stack is 'eu.west': S3 and Cognito take only lower-case letters"),
        ("laws", "stack is 'laws': Cognito refuses a token domain with aws in it; choose another name"),
        ("my-amazon", "stack is 'my-amazon': Cognito refuses a token domain with amazon in it"),
        ("cognito", "stack is 'cognito': Cognito refuses a token domain with cognito in it"),
    ],
)
def test_a_stack_name_that_aws_would_refuse_is_refused_first(
    config: dict[str, Any], stack: str, said: str
) -> None:
    (problem,) = problems(config, stack)
    assert said in problem


def test_more_principals_than_a_trust_policy_holds_are_refused(config: dict[str, Any]) -> None:
    acme(config)["principals"] = [f"arn:aws:iam::111122223333:role/{n:064}" for n in range(30)]
    (problem,) = problems(config)
    assert "customers[0].principals is a list of 30: the trust policy of its access role" in problem
    assert "IAM takes 2048; name fewer, or an account (arn:aws:iam::<account>:root)" in problem


def test_more_prefixes_than_a_policy_holds_are_refused(config: dict[str, Any]) -> None:
    acme(config)["datasets"] = [
        {"name": f"d{n}", "format": "object", "prefix": f"{n:0150}/", "personal": {}} for n in range(40)
    ]
    (problem,) = problems(config)
    assert "customers[0].datasets is a list of 40: the policy of its access role would have" in problem
    assert "IAM takes 10240; shorten the prefixes" in problem
    acme(config)["principals"] = []
    assert parse_settings(config, project="gdpr", stack="eu-west").customers[0].prefixes


@pytest.mark.parametrize("key", ["controller", "contact", "contract", "programs", "datasets"])
def test_a_missing_key_is_named(config: dict[str, Any], key: str) -> None:
    del acme(config)[key]
    assert problems(config) == [f"customers[0].{key}: missing; add it"]


def test_a_missing_region_operator_or_list_of_customers_is_named() -> None:
    assert problems({}) == [
        "aws:region: missing; add it",
        "customers: missing; add it",
        "operator: missing; add it",
    ]


@pytest.mark.parametrize(
    ("region", "near"),
    [
        ("cn-north-1", "eu-north-1"),
        ("us-gov-west-1", "us-west-1"),
        ("Ireland", "eu-west-1"),
        ("eu-wset-1", "eu-west-1"),
        (None, "eu-west-1"),
    ],
)
def test_only_regions_of_the_aws_partition_are_taken(
    config: dict[str, Any], region: str | None, near: str
) -> None:
    config["aws:region"] = region
    (problem,) = problems(config)
    assert problem == f"aws:region is {region!r}: write a region of the aws partition, such as {near}"


def test_account_switches_are_booleans(config: dict[str, Any]) -> None:
    config["gdpr:account"] = {"apiGatewayLogRole": "yes", "blockPublicS3": True}
    assert problems(config) == ["account.apiGatewayLogRole is 'yes': give true or false, without quotes"]


def test_account_switches_are_off_unless_said_otherwise(config: dict[str, Any]) -> None:
    del config["gdpr:account"]
    account = parse_settings(config, project="gdpr", stack="eu-west").account
    assert (account.api_gateway_log_role, account.block_public_s3) == (False, False)


def test_a_name_that_s3_would_not_take_is_refused_with_how_much_too_long(config: dict[str, Any]) -> None:
    stack = "eu-west-of-the-company-in-2026"
    found = problems(config, stack)
    # gdpr-<stack>-vault-acme-<12 digits>-eu-west-1 has 5 + 30 + 11 + 13 + 10 = 69 characters.
    assert (
        "customers[0].id is 'acme': the S3 bucket name would have 69 characters and 63 are allowed;"
        in found[0]
    )
    assert "by 6" in found[0]


def test_a_name_of_63_characters_is_taken(config: dict[str, Any]) -> None:
    acme(config)["id"] = "a" * 21
    stack = "e" * 7
    settings = parse_settings(config, project="gdpr", stack=stack)
    assert len(f"gdpr-{stack}-vault-{settings.customers[0].id}-123456789012-eu-west-1") == 63
    assert any("would have 64" in problem for problem in problems(config, "e" * 8))


def test_a_stack_name_too_long_for_functions_is_refused(config: dict[str, Any]) -> None:
    assert any(
        problem.startswith("stack is ") and "function name" in problem
        for problem in problems(config, "e" * 40)
    )


def test_every_problem_is_listed_at_once_also_those_between_values(config: dict[str, Any]) -> None:
    first, second = config["gdpr:customers"]
    first["contract"]["ends"] = "2025-12-31"  # between values, in a customer whose shape is wrong
    first["surprise"] = 1
    second["id"] = "acme"
    second["datasets"][1]["prefix"] = "surveys/"
    second["programs"][0]["scopes"] = ["everything"]
    config["gdpr:customers"].append("umbra")
    found = "\n".join(problems(config))
    for path in (
        "customers[0].contract.ends",
        "customers[0].surprise",
        "customers[1].id",
        "customers[1].datasets[2].prefix",
        "customers[1].programs[0].scopes[0]",
        "customers[2]",
    ):
        assert path in found


def test_the_message_counts_names_the_file_and_repeats_no_contact(config: dict[str, Any]) -> None:
    acme(config)["contact"] = "Ada Beispiel"
    with pytest.raises(SettingsError) as caught:
        parse_settings(config, project="gdpr", stack="eu-west")
    assert str(caught.value) == (
        "Pulumi.eu-west.yaml has 1 problem:\n"
        "  - customers[0].contact: write an e-mail address such as privacy@example.com"
    )


def test_the_project_file_names_the_project() -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["name"] == "gdpr"
