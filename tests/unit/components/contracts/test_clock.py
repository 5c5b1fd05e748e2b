"""What happens on the days that follow from a contract, and what becomes of it when the contract changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
import pytest

from components.contracts.clock import (
    REMINDER_DAYS,
    ContractClock,
    ContractClockArgs,
    warn_of_ended,
)
from components.naming import RegionNames
from components.settings.settings import Settings, parse_settings

from ..programs import ACCOUNT, GROUND, NOW, Deployment, Made, declared, run_program, stack_config

# All that look at this stack do so in one worker, which declares it once.
pytestmark = pytest.mark.xdist_group("eu-west")

NAMES = RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1")
SCHEDULE = "aws:scheduler/schedule:Schedule"
GONE_WITH_THE_CONTRACT = {SCHEDULE, "aws:cognito/userPoolClient:UserPoolClient"}


def config_with(contract: dict[str, object]) -> dict[str, Any]:
    """The config of the stack eu-west, with these changes to acme's contract."""
    config = stack_config("eu-west")
    config["gdpr:customers"][0]["contract"] |= contract
    return config


def settings_with(contract: dict[str, object]) -> Settings:
    """The settings of that stack."""
    return parse_settings(config_with(contract), project="gdpr", stack="eu-west")


def deployed(**contract: object) -> Deployment:
    """That stack, deployed."""
    return declared(config=config_with(contract), now=NOW)


def clock(now: datetime, **contract: object) -> Deployment:
    """The contract clock of that stack at a moment."""
    return run_program(
        lambda: ContractClock(
            "clock",
            ContractClockArgs(
                ground=GROUND,
                customers=settings_with(contract).customers,
                machine_arn="arn:machine",
                remind_function_arn="arn:remind",
                now=now,
            ),
        )
    )


def settings_of(made: Made) -> dict[str, Any]:
    """What a resource is declared with; a package of code is another object each time."""
    return {key: value for key, value in made.inputs.items() if key != "code"}


@pytest.fixture(scope="session")
def usual() -> Deployment:
    return deployed()


@pytest.fixture(scope="session")
def terminated() -> Deployment:
    return deployed(status="terminated")


def schedules(deployment: Deployment, customer: str = "acme") -> dict[str, dict[str, Any]]:
    """The schedules of a customer by what they are for."""
    start = f"gdpr-eu-west-{customer}."
    return {
        made.inputs["name"].removeprefix(start): dict(made.inputs)
        for made in deployment.made
        if made.type == SCHEDULE and made.inputs["name"].startswith(start)
    }


def test_each_customer_has_its_destruction_and_its_reminders_at_their_midnights(usual: Deployment) -> None:
    assert {name: made["scheduleExpression"] for name, made in schedules(usual).items()} == {
        "destruction": "at(2028-01-31T00:00:00)",
        "reminder-90": "at(2027-11-02T00:00:00)",
        "reminder-30": "at(2028-01-01T00:00:00)",
        "reminder-7": "at(2028-01-24T00:00:00)",
    }
    # 2027-06-30 and 14 days of grace.
    assert schedules(usual, "globex")["destruction"]["scheduleExpression"] == "at(2027-07-15T00:00:00)"
    for made in schedules(usual).values():
        assert made["scheduleExpressionTimezone"] == "UTC"
        assert made["flexibleTimeWindow"] == {"mode": "OFF"}
        assert (made["state"], made["actionAfterCompletion"]) == ("ENABLED", "NONE")
        assert made["groupName"] == "gdpr-eu-west-contracts"


def test_the_machine_and_the_function_are_told_the_customer_and_nothing_else(usual: Deployment) -> None:
    for customer in ("acme", "globex"):
        for name, made in schedules(usual, customer).items():
            target = made["target"]
            if name == "destruction":
                assert target["arn"] == "arn:mock:StateMachine:gdpr-eu-west-contract-end"
                assert target["input"] == f'{{"customer": "{customer}"}}'
            else:
                assert target["arn"] == "arn:mock:Function:gdpr-eu-west-remind-contract"
                days = name.removeprefix("reminder-")
                assert target["input"] == f'{{"customer": "{customer}", "days": {days}}}'
            assert target["roleArn"] == "arn:mock:Role:gdpr-eu-west-contract-schedules"
            assert target["deadLetterConfig"] == {"arn": "arn:mock:Queue:gdpr-eu-west-dead-letters"}


