"""Writes to a table under a condition: what to do where it does not hold."""

from types import TracebackType

from botocore.exceptions import ClientError


class ConditionMayFail:
    """A `with` block that ends, without an exception, at a write whose condition does not hold.

    To return whether the write was made:

        with ConditionMayFail():
            client.put_item(…, ConditionExpression=…)
            return True
        return False

    Every other exception goes on.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, ClientError) and is_failed_condition(error)


def is_failed_condition(error: ClientError) -> bool:
    """Return whether a write was refused because its condition does not hold."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
