"""A file copied but for the rows at known positions: each of these is checked before it changes."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final

from privacy.formats.blocks import RowReader, Unreadable
from privacy.formats.edits import RowEdits
from privacy.formats.positions import Splice, Target
from privacy.formats.proof import Piece

_LINE_FEED: Final = ord("\n")


class PositionsWrongError(Exception):
    """What stands at a position is not the row that should be there: the file has to be parsed in full."""


class RowCopy:
    """Copies a file, and lets `edits` change the rows at `targets`, which are in the order of the file.

    `head` is the length of what the reader has to read of the content before it can read any other row.
    """

    def __init__(self, reader: RowReader, head: int, targets: Sequence[Target], edits: RowEdits) -> None:
        self._reader = reader
        self._head = head
        self._targets = targets
        self._edits = edits
        self._next = 0

    def applied(self, content: Iterable[bytes]) -> Iterator[Piece]:
        """Take the plain content in pieces, and yield the new content: pieces without targets as they came.

        Raises PositionsWrongError, perhaps after some of it; nothing of what was yielded counts then.
        """
        head = b""
        held: bytes = b""  # a target that is not at its end yet
        offset = 0  # of `held`
        before = _LINE_FEED  # the byte before `held`
        for chunk in content:
            if len(head) < self._head:
                head += chunk[: self._head - len(head)]
                if len(head) == self._head:
                    self._learn(head)
            text = held + chunk if held else chunk
            end = offset + len(text)
            if self._next == len(self._targets) or self._targets[self._next].place.offset >= end:
                yield text
                held = b""
            else:
                left = yield from self._spliced(text, offset, before)
                held = text[left:]
            if len(text) > len(held):
                before = text[len(text) - len(held) - 1]
            offset = end - len(held)
        if held:
            # The last row of a file may have no line feed.
            left = yield from self._spliced(held, offset, before, is_last=True)
            if left < len(held):
                raise PositionsWrongError
        if self._next < len(self._targets):
            raise PositionsWrongError

    def _learn(self, head: bytes) -> None:
        for _ in self._reader.blocks([head]):
            continue
        if self._reader.head != self._head:
            raise PositionsWrongError

    def _spliced(
        self, text: bytes, offset: int, before: int, *, is_last: bool = False
    ) -> Generator[Piece, None, int]:
        """Yield what the text becomes, up to a target that goes on behind it; return where that begins."""
        found: list[tuple[Target, int, int]] = []
        left = len(text)
        for number in range(self._next, len(self._targets)):
            target = self._targets[number]
            start, stop = target.place.offset - offset, target.place.end - offset
            if start >= len(text):
                break
            goes_on = stop == len(text) and text[-1] != _LINE_FEED and not is_last
            if stop > len(text) or goes_on:
                left = start
                break
            found.append((target, start, stop))
        self._next += len(found)
        rows = [text[start:stop] for _, start, stop in found]
        for (_, start, stop), row in zip(found, rows, strict=True):
            ends = row.endswith(b"\n") or (is_last and stop == len(text))
            if start < 0 or (text[start - 1] if start else before) != _LINE_FEED or not ends:
                raise PositionsWrongError
        view = memoryview(text)
        done = 0
        for (_, start, stop), new in zip(found, self._edited(found, rows), strict=True):
            if done < start:
                yield view[done:start]
            if new:
                yield new
            done = stop
        if done < left:
            yield view[done:left]
        return left

    def _edited(self, found: Sequence[tuple[Target, int, int]], rows: Sequence[bytes]) -> Iterator[bytes]:
        """Yield what becomes of each row, with its line feed."""
        blocks = list(self._reader.blocks([b"".join(rows)]))
        texts = [row for block in blocks for row in block.rows]
        if texts != [row.removesuffix(b"\n") for row in rows]:
            raise PositionsWrongError
        edits = self._edits
        subjects = (subject for block in blocks for subject in block.subjects)
        for (target, _, _), row, text, subject in zip(found, rows, texts, subjects, strict=True):
            refs = edits.references(subject)
            if isinstance(subject, Unreadable) or not set(target.refs).issubset(refs):
                raise PositionsWrongError
            new = edits.become(self._reader, text, subject, refs, _refuse)
            end = row[len(text) :]
            if new is not None and new != text:
                edits.subject_after(self._reader, new, subject)
            if new != text:
                size = 0 if new is None else len(new) + len(end)
                edits.note(Splice(target.place.offset, len(row), size))
            yield b"" if new is None else new + end


def _refuse(_reason: str) -> None:
    # Such a row is reported with the number of its line, which only the full parse knows.
    raise PositionsWrongError
