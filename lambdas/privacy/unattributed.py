"""What of a file nobody can attribute to anybody: in fixed words and numbers, never with its content."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Reason = Literal[
    "no-field",
    "unreadable-rows",
    "other-format",
    "damaged",
    "encrypted",
    "summary-file",
    "line-too-long",
    "too-large",
    "no-subject",
    "archived",
    "outside-datasets",
    "unused-values",
]
"""Why: the field that names the subject is missing; rows that are none of the declared format; a file of
another format; one that ends too early or does not decode; an encrypted one; one that repeats what other
files hold; a line, or a file, that is too long to be read; a whole file whose metadata name nobody; one that
S3 would have to bring back first; an object below no dataset's prefix; values that stand in a file without
being in any of its rows, which the next erasure takes out."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

Part = Literal["all", "rest", "rows"]
"""How much: the whole file, from a line on to its end, or some of its rows."""

PARTS: Final[tuple[Part, ...]] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Unattributed:
    """What of a file could not be attributed, and why.

    `detail` says more in fixed words. `rows` is how many rows it is, None where nobody knows. `line` is
    where the first of it is, from 1: a line, or in parquet a row. With `unused` there are also values that
    no row has.
    """

    reason: Reason
    part: Part
    detail: str | None = None
    rows: int | None = None
    line: int | None = None
    unused: bool = False


OUTSIDE: Final = Unattributed("outside-datasets", "all")
"""What is to be said of an object below no dataset's prefix."""

UNUSED_VALUES: Final = Unattributed("unused-values", "rows", rows=0, unused=True)
"""What is to be said of a file that holds values which no row has, and is attributed otherwise."""
