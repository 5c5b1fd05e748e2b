"""The one exception of this package that a person is meant to read."""


class LocalError(Exception):
    """Something a person can put right; `python -m local` prints its text instead of a stack trace."""
