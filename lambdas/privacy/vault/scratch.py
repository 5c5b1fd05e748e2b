"""A stored object on the function's own disk, for formats that cannot be read in a stream.

The file has no name: it is gone when it is closed, and also when the function is killed. (Lambda does not
empty /tmp when it takes up an environment again after a call that was cut short.)
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from privacy.vault.objects import StoredObject

_SPARE_BYTES: Final = 16 * 1024 * 1024


class ObjectTooLargeError(Exception):
    """The object is larger than the free part of the function's disk (`disk` in functions/catalogue.py)."""


@contextmanager
def on_disk(stored: StoredObject, take: Callable[[bytes], object]) -> Iterator[IO[bytes]]:
    """Yield a file with the object's content, read in one stream; `take` is told every piece of it.

    Raises ObjectTooLargeError, before anything is read.
    """
    with tempfile.TemporaryFile() as file:
        if stored.size + _SPARE_BYTES > shutil.disk_usage(tempfile.gettempdir()).free:
            raise ObjectTooLargeError
        for chunk in stored.chunks():
            take(chunk)
            file.write(chunk)
        file.seek(0)
        yield file
