"""Files beside the data that hold nobody: empty ones, and the checksums that Hadoop's file system writes.

Markers of folders are empty, and so is `_SUCCESS`. A checksum file is named after its file, begins with a
magic, and has nothing else but four bytes for each piece of that file (Hadoop's `ChecksumFileSystem`).
"""

import re
from typing import Final

from privacy.vault.objects import StoredObject

_CHECKSUMS: Final = re.compile(r"(.*/)?\.[^/]+\.crc")
_MAGIC: Final = b"crc\0"
_HEAD_BYTES: Final = 8
_SUM_BYTES: Final = 4


def holds_nobody(stored: StoredObject) -> bool:
    """Return whether the file has no rows, whatever its dataset's format. Asked before it is read."""
    if stored.size == 0:
        return True
    return (
        _CHECKSUMS.fullmatch(stored.key) is not None
        and stored.size % _SUM_BYTES == 0
        and stored.size >= _HEAD_BYTES
        and stored.begins_with(_MAGIC)
    )