def test_a_reminder_that_cannot_be_delivered_within_its_day_is_given_up(usual: Deployment) -> None:
    ages = {
        name: made["target"]["retryPolicy"]["maximumEventAgeInSeconds"]
        for name, made in schedules(usual).items()
    }
    assert ages.pop("destruction") == 86_400
    assert max(ages.values()) < 86_400


def test_the_schedules_may_start_the_machine_and_the_reminder_and_nothing_else(usual: Deployment) -> None:
    (group,) = usual.of("aws:scheduler/scheduleGroup:ScheduleGroup")
    assert group.inputs["name"] == "gdpr-eu-west-contracts"
    role = usual.named("aws:iam/role:Role", "gdpr-eu-west-contract-schedules")
    (trusted,) = role.document("assumeRolePolicy")["Statement"]
    assert trusted["Principal"] == {"Service": ["scheduler.amazonaws.com"]}
    assert trusted["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {
            "aws:SourceArn": [
                f"arn:aws:scheduler:eu-west-1:{ACCOUNT}:schedule-group/gdpr-eu-west-contracts",
            ]
        },
    }
    assert usual.rights("gdpr-eu-west-contract-schedules") == {
        "states:StartExecution": [NAMES.machine_arn("contract-end")],
        "lambda:InvokeFunction": [NAMES.function_arn("remind-contract")],
        "sqs:SendMessage": [NAMES.queue_arn("dead-letters")],
        "kms:Decrypt": ["arn:mock:Key:gdpr-eu-west-key-key"],
        "kms:GenerateDataKey": ["arn:mock:Key:gdpr-eu-west-key-key"],
    }


def test_schedules_are_made_once_their_role_has_its_rights(usual: Deployment) -> None:
    (rights,) = [
        m for m in usual.of("aws:iam/rolePolicy:RolePolicy") if m.name.endswith("-clock-role-policy")
    ]
    for made in usual.of(SCHEDULE):
        if "groupName" in made.inputs:
            assert rights.urn in made.dependencies


def test_a_renewed_contract_moves_everything_and_replaces_nothing(usual: Deployment) -> None:
    renewed = deployed(ends="2028-02-29")
    assert {name: made["scheduleExpression"] for name, made in schedules(renewed).items()} == {
        "destruction": "at(2028-03-31T00:00:00)",
        "reminder-90": "at(2028-01-01T00:00:00)",
        "reminder-30": "at(2028-03-01T00:00:00)",
        "reminder-7": "at(2028-03-24T00:00:00)",
    }
    before = {made.urn: settings_of(made) for made in usual.made if made.custom}
    after = {made.urn: made for made in renewed.made if made.custom}
    assert after.keys() == before.keys()
    changed = {made.type for urn, made in after.items() if settings_of(made) != before[urn]}
    assert changed == {
        SCHEDULE,
        "aws:dynamodb/tableItem:TableItem",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketPolicy:BucketPolicy",
    }


def test_a_hold_disables_the_destruction_and_no_reminder() -> None:
    held = clock(NOW, hold="litigation, case 2026-114")
    assert {name: made["state"] for name, made in schedules(held).items()} == {
        "destruction": "DISABLED",
        "reminder-90": "ENABLED",
        "reminder-30": "ENABLED",
        "reminder-7": "ENABLED",
    }
    assert {made["state"] for made in schedules(held, "globex").values()} == {"ENABLED"}


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (datetime(2028, 1, 30, 23, 59, 59, tzinfo=UTC), {"destruction"}),
        (datetime(2028, 1, 31, tzinfo=UTC), set()),
        (
            datetime(2027, 11, 1, 23, 59, 59, tzinfo=UTC),
            {"destruction", "reminder-90", "reminder-30", "reminder-7"},
        ),
        (datetime(2027, 11, 2, tzinfo=UTC), {"destruction", "reminder-30", "reminder-7"}),
    ],
)
def test_no_schedule_is_asked_for_whose_time_has_come(now: datetime, left: set[str]) -> None:
    assert set(schedules(clock(now))) == left


