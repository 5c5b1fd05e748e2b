"""Empties a vault's bucket at the end of a contract: versions, delete markers, unfinished uploads.

One listing of 1,000 versions is one deletion of 1,000 versions (both the most that S3 takes). Listing goes
ahead while deletions are under way, so few pages are in memory and no page is listed twice. How far a call
came is not noted: the next call lists what is left.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from privacy.aws.failures import StepFailedError
from privacy.aws.time_left import RESERVE_MILLISECONDS
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

_PASSES: Final = 5  # over what could not be deleted at once: errors of single objects pass by
_GONE: Final = {"NoSuchKey", "NoSuchVersion"}


class NotDeletedError(StepFailedError):
    """S3 kept refusing to delete some versions: its text is the error's code."""


@dataclass(slots=True)
class Emptied:
    """What one call deleted, and whether nothing is left."""

    done: bool = False
    versions: int = 0
    markers: int = 0
    uploads: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How much was deleted, by kind."""
        return {"versions": self.versions, "markers": self.markers, "uploads": self.uploads}


@dataclass(frozen=True, slots=True)
class _Page:
    versions: "list[ObjectIdentifierTypeDef]"
    markers: "list[ObjectIdentifierTypeDef]"


@dataclass(frozen=True, slots=True)
class _Deleted:
    """How many of a page are gone, and the code of a refusal if there was any."""

    versions: int
    markers: int
    refused: str | None


def empty(vault: Vault, prefix: str, remaining: Callable[[], int], *, pages: int | None = None) -> Emptied:
    """Delete every version and marker below the prefix and, with an empty prefix, unfinished uploads.

    `remaining` tells the milliseconds left. Stops, with `done` False, when they are fewer than
    RESERVE_MILLISECONDS, or after `pages` pages: call again to go on. Raises NotDeletedError.
    """
    emptied = Emptied()
    for _ in range(_PASSES):
        complete, refused = _pass(vault, prefix, remaining, emptied, pages)
        if not complete:
            return emptied
        if refused is None:
            break
    else:
        raise NotDeletedError(refused)
    if not prefix:
        for key, upload in _uploads(vault):
            emptied.uploads += _abort(vault, key, upload)
    emptied.done = True
    return emptied


def _pass(
    vault: Vault, prefix: str, remaining: Callable[[], int], emptied: Emptied, pages: int | None
) -> tuple[bool, str | None]:
    """Go once through the versions. Return whether to their end, and the code of a refusal if any."""
    refused: str | None = None
    complete = True
    under_way: set[Future[_Deleted]] = set()

    def add_up(ended: Iterable[Future[_Deleted]]) -> None:
        nonlocal refused
        for deleted in (each.result() for each in ended):
            emptied.versions += deleted.versions
            emptied.markers += deleted.markers
            refused = deleted.refused or refused

    with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
        for number, page in enumerate(_pages(vault, prefix)):
            if number == pages or remaining() < RESERVE_MILLISECONDS:
                complete = False
                break
            if len(under_way) == DELETIONS_AT_ONCE:
                ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                add_up(ended)
            under_way.add(pool.submit(_delete, vault, page))
        add_up(under_way)
    return complete, refused


def _delete(vault: Vault, page: _Page) -> _Deleted:
    """Delete the versions and markers of a page, which are as many as one call takes."""
    answer = vault.s3.delete_objects(
        Bucket=vault.customer.bucket, Delete={"Objects": page.versions + page.markers, "Quiet": True}
    )
    errors = answer.get("Errors", [])
    left = {(error["Key"], error["VersionId"]) for error in errors}
    versions, markers = (
        sum((each["Key"], each["VersionId"]) not in left for each in kind)
        for kind in (page.versions, page.markers)
    )
    refused = next((error["Code"] for error in errors if error["Code"] not in _GONE), None)
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


def _pages(vault: Vault, prefix: str) -> Iterator[_Page]:
    """Yield the pages of versions below the prefix; S3 goes on behind a version also where that is gone."""
    pages = vault.s3.get_paginator("list_object_versions").paginate(
        Bucket=vault.customer.bucket, Prefix=prefix
    )
    for listed in pages:
        versions = _identifiers(listed.get("Versions", []))
        markers = _identifiers(listed.get("DeleteMarkers", []))
        if versions or markers:
            yield _Page(versions, markers)


def _identifiers(
    listed: "Sequence[ObjectVersionTypeDef] | Sequence[DeleteMarkerEntryTypeDef]",
) -> "list[ObjectIdentifierTypeDef]":
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]


def _uploads(vault: Vault) -> Iterator[tuple[str, str]]:
    for listed in vault.s3.get_paginator("list_multipart_uploads").paginate(Bucket=vault.customer.bucket):
        for upload in listed.get("Uploads", []):
            yield upload["Key"], upload["UploadId"]
