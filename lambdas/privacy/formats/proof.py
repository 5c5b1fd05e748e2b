"""Proof that a visit of a file of rows leaves everything alone but the rows that it says it changed.

What is written is compared with what was read, byte for byte and in the order of the file: it has to be the
same but for the splices. The comparison knows nothing of rows, so that a mistake in how rows are cut, edited
and put together again cannot hide from it. It looks at plain content, as rows are read from it: compression
and UTF-16 are left to the libraries. Pieces that are written as they were read cost nothing.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from privacy.formats.positions import Splice

Piece = bytes | memoryview
"""Content to be written, perhaps a part of what was read."""

_DIFFERS: Final = "what was written differs from what was read in more than the rows concerned"


class UnprovenError(Exception):
    """It cannot be proven that what was written is what it has to be: it does not become a version.

    Its text is the reason, without any content.
    """


class Untouched:
    """Compares plain content as it is written with the same as it was read.

    Holds what was read and is not yet written, which its reader does as well. `splices` is how many rows
    changed or went.
    """

    def __init__(self) -> None:
        self.splices = 0
        self._expected: deque[Splice] = deque()
        self._held: deque[bytes] = deque()
        self._place = 0  # in the old content: up to here it was compared
        self._used = 0  # of the first piece that is held
        self._new = 0  # bytes of a changed row that are still to be written

    def expect(self, splice: Splice) -> None:
        """Take note of a row that changes or goes, before what stands behind it is written."""
        self.splices += 1
        self._expected.append(splice)

    def read(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the old content as it came."""
        for chunk in content:
            if chunk:
                self._held.append(chunk)
            yield chunk

    def written(self, content: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the new content as it came. Raises UnprovenError, perhaps after some of it."""
        for piece in content:
            self._compare(piece)
            yield piece
        self._pass_splices()
        if self._new or self._expected or self._held:
            raise UnprovenError(_DIFFERS)

    def _compare(self, piece: Piece) -> None:
        left = memoryview(piece)
        while left:
            self._pass_splices()
            if self._new:
                size = min(self._new, len(left))
                self._new -= size
            else:
                size = self._same(left)
            left = left[size:]

    def _pass_splices(self) -> None:
        """Leave out of the old content what changed or went right here."""
        while not self._new and self._expected and self._expected[0].offset <= self._place:
            splice = self._expected.popleft()
            if splice.offset < self._place:
                raise UnprovenError(_DIFFERS)
            self._new = splice.new
            left = splice.old
            while left:
                left -= self._take(left)

    def _same(self, content: memoryview) -> int:
        """Compare with the old content to the end of a piece or the next splice; return how much it was."""
        size = len(content)
        if self._expected:
            size = min(size, self._expected[0].offset - self._place)
        size = min(size, len(self._first) - self._used)
        whole = content.obj is self._first and size == len(self._first) == len(content)
        if not whole and not self._first.startswith(content[:size], self._used):
            raise UnprovenError(_DIFFERS)
        return self._take(size)

    def _take(self, most: int) -> int:
        """Go on in the old content by so many bytes, at most to the end of a piece; return by how many."""
        size = min(most, len(self._first) - self._used)
        self._place += size
        self._used += size
        if self._used == len(self._first):
            self._held.popleft()
            self._used = 0
        return size

    @property
    def _first(self) -> bytes:
        if not self._held:
            raise UnprovenError(_DIFFERS)
        return self._held[0]
