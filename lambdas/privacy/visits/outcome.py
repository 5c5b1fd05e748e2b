"""What a visit did to an object."""

from dataclasses import dataclass, field
from typing import Any

from privacy.formats.edits import Edited


@dataclass(slots=True)
class Outcome(Edited):
    """What a visit did to an object.

    `old_version` is the current version that was found, `new_version` the one written in its place,
    `kept_version` the only one that stays; each is None where there is none. `damaged` says why the
    object's content could not be decoded, `unproven` why it could not be proven that what was written is what
    it has to be: nothing of the object was touched then. `unread` says the same of an object of which nothing
    tells that anybody who is asked for is in it: it counts as one that nobody can attribute. `purged` is
    false where a correction found nothing to correct: other versions stay then. `read_back` says whether a
    listing made after the last deletion showed nothing but the kept version. `indexed` says whether the index
    had seen the old version; `entries` are the versions that entries of subjects were about before anything
    was done. `entries_stay` is noted where somebody is `left`: their entries stay, so that the next request
    finds them.
    `erase` is who was to be erased: everybody whom the visit names, but for those whose erasure is a repeated
    one and does not reach the version. `archived` is set where S3 has to bring the object back first: nothing
    was touched then.
    """

    old_version: str | None = None
    new_version: str | None = None
    kept_version: str | None = None
    sha256_before: str | None = None
    sha256_after: str | None = None
    damaged: str | None = None
    archived: str | None = None
    unproven: str | None = None
    unread: str | None = None
    versions_removed: int = 0
    purged: bool = True
    read_back: bool = False
    indexed: bool = False
    entries_stay: bool = False
    entries: dict[str, str] = field(default_factory=dict)
    erase: frozenset[str] = frozenset()

    @property
    def is_left_alone(self) -> bool:
        """Whether nothing of the object was touched, although something was asked."""
        return not self.damaged is self.archived is self.unproven is self.unread is None

    def leave_unread(self, why: str) -> None:
        """Note that nobody can tell whom the object holds, and that it stays as it is."""
        self.unread, self.purged = why, False
        self.unparsed = [{"reason": why}]
        self.unparsed_count = self.unattributed_count = 1

    def take(self, edited: Edited) -> None:
        """Note what was done to the object's rows."""
        self.rows_dropped, self.rows_changed = edited.rows_dropped, edited.rows_changed
        self.unparsed, self.unparsed_count = edited.unparsed, edited.unparsed_count
        self.unattributed_count = edited.unattributed_count
        self.erased, self.spared, self.left = edited.erased, edited.spared, edited.left
        self.unused_dropped, self.unnamed = edited.unused_dropped, edited.unnamed

    def noted(self) -> dict[str, Any]:
        """Return the outcome as the visit's item keeps it."""
        return {
            "rows_dropped": self.rows_dropped,
            "rows_changed": self.rows_changed,
            "unused_dropped": self.unused_dropped,
            "old_version": self.old_version,
            "new_version": self.new_version,
            "kept_version": self.kept_version,
            "sha256_before": self.sha256_before,
            "sha256_after": self.sha256_after,
            "unparsed": self.unparsed,
            "unparsed_count": self.unparsed_count,
            "unattributed_count": self.unattributed_count,
            "damaged": self.damaged,
            "archived": self.archived,
            "unproven": self.unproven,
            "versions_removed": self.versions_removed,
            "purged": self.purged,
            "read_back": self.read_back,
            "entries_stay": self.entries_stay or bool(self.left),
        }
