"""What exists once an account, and is made only by the stack whose config says so."""

import pytest

from components.operations.account import AccountSettings, AccountSettingsArgs
from components.settings.settings import parse_settings

from ..programs import GROUND, Deployment, run_program, stack_config

LOG_ROLE = "aws:apigateway/account:Account"
PUBLIC_ACCESS = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"


def once(made: Deployment) -> set[str]:
    return {LOG_ROLE, PUBLIC_ACCESS} & {resource.type for resource in made.made}


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({}, set()),
        ({"apiGatewayLogRole": True}, {LOG_ROLE}),
        ({"blockPublicS3": True}, {PUBLIC_ACCESS}),
    ],
)
def test_what_exists_once_an_account_is_made_only_where_the_config_says_so(
    account: dict[str, bool], expected: set[str]
) -> None:
    config = {**stack_config("eu-west"), "gdpr:account": account}
    read = parse_settings(config, project="gdpr", stack="eu-west").account
    made = run_program(lambda: AccountSettings("account", AccountSettingsArgs(ground=GROUND, account=read)))
    assert once(made) == expected


def test_a_stack_makes_what_its_file_says(deployment: Deployment) -> None:
    assert stack_config(deployment.prefix.removeprefix("gdpr-"))["gdpr:account"] == {
        "apiGatewayLogRole": True
    }
    assert once(deployment) == {LOG_ROLE}
