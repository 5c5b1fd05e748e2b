"""What an object really holds: read anew for the comparison with its index."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from privacy.customers.customer import Dataset
from privacy.formats.blocks import LineTooLongError
from privacy.formats.readers import DatasetUnknownError, Subjects
from privacy.index import subjects as index_subjects
from privacy.index.file_formats import open_version
from privacy.unattributed import Unattributed
from privacy.vault.objects import ObjectArchivedError, ObjectChangedError, StoredObject, Version
from privacy.vault.scratch import ObjectTooLargeError
from privacy.vault.sessions import Vault


@dataclass(slots=True)
class Held:
    """A version that was read, and in `found` whose rows it holds."""

    version: Version
    stored: StoredObject
    found: Subjects


@dataclass(slots=True)
class Content:
    """What an object's versions hold: for each subject, the newest and the oldest version with its rows.

    `current` is the newest version, where it could be read; `unreadable` names why others could not, and
    `archived` are those of them that S3 would have to bring back, newest first. `unattributed` is, by
    version, what nobody can attribute. Where rows are is known of `current` alone: what older versions have
    of it nobody uses, and all of it would fill the memory.
    """

    newest: dict[str, Held] = field(default_factory=dict)
    oldest: dict[str, Held] = field(default_factory=dict)
    current: Held | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    archived: list[str] = field(default_factory=list)
    unattributed: dict[str, Unattributed] = field(default_factory=dict)

    @property
    def current_id(self) -> str | None:
        """Id of the newest version, where it could be read."""
        return self.current.version.id if self.current is not None else None


def read_content(vault: Vault, dataset: Dataset, key: str, versions: Iterable[Version]) -> Content:
    """Read the versions of an object, given newest first, and return what they hold.

    Of a version that cannot be read the reason is noted. Raises ObjectChangedError where one is gone.
    """
    content = Content()
    for number, version in enumerate(versions):
        try:
            stored = open_version(vault, dataset, key, version.id)
            if stored is None:
                raise ObjectChangedError
            found = index_subjects.subjects(vault, dataset, stored)
        except (DatasetUnknownError, ObjectArchivedError, ObjectTooLargeError) as error:
            content.unreadable[version.id] = type(error).__name__
            if isinstance(error, ObjectArchivedError):
                content.archived.append(version.id)
            elif isinstance(error, ObjectTooLargeError):
                content.unattributed[version.id] = Unattributed("too-large", "all")
            continue
        if found.unattributed is not None:
            content.unattributed[version.id] = found.unattributed
            if found.unattributed.reason == "line-too-long":
                content.unreadable[version.id] = LineTooLongError.__name__
        if number:
            found.positions = None
        held = Held(version, stored, found)
        if number == 0:
            content.current = held
        content.oldest.update(dict.fromkeys(found.rows, held))
        for ref in found.rows:
            content.newest.setdefault(ref, held)
    return content
