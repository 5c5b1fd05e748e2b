"""How numbers print when they identify people: one rule for every format, and for the identifier asked for.

What has the same value prints the same: `12`, `12.0` and `1.2e1` are `12`. JSON and the columns of parquet
say what is a number. A csv field and the identifier that somebody asks for are text that may print one.
"""

import re
from typing import Final

_MOST_DIGITS: Final = 400  # a double has at most 309 before the point; nobody may ask for a gigabyte of zeros

_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,9}))?")

_PRINTED: Final = re.compile(r"[ \t]*(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE]\+[0-9]{1,9})?)[ \t]*")
"""Text that prints a number. `007` does not, nor does `12e4`, which may be a digest in hexadecimal digits."""

_FIRST: Final = frozenset("0123456789- \t")


def shortest(spelled: str) -> str:
    """Return a number as it prints: without zeros that mean nothing, and without an exponent.

    A number of more than 400 digits keeps an exponent. What is no number (`Infinity`) is returned as it is.
    """
    found = _NUMBER.fullmatch(spelled)
    if found is None:
        return spelled
    sign, whole, fraction, exponent = found.groups()
    digits = (whole + (fraction or "")).lstrip("0")
    if not digits:
        return "0"
    significant = digits.rstrip("0")
    power = int(exponent or 0) - len(fraction or "") + len(digits) - len(significant)
    if power >= 0 and len(significant) + power <= _MOST_DIGITS:
        return sign + significant + "0" * power
    if -_MOST_DIGITS <= power < 0:
        padded = significant.rjust(1 - power, "0")
        return f"{sign}{padded[:power]}.{padded[power:]}"
    return f"{sign}{significant}e{power}"


def as_number(text: str) -> str:
    """Return text that prints a number as that number prints, any other text as it is."""
    if text[:1] not in _FIRST or (found := _PRINTED.fullmatch(text)) is None:
        return text
    return shortest(found[1])
