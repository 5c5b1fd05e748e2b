"""Which build of the Lambda packages a deployment on this machine takes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def local_packages() -> Iterator[None]:
    """Have the program take the packages that `make build` made for this machine."""
    before = os.environ.get("GDPR_BUILD")
    os.environ["GDPR_BUILD"] = "local"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GDPR_BUILD"]
        else:
            os.environ["GDPR_BUILD"] = before
