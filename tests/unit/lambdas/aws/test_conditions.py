"""A write under a condition that does not hold is no error; every other refusal is."""

import boto3
import pytest
from botocore.exceptions import ClientError

from privacy.aws.conditions import ConditionMayFail

from ..region import make_table

pytestmark = pytest.mark.usefixtures("aws")


def put(table: str) -> bool:
    with ConditionMayFail():
        boto3.client("dynamodb").put_item(
            TableName=table,
            Item={"pk": {"S": "one"}, "sk": {"S": "item"}},
            ConditionExpression="attribute_not_exists(sk)",
        )
        return True
    return False


def test_it_is_told_whether_the_write_was_made() -> None:
    table = make_table("conditions")
    assert put(table)
    assert not put(table)


def test_other_refusals_and_other_errors_go_on() -> None:
    make_table("conditions")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        put("no such table")
    with pytest.raises(ZeroDivisionError), ConditionMayFail():
        raise ZeroDivisionError
