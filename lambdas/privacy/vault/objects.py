"""Objects of a vault's bucket: read in a stream, rewritten only over what was read, older versions purged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from privacy.vault import deletions
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from botocore.response import StreamingBody


READ_BYTES: Final = 128 * 1024
"""What is read at a time: the rows of it stay in the processor's cache while they are looked at."""
COPY_BYTES: Final = 1024 * 1024
"""What is read at a time where only a few rows of it are looked at."""

RESTORED_DAYS: Final = 3
"""How long an archived object can be read once S3 has brought it back."""

_GONE: Final = {"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405"}
_REFUSED: Final = {"AccessDenied", "403"}
_ARCHIVED: Final = "InvalidObjectState"
_NOT_ARCHIVED: Final = {_ARCHIVED, "ObjectAlreadyInActiveTierError", *_GONE}
_KEPT_HEADERS: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "Metadata",
    "StorageClass",
    "WebsiteRedirectLocation",
)


class ObjectChangedError(Exception):
    """Somebody else wrote or deleted the object meanwhile: it has to be visited again."""


class ObjectArchivedError(Exception):
    """S3 keeps the object in an archive and has to bring it back before it can be read."""

    def __init__(self, storage_class: str) -> None:
        super().__init__(storage_class)
        self.storage_class = storage_class


class PurgeIncompleteError(Exception):
    """S3 did not delete every version it was asked to. Its text is the first error code."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version or delete marker of one key; `size` in bytes, as it is stored."""

    id: str
    is_latest: bool
    is_marker: bool
    last_modified: datetime
    size: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The current version of an object. `headers` are the arguments that a rewrite repeats."""

    key: str
    version_id: str
    etag: str
    size: int
    last_modified: datetime
    metadata: dict[str, str]
    headers: dict[str, Any]
    tag_count: int
    body: "StreamingBody | None" = None
    _head: list[bytes] = field(default_factory=list, compare=False)

    def begins_with(self, magic: bytes) -> bool:
        """Return whether the content begins with these bytes. Once, and before it is read."""
        if self.body is not None:
            self._head.append(self.body.read(len(magic)))
        return self._head == [magic]

    def chunks(self, size: int = READ_BYTES) -> Iterator[bytes]:
        """Yield the content in pieces of about `size` bytes. Can be read once."""
        if self.body is not None:
            pieces = self.body.iter_chunks(size)
            # Whoever looks at the first piece to tell what it is finds more than a few bytes.
            if first := b"".join([*self._head, next(pieces, b"")]):
                yield first
            yield from pieces


def versions(vault: Vault, key: str) -> list[Version]:
    """Return every version and delete marker of exactly this key; versions among themselves newest first.

    ListObjectVersions takes a prefix. Keys come in UTF-8 order, so this key's own come first, and the
    listing ends at the first sibling.
    """
    found: list[Version] = []
    pages = vault.s3.get_paginator("list_object_versions").paginate(Bucket=vault.customer.bucket, Prefix=key)
    for page in pages:
        entries: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        own = [entry for entry in entries if entry["Key"] == key]
        found += [
            Version(
                id=entry["VersionId"],
                is_latest=entry["IsLatest"],
                is_marker="ETag" not in entry,
                last_modified=entry["LastModified"],
                size=entry.get("Size", 0),
            )
            for entry in own
        ]
        if len(own) < len(entries):
            break
    return found


def read(vault: Vault, key: str, *, if_match: str | None = None) -> StoredObject | None:
    """Open the object's current version, or return None where there is none.

    With `if_match` raises ObjectChangedError unless the current version has that ETag.
    """
    condition: Any = {"IfMatch": if_match} if if_match else {}
    return _current(
        vault, key, lambda: vault.s3.get_object(Bucket=vault.customer.bucket, Key=key, **condition)
    )


def describe(vault: Vault, key: str) -> StoredObject | None:
    """Return what is known of the object's current version without its content, or None."""
    return _current(vault, key, lambda: vault.s3.head_object(Bucket=vault.customer.bucket, Key=key))


