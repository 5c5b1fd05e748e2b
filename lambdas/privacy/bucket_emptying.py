"""Empties a vault's bucket at the end of a contract: versions, delete markers, unfinished uploads.

One listing of 1,000 versions is one deletion of 1,000 versions (both the most that S3 takes). Listing goes
ahead while deletions are under way, so few pages are in memory and S3 is asked nothing twice. What is deleted
needs no mark of how far it got: whoever starts again finds what is left.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from privacy.run_steps import RESERVE_MILLISECONDS
from privacy.step_failures import StepFailedError
from privacy.vault import Vault

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef

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
    """What one call deleted, and whether nothing is left. Errors are the codes of single refusals."""

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
    identifiers: "list[ObjectIdentifierTypeDef]"
    markers: int


def empty(vault: Vault, prefix: str, remaining: Callable[[], int], *, pages: int | None = None) -> Emptied:
    """Delete every version and marker below the prefix and, with an empty prefix, unfinished uploads.

    `remaining` gives the milliseconds that the function has; what it has no time for, and what lies beyond
    so many `pages`, the next call does (`done` is False then). Raises NotDeletedError.
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
            vault.s3.abort_multipart_upload(Bucket=vault.customer.bucket, Key=key, UploadId=upload)
            emptied.uploads += 1
    emptied.done = True
    return emptied


def _pass(
    vault: Vault, prefix: str, remaining: Callable[[], int], emptied: Emptied, pages: int | None
) -> tuple[bool, str | None]:
    """Go once through the versions. Return whether to their end, and the code of a refusal if any."""
    refused: str | None = None
    complete = True
    under_way: set[Future[list[str]]] = set()
    with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
        for number, page in enumerate(_pages(vault, prefix)):
            if number == pages or remaining() < RESERVE_MILLISECONDS:
                complete = False
                break
            if len(under_way) == DELETIONS_AT_ONCE:
                ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                refused = next((code for each in ended for code in each.result()), refused)
            under_way.add(pool.submit(_delete, vault, page.identifiers))
            emptied.versions += len(page.identifiers) - page.markers
            emptied.markers += page.markers
        refused = next((code for each in under_way for code in each.result()), refused)
    return complete, refused


def _delete(vault: Vault, identifiers: "list[ObjectIdentifierTypeDef]") -> list[str]:
    """Delete the versions; return the codes of what was refused."""
    answer = vault.s3.delete_objects(
        Bucket=vault.customer.bucket, Delete={"Objects": identifiers, "Quiet": True}
    )
    return [error["Code"] for error in answer.get("Errors", []) if error["Code"] not in _GONE]


def _pages(vault: Vault, prefix: str) -> Iterator[_Page]:
    where: dict[str, Any] = {"Bucket": vault.customer.bucket, "Prefix": prefix}
    while True:
        listed = vault.s3.list_object_versions(**where)
        versions, markers = listed.get("Versions", []), listed.get("DeleteMarkers", [])
        identifiers: list[ObjectIdentifierTypeDef] = [
            {"Key": each["Key"], "VersionId": each["VersionId"]} for each in (*versions, *markers)
        ]
        if identifiers:
            yield _Page(identifiers, len(markers))
        if not listed["IsTruncated"]:
            return
        where |= {"KeyMarker": listed["NextKeyMarker"], "VersionIdMarker": listed["NextVersionIdMarker"]}


def _uploads(vault: Vault) -> Iterator[tuple[str, str]]:
    where: dict[str, Any] = {"Bucket": vault.customer.bucket}
    while True:
        listed = vault.s3.list_multipart_uploads(**where)
        for upload in listed.get("Uploads", []):
            yield upload["Key"], upload["UploadId"]
        if not listed["IsTruncated"]:
            return
        where |= {"KeyMarker": listed["NextKeyMarker"], "UploadIdMarker": listed["NextUploadIdMarker"]}
