"""Permissions that the end-to-end run does not see used, each with the reason why it is there.

A role is named without its stack's prefix; `*` stands for every role that has the action.
"""

from typing import Final

UNUSED: Final[dict[tuple[str, str], str]] = {}
"""Reason by role and action."""
