"""The new content of a file of rows, made in one of three ways from the version that a visit has opened."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from privacy.formats import compression
from privacy.formats.blocks import RowReader
from privacy.formats.compression import Packer, Plain
from privacy.formats.copies import RowCopy
from privacy.formats.digests import Digests
from privacy.formats.edits import Edited, RowEdits
from privacy.formats.positions import Splice, Target
from privacy.formats.proof import Piece
from privacy.formats.readers import FileEdits, Subjects, found_by
from privacy.vault.objects import COPY_BYTES, READ_BYTES, StoredObject
from privacy.vault.rewrite import Rewrite
from privacy.vault.scratch import on_disk


class NewContent(Protocol):
    """Makes a file's new content. What the properties and `indexed` return counts once it was written."""

    @property
    def done(self) -> Edited:
        """What was done to the rows."""

    @property
    def sha256_before(self) -> str:
        """Digest of the version as it was read, in hex."""

    @property
    def splices(self) -> Sequence[Splice] | None:
        """The rows that changed or went, in the order of the file; None where nobody knows."""

    def write(self, rewrite: Rewrite) -> bool:
        """Read the version to its end and write what it becomes; return False where nothing was written.

        Raises DamagedContentError where the version cannot be read, UnprovenError where what was written
        cannot be proven to be what it has to be, and what the way of making it raises.
        """

    def indexed(self) -> Subjects | None:
        """Return whose rows the new content holds, and where; None where that was not collected."""


@dataclass(frozen=True, slots=True)
class ParsedContent:
    """Every row is read, and goes through `edits`. `write` raises LineTooLongError."""

    stored: StoredObject
    reader: RowReader
    edits: RowEdits
    _digests: Digests = field(default_factory=Digests)

    @property
    def done(self) -> Edited:
        """What was done to the rows."""
        return self.edits.done

    @property
    def sha256_before(self) -> str:
        """Digest of the version as it was read, in hex."""
        return str(self._digests.before.hexdigest())

    @property
    def splices(self) -> Sequence[Splice] | None:
        """The rows that changed or went."""
        return self.edits.splices

    def write(self, rewrite: Rewrite) -> bool:
        """Write what the version becomes, compressed as it was."""
        codec, content = compression.opened(self.reader, self._digests.read(self.stored.chunks(READ_BYTES)))
        pieces = self.edits.proven(partial(self.edits.applied, self.reader), content)
        _write_packed(pieces, compression.packer_for(self.reader, codec), rewrite)
        return True

    def indexed(self) -> Subjects | None:
        """Return whose rows the new content holds, if `edits` collected all of their positions."""
        if self.edits.positions is None:
            return None
        found = found_by(self.edits.positions, self.reader)
        return found if found.positions is not None else None


@dataclass(frozen=True, slots=True)
class CopiedContent:
    """Only the rows at `targets` are read, and go through `edits`; everything else is copied.

    `head` is how much of the content the reader has to see before. `write` raises PositionsWrongError where
    one of the rows is not what the index says: what was written until then does not count.
    """

    stored: StoredObject
    reader: RowReader
    edits: RowEdits
    head: int
    targets: Sequence[Target]
    _digests: Digests = field(default_factory=Digests)

    @property
    def done(self) -> Edited:
        """What was done to the rows."""
        return self.edits.done

    @property
    def sha256_before(self) -> str:
        """Digest of the version as it was read, in hex."""
        return str(self._digests.before.hexdigest())

    @property
    def splices(self) -> Sequence[Splice] | None:
        """The rows that changed or went."""
        return self.edits.splices

    def write(self, rewrite: Rewrite) -> bool:
        """Write what the version becomes, compressed as it was."""
        codec, content = compression.opened(self.reader, self._digests.read(self.stored.chunks(COPY_BYTES)))
        copy = RowCopy(self.reader, self.head, self.targets, self.edits)
        pieces = self.edits.proven(copy.applied, content)
        packer = compression.packer_for(self.reader, codec)
        if isinstance(packer, Plain):
            self._write_plain(pieces, rewrite)
        else:
            _write_packed(pieces, packer, rewrite)
        return True

    def indexed(self) -> Subjects | None:
        """Return None: only some of the rows were read."""
        return None

    def _write_plain(self, pieces: Iterable[Piece], rewrite: Rewrite) -> None:
        """Write pieces of which most are as they were read: as long as all are, they are digested once."""
        done, digests = self.edits.done, self._digests
        for piece in pieces:
            digests.write(piece, same=not done.rows_dropped + done.rows_changed)
            rewrite.write_digested(piece)
        rewrite.digest = digests.after


@dataclass(frozen=True, slots=True)
class ContentByDisk:
    """The version lies on the disk while it is read. `write` raises ObjectTooLargeError."""

    stored: StoredObject
    edits: FileEdits
    splices: None = None
    _before: Any = field(default_factory=hashlib.sha256)

    @property
    def done(self) -> Edited:
        """What was done to the rows."""
        return self.edits.done

    @property
    def sha256_before(self) -> str:
        """Digest of the version as it was read, in hex."""
        return str(self._before.hexdigest())

    def write(self, rewrite: Rewrite) -> bool:
        """Write what the version becomes; return False where nothing changes and nothing was written."""
        with on_disk(self.stored, self._before.update) as file:
            return self.edits.apply(file, rewrite.write)

    def indexed(self) -> Subjects | None:
        """Return None: nobody keeps where the rows of such files are."""
        return None


def _write_packed(pieces: Iterable[Piece], packer: Packer, rewrite: Rewrite) -> None:
    for piece in pieces:
        rewrite.write(packer.compress(piece))
    rewrite.write(packer.flush())