def checksum(vault: Vault, key: str) -> tuple[str, str] | None:
    """Return id and checksum (as `Rewrite.checksum`) of the current version, or None. It may be archived."""
    try:
        answer = vault.s3.head_object(Bucket=vault.customer.bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
    return answer["VersionId"], answer.get("ChecksumSHA256", "").partition("-")[0]  # … of how many parts


def read_version(vault: Vault, key: str, version_id: str) -> StoredObject | None:
    """Open one version of the object, or return None where that version is gone."""
    return _version(
        vault,
        key,
        version_id,
        lambda: vault.s3.get_object(Bucket=vault.customer.bucket, Key=key, VersionId=version_id),
    )


def describe_version(vault: Vault, key: str, version_id: str) -> StoredObject | None:
    """Return what is known of one version without its content, or None where that version is gone."""
    return _version(
        vault,
        key,
        version_id,
        lambda: vault.s3.head_object(Bucket=vault.customer.bucket, Key=key, VersionId=version_id),
    )


def purge(vault: Vault, key: str, gone: list[str]) -> None:
    """Delete the versions and markers of the key that have these ids. Raises PurgeIncompleteError."""
    for start in range(0, len(gone), deletions.MOST_AT_ONCE):
        some = gone[start : start + deletions.MOST_AT_ONCE]
        errors = deletions.delete(vault, [{"Key": key, "VersionId": version_id} for version_id in some])
        refused = [code for code in errors.values() if code not in _GONE]
        if refused:
            raise PurgeIncompleteError(refused[0])


def restore(vault: Vault, key: str, storage_class: str) -> None:
    """Have S3 bring the archived current version back, for RESTORED_DAYS; harmless where it is under way.

    Raises ObjectChangedError where what is there now is not archived.
    """
    asked: Any = {"GlacierJobParameters": {"Tier": "Standard"}}
    if storage_class != "INTELLIGENT_TIERING":  # there it stays back
        asked["Days"] = RESTORED_DAYS
    try:
        vault.s3.restore_object(Bucket=vault.customer.bucket, Key=key, RestoreRequest=asked)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _NOT_ARCHIVED:
            raise ObjectChangedError from error
        if code != "RestoreAlreadyInProgress":
            raise


def abort_upload(vault: Vault, key: str, upload_id: str) -> None:
    """Remove the parts of an upload of this key, unless it was completed or removed before."""
    try:
        vault.s3.abort_multipart_upload(Bucket=vault.customer.bucket, Key=key, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise


def _current(vault: Vault, key: str, call: Any) -> StoredObject | None:  # noqa: ANN401 - get or head
    try:
        return _stored(key, call())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE:
            return None
        if code in {"PreconditionFailed", "412"}:
            raise ObjectChangedError from error
        _raise_if_archived(error)
        # Without s3:ListBucket, S3 answers 403 for a key that is not there.
        if code in _REFUSED and not any(v.is_latest and not v.is_marker for v in versions(vault, key)):
            return None
        raise


def _version(vault: Vault, key: str, version_id: str, call: Any) -> StoredObject | None:  # noqa: ANN401
    try:
        return _stored(key, call())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE:
            return None
        _raise_if_archived(error)
        if code in _REFUSED and all(version.id != version_id for version in versions(vault, key)):
            return None
        raise


def _raise_if_archived(error: ClientError) -> None:
    if error.response["Error"]["Code"] == _ARCHIVED:
        answer: Any = error.response
        raise ObjectArchivedError(answer.get("StorageClass", "")) from error


def _stored(key: str, answer: Any) -> StoredObject:  # noqa: ANN401 - output of get or head
    return StoredObject(
        key=key,
        version_id=answer["VersionId"],
        etag=answer["ETag"],
        size=answer["ContentLength"],
        last_modified=answer["LastModified"],
        metadata=answer.get("Metadata", {}),
        headers={name: answer[name] for name in _KEPT_HEADERS if answer.get(name)},
        tag_count=answer.get("TagCount", 0),
        body=answer.get("Body"),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A key with at least one version or delete marker; `sole` is its version where it has nothing else."""

    key: str
    sole: str | None


def files_below(vault: Vault, prefix: str) -> Iterator[Found]:
    """Yield every key below the prefix, also those with older versions only, a page in memory at a time."""
    pages = vault.s3.get_paginator("list_object_versions").paginate(
        Bucket=vault.customer.bucket, Prefix=prefix
    )
    key: str | None = None
    entries: list[Any] = []
    for entry in _entries(pages):
        if entry["Key"] != key:
            if key is not None:
                yield _found(key, entries)
            key, entries = entry["Key"], []
        entries = [*entries[-1:], entry]  # two tell as much as all
    if key is not None:
        yield _found(key, entries)


def _entries(pages: Iterable[Any]) -> Iterator[Any]:
    for page in pages:
        lists = page.get("Versions", []), page.get("DeleteMarkers", [])
        yield from merge(*lists, key=lambda entry: str(entry["Key"]))


def _found(key: str, entries: list[Any]) -> Found:
    alone = len(entries) == 1 and "ETag" in entries[0]  # delete markers have none
    return Found(key, entries[0]["VersionId"] if alone else None)
