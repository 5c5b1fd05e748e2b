"""Empties a vault's bucket at the end of a contract: versions, delete markers, unfinished uploads.

One listing of 1,000 versions is one deletion of 1,000 versions (both the most that S3 takes). Listing goes
ahead while deletions are under way, so few pages are in memory and no page is listed twice. How far a call
came is not noted: the next call lists what is left. What S3 refuses to delete stays behind and keeps nothing
else from going.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from privacy.aws.retries import pause
from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.vault import deletions
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import (
        DeleteMarkerEntryTypeDef,
        ObjectIdentifierTypeDef,
        ObjectVersionTypeDef,
    )

DELETIONS_AT_ONCE: Final = 8
"""Calls to delete that are under way at a time: S3 deletes some 3,500 objects a second below one prefix."""

PAGES_ALONE: Final = 1_000
"""Pages that one function deletes by itself; of a larger bucket, the prefixes are emptied side by side."""

LOOK_EVERY: Final = 5
"""Pages after which the contract is read again: a hold stops a call that is under way."""

ALONE_AT_ONCE: Final = 100
"""Versions of one page that are deleted one by one before the time is looked at again; and uploads."""

_PASSES: Final = 5  # over what could not be deleted at once: errors of single objects pass by
_PAUSE_SECONDS: Final = 0.5
_TOLD: Final = 10  # refused versions that a call logs

_log: Final = logging.getLogger("privacy")


@dataclass(slots=True)
class Emptied:
    """What one call deleted, and whether nothing is left but what S3 refused to delete.

    `refused` counts those versions by S3's code. `held` says that a hold has come, and stopped the call.
    """

    done: bool = False
    held: bool = False
    versions: int = 0
    markers: int = 0
    uploads: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        """How much was deleted, by kind."""
        return {"versions": self.versions, "markers": self.markers, "uploads": self.uploads}


@dataclass(frozen=True, slots=True)
class _Page:
    versions: "list[ObjectIdentifierTypeDef]"
    markers: "list[ObjectIdentifierTypeDef]"

    def parts(self) -> "Iterator[_Page]":
        """Yield what one deletion takes: all that a call can name together, and the others in small parts."""
        together = _Page(*([each for each in kind if _together(each)] for kind in self._kinds))
        if together.versions or together.markers:
            yield together
        for is_marker, kind in enumerate(self._kinds):
            alone = [each for each in kind if not _together(each)]
            for start in range(0, len(alone), ALONE_AT_ONCE):
                part = alone[start : start + ALONE_AT_ONCE]
                yield _Page([], part) if is_marker else _Page(part, [])

    @property
    def _kinds(self) -> "tuple[list[ObjectIdentifierTypeDef], list[ObjectIdentifierTypeDef]]":
        return self.versions, self.markers


def _together(version: "ObjectIdentifierTypeDef") -> bool:
    return deletions.xml_carries(version["Key"])


@dataclass(frozen=True, slots=True)
class _Deleted:
    """How many of a page are gone, and what S3 refused to delete."""

    versions: int
    markers: int
    refused: deletions.Errors


def empty(
    vault: Vault,
    prefix: str,
    remaining: Callable[[], int],
    is_held: Callable[[], bool],
    *,
    pages: int | None = None,
) -> Emptied:
    """Delete every version and marker below the prefix and, with an empty prefix, unfinished uploads.

    `remaining` tells the milliseconds left. Stops, with `done` False, when they are fewer than
    RESERVE_MILLISECONDS, after `pages` pages of which something could be deleted, or where `is_held`, which
    is asked every LOOK_EVERY pages: call again to go on.
    """
    emptying = _Emptying(vault, prefix, remaining, is_held, pages)
    emptying.carry_out()
    return emptying.emptied


@dataclass(slots=True)
class _Emptying:
    """One call of `empty`: what it was given, and how far it has come."""

    vault: Vault
    prefix: str
    remaining: Callable[[], int]
    is_held: Callable[[], bool]
    pages: int | None
    emptied: Emptied = field(default_factory=Emptied)
    _told: set[str] = field(default_factory=set)

    def carry_out(self) -> None:
        for number in range(_PASSES):
            if not self._versions():
                return
            if not self.emptied.refused:
                break
            if number + 1 < _PASSES:
                pause(number, first_seconds=_PAUSE_SECONDS)
        self.emptied.done = bool(self.prefix) or self._uploads()

    def _versions(self) -> bool:
        """Go once through the versions; return whether to their end."""
        self.emptied.refused.clear()
        fruitless = 0
        complete = True
        under_way: set[Future[_Deleted]] = set()

        def add_up(ended: Iterable[Future[_Deleted]]) -> None:
            nonlocal fruitless
            for deleted in (each.result() for each in ended):
                self.emptied.versions += deleted.versions
                self.emptied.markers += deleted.markers
                self.emptied.refused.update(deleted.refused.values())
                fruitless += not (deleted.versions or deleted.markers)
                self._tell(deleted.refused)

        with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
            for number, part in self._parts():
                # Pages of which nothing can be deleted are no reason to ask for help.
                enough = self.pages is not None and number - fruitless >= self.pages
                if enough or self._must_stop(look=number % LOOK_EVERY == 0):
                    complete = False
                    break
                if len(under_way) == DELETIONS_AT_ONCE:
                    ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    add_up(ended)
                under_way.add(pool.submit(_delete, self.vault, part))
            add_up(under_way)
        return complete

    def _uploads(self) -> bool:
        """Abort the unfinished uploads; return whether all of them."""
        for number, (key, upload) in enumerate(deletions.unfinished_uploads(self.vault)):
            if self._must_stop(look=number % ALONE_AT_ONCE == 0):
                return False
            self.emptied.uploads += _abort(self.vault, key, upload)
        return True

    def _must_stop(self, *, look: bool) -> bool:
        """Return whether the time is over or a hold has come; for that one has to `look` at the contract."""
        if self.remaining() < RESERVE_MILLISECONDS:
            return True
        if look:
            self.emptied.held = self.is_held()
        return self.emptied.held

    def _tell(self, refused: deletions.Errors) -> None:
        """Log the first refused versions, by the digests of their keys."""
        for (key, _), code in refused.items():
            digest = hashlib.sha256(key.encode()).hexdigest()[:12]
            if len(self._told) < _TOLD and digest not in self._told:
                self._told.add(digest)
                _log.warning(
                    "not deleted: customer=%s object=%s error=%s", self.vault.customer.id, digest, code
                )

    def _parts(self) -> Iterator[tuple[int, _Page]]:
        """Yield what one deletion takes, with the number of its page, the first being 0."""
        for number, page in enumerate(self._pages()):
            for part in page.parts():
                yield number, part

    def _pages(self) -> Iterator[_Page]:
        """Yield the pages of versions; S3 goes on behind a version also where that is gone."""
        pages = self.vault.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.vault.customer.bucket, Prefix=self.prefix
        )
        for listed in pages:
            versions = _identifiers(listed.get("Versions", []))
            markers = _identifiers(listed.get("DeleteMarkers", []))
            if versions or markers:
                yield _Page(versions, markers)


def _delete(vault: Vault, page: _Page) -> _Deleted:
    """Delete the versions and markers of a page, which are as many as one call takes."""
    errors = deletions.delete(vault, page.versions + page.markers)
    versions, markers = (
        sum((each["Key"], each["VersionId"]) not in errors for each in kind)
        for kind in (page.versions, page.markers)
    )
    refused = {version: code for version, code in errors.items() if code not in deletions.GONE}
    return _Deleted(versions, markers, refused)


def _abort(vault: Vault, key: str, upload: str) -> bool:
    """Abort the upload; return whether it was still there."""
    try:
        vault.s3.abort_multipart_upload(Bucket=vault.customer.bucket, Key=key, UploadId=upload)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
        return False
    return True


def _identifiers(
    listed: "Sequence[ObjectVersionTypeDef] | Sequence[DeleteMarkerEntryTypeDef]",
) -> "list[ObjectIdentifierTypeDef]":
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
