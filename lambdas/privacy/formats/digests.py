"""SHA-256 of what a visit reads and of what it writes in its place."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any


class Digests:
    """Digests content before and after a change, and only once as long as both are the same.

    For content of which the same is read and written in small pieces: pieces that were written and not yet
    compared with what was read are kept in memory.
    """

    def __init__(self) -> None:
        self.before: Any = hashlib.sha256()
        self._after: Any = None
        self._read = 0
        self._written = 0
        self._same: Any = self.before.copy()  # of the content up to `_pending`
        self._pending: list[bytes | memoryview] = []

    def read(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Digest what is read, and yield it as it came."""
        for chunk in chunks:
            self.before.update(chunk)
            self._read += len(chunk)
            yield chunk

    def write(self, piece: bytes | memoryview, *, same: bool) -> None:
        """Take a piece that is written; `same` tells that all of the content is so far as it was read."""
        if self._after is None and same:
            self._written += len(piece)
            self._pending.append(piece)
            if self._written == self._read:
                self._same = self.before.copy()
                self._pending.clear()
            return
        self.after.update(piece)

    @property
    def after(self) -> Any:  # noqa: ANN401 - hashlib's own
        """The digest of what was written so far. Asked once, `write` digests every piece from then on."""
        if self._after is None:
            self._after = self._same
            for piece in self._pending:
                self._after.update(piece)
            self._pending.clear()
        return self._after
