"""Single values of the config: what they must look like, and the text that says so."""

import difflib
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from pulumi_aws import Region

CUSTOMER_ID: Final = (
    r"[a-z][a-z0-9-]{1,20}",
    "2 to 21 lower-case letters, digits and hyphens, a letter first",
)
NAME: Final = (r"[a-z][a-z0-9-]{0,30}", "1 to 31 lower-case letters, digits and hyphens, a letter first")
RESTORED_TABLE: Final = (
    r"[a-z0-9][a-z0-9-]{0,19}",
    "what follows the dot in the restored table's name: 1 to 20 lower-case letters, digits and hyphens",
)
FIELD_PATH: Final = (
    r"[A-Za-z0-9_-]{1,64}(\[\])?(\.[A-Za-z0-9_-]{1,64}(\[\])?){0,9}",
    "field names (letters, digits, _ and -) joined by dots, such as author.email or recipients[].email",
)
CSV_MARK: Final = (r"[!-~\t ]", "one printable ASCII character or a tab")
CSV_QUOTE: Final = (r"[!-~]|none", "one visible ASCII character, or none where quotes mean nothing")
CSV_VISIBLE: Final = (r"[!-~]", "one visible ASCII character")
PREFIX: Final = (
    r"(?=.{2,200}\Z)((?!\.{1,2}/)[A-Za-z0-9_.=-]+/)+",
    "a key prefix that ends with a slash, such as feedback/, without . and .. as folders",
)
LINE: Final = (r"[^\x00-\x1f\x7f\u2028\u2029]{1,200}", "1 to 200 characters in one line")
HOLD: Final = (
    r"(?=.{3,100}\Z)[A-Za-z0-9][A-Za-z0-9 .,:;/()#_-]*",
    "why, in 3 to 100 plain characters, such as litigation, case 2026-114; no name of a person",
)
PRINCIPAL_ARN: Final = (
    r"arn:aws:iam::\d{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]{1,512})",
    "the ARN of an AWS account, role or user, without wildcards, such as arn:aws:iam::111122223333:root",
)

_MIDNIGHT: Final = re.compile(r"(00:00:00(\.0+)?(Z|\+00:00| \+0000 UTC)?)?")


def text_matching(pattern: str, description: str) -> Callable[[Any], str]:
    """Return a validator of texts that match the whole pattern; its error says what to write instead."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str:  # noqa: ANN401 -- whatever the file holds
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise ValueError(f"write {description}")
        return value

    return check


def one_or_more(pattern: str, description: str) -> Callable[[Any], Any]:
    """Return a validator that makes a tuple of a single text, and leaves lists to the check of their entries.

    None is an empty tuple: a key without a value may as well not stand there.
    """
    check = text_matching(pattern, description)

    def checked(value: Any) -> Any:  # noqa: ANN401 -- whatever the file holds
        if value is None:
            return ()
        return value if isinstance(value, list | tuple) else (check(value),)

    return checked


def known_region(value: Any) -> str:  # noqa: ANN401 -- whatever the file holds
    """Return a region of the aws partition that the provider knows; else ValueError names a near one."""
    known = [region.value for region in Region if not region.value.startswith(("cn-", "us-gov-", "us-iso"))]
    if isinstance(value, str) and value in known:
        return value
    near = difflib.get_close_matches(value, known, 1) if isinstance(value, str) else []
    raise ValueError(f"write a region of the aws partition, such as {near[0] if near else 'eu-west-1'}")


def contract_date(value: Any) -> date:  # noqa: ANN401 -- whatever the file holds
    """Read a day: `2026-01-01`, or the midnight that YAML tools make of an unquoted one.

    The Pulumi CLI hands over `2026-01-01 00:00:00 +0000 UTC`, and writes that into a stack's file when it
    saves it.

    Raises ValueError where it is anything else, so that no time of day is dropped silently.
    """
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        day, _, time = value.partition("T" if "T" in value[:11] else " ")
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) and _MIDNIGHT.fullmatch(time):
            try:
                return date.fromisoformat(day)
            except ValueError:
                raise ValueError("there is no such day; write one such as 2026-12-31") from None
    raise ValueError("write a day as 2026-12-31 (UTC)")
