"""What of a file of rows is left over that nobody can attribute, while it is read to its end."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from privacy.formats.blocks import NO_COLUMN, NO_FIELD, Block, Unreadable
from privacy.formats.compression import NOT_UTF16, DamagedContentError
from privacy.unattributed import Reason, Unattributed

_FORMATS: Final = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"PAR1": "parquet",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"%PDF": "PDF",
}
"""First bytes of files that are no rows of text, once they are unpacked: what they are taken for."""

_LONGEST: Final = max(map(len, _FORMATS))


class LeftOver:
    """Watches the content of one file, and the rows that a reader makes of it."""

    def __init__(self) -> None:
        self._first = b""
        self._rows = 0
        self._lines = 0
        self._faults: Counter[str] = Counter()
        self._line: int | None = None
        self._cut: tuple[Reason, str | None] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the file could not be read to its end."""
        return self._cut is not None

    def watched(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the plain content on, and end it where it is damaged."""
        try:
            for piece in content:
                if len(self._first) < _LONGEST:
                    self._first += piece[:_LONGEST]
                yield piece
        except DamagedContentError as error:
            self.cut("other-format" if str(error) == NOT_UTF16 else "damaged", str(error))

    def cut(self, reason: Reason, detail: str | None = None) -> None:
        """Note why the rest of the file cannot be read."""
        self._cut = reason, detail

    def take(self, block: Block, *, some: bool) -> None:
        """Take the next rows; `some` says whether there are any among them that cannot be read."""
        self._rows += len(block.rows)
        self._lines = block.line + block.content.count(b"\n")
        if not some:
            return
        for place, subject in enumerate(block.subjects):
            if isinstance(subject, Unreadable):
                self._faults[subject.reason] += 1
                if self._line is None:
                    self._line = block.line_of(place)

    def found(self, *, somebody: bool) -> Unattributed | None:
        """Return what is left over; `somebody` says whether anybody was found in the file."""
        if self._cut is None and not self._faults:
            return None
        rows = self._rows if NO_COLUMN in self._faults else self._faults.total()
        likely = next((name for first, name in _FORMATS.items() if self._first.startswith(first)), None)
        if likely is not None and not somebody:
            return Unattributed("other-format", "all", f"looks like {likely}")
        if self._cut is not None:
            reason, detail = self._cut
            return Unattributed(
                reason, "rest" if self._rows else "all", detail, None, self._line or self._lines or 1
            )
        detail = min(self._faults, key=lambda fault: (-self._faults[fault], fault))
        is_missing = self._faults.keys() <= {NO_FIELD, NO_COLUMN}
        return Unattributed(
            "no-field" if is_missing else "unreadable-rows",
            "rows" if somebody else "all",
            detail,
            rows,
            self._line,
        )