def test_reminders_come_before_the_destruction_in_the_declared_distances(usual: Deployment) -> None:
    for customer in ("acme", "globex"):
        found = schedules(usual, customer)

        def at(name: str, found: dict[str, dict[str, Any]] = found) -> datetime:
            return datetime.strptime(found[name]["scheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(
                tzinfo=UTC
            )

        assert REMINDER_DAYS == (90, 30, 7)
        for days in REMINDER_DAYS:
            assert at("destruction") - at(f"reminder-{days}") == timedelta(days=days)


# terminated


def test_a_terminated_contract_has_no_schedules_and_no_clients(terminated: Deployment) -> None:
    assert schedules(terminated) == {}
    assert len(schedules(terminated, "globex")) == 4
    assert set(terminated.outputs["clients"]) == {"globex"}
    items = [made.document("item") for made in terminated.of("aws:dynamodb/tableItem:TableItem")]
    assert not [
        item for item in items if item["pk"]["S"].startswith("client#") and item["customer"]["S"] == "acme"
    ]
    (entry,) = [item for item in items if item["pk"]["S"] == "customer#acme"]
    assert (entry["contract_status"], entry["clients"]) == ({"S": "terminated"}, {"S": "[]"})


def test_a_terminated_vault_is_declared_as_before_but_no_longer_protected(
    usual: Deployment, terminated: Deployment
) -> None:
    before = {made.urn: made for made in usual.made}
    after = {made.urn: made for made in terminated.made}
    gone = {before[urn].type for urn in before.keys() - after.keys()}
    assert gone == {*GONE_WITH_THE_CONTRACT, "aws:dynamodb/tableItem:TableItem"}
    assert not after.keys() - before.keys()
    changed = {
        urn for urn, made in after.items() if made.custom and settings_of(made) != settings_of(before[urn])
    }
    assert {after[urn].type for urn in changed} == {"aws:dynamodb/tableItem:TableItem"}
    unprotected = {after[urn].name for urn, made in after.items() if made.protect != before[urn].protect}
    vault = "gdpr-eu-west-vault-acme"
    assert unprotected == {f"{vault}-key", f"{vault}-bucket", f"{vault}-table"}


def test_a_terminated_customer_stays_in_the_registry_so_that_the_watch_sees_it(
    terminated: Deployment,
) -> None:
    items = {
        made.document("item")["pk"]["S"]: made.document("item")
        for made in terminated.of("aws:dynamodb/tableItem:TableItem")
    }
    assert "acme" in items["customers"]["ids"]["S"]
    assert f"bucket#{terminated.outputs['vaults']['acme']['bucket']}" in items


# what the program says


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: said.append(text))
    return said


AFTER = datetime(2028, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "contract", "expected"),
    [
        (AFTER - timedelta(seconds=1), {}, []),
        (AFTER, {"status": "terminated"}, []),
        (AFTER, {}, ["due for destruction since 2028-01-31", "contract-end", "status: terminated", "remove"]),
        (AFTER, {"hold": "litigation"}, ["due for destruction since 2028-01-31", "remove contract.hold"]),
        (NOW, {"status": "terminated"}, ["not due for destruction before 2028-01-31", "contract.ends"]),
        (NOW, {"hold": "litigation"}, []),
    ],
)
def test_every_deployment_warns_of_what_is_left_to_do_at_a_contracts_end(
    warnings: list[str], now: datetime, contract: dict[str, Any], expected: list[str]
) -> None:
    warn_of_ended(settings_with(contract).customers, now)
    of_acme = [text for text in warnings if text.startswith("customer acme")]
    assert len(of_acme) == (1 if expected else 0)
    for part in expected:
        assert part.lower() in of_acme[0].lower()


def test_the_program_itself_goes_by_the_clock(warnings: list[str]) -> None:
    config = stack_config("eu-west")
    config["gdpr:customers"][0]["contract"] = {"starts": "2020-01-01", "ends": "2020-12-31"}
    made = declared(config=config)  # at the moment at which the test runs
    assert schedules(made) == {}
    assert [text for text in warnings if text.startswith("customer acme: its data is due")]
