"""Objects of a vault's bucket: read in a stream, rewritten only over what was read, older versions purged."""

import base64
import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from botocore.response import StreamingBody

_log: Final = logging.getLogger("privacy")

READ_BYTES: Final = 128 * 1024
"""What is read at a time: the rows of it stay in the processor's cache while they are looked at."""
COPY_BYTES: Final = 1024 * 1024
"""What is read at a time where only a few rows of it are looked at."""
PART_BYTES: Final = 16 * 1024 * 1024
"""Objects up to this size are written with one call, larger ones in parts of it."""

RESTORED_DAYS: Final = 3
"""How long an archived object can be read once S3 has brought it back."""

_MOST_PARTS: Final = 9_000  # S3 takes 10,000 parts: a tenth is kept for rows that grow
_DELETE_LIMIT: Final = 1000  # versions in one DeleteObjects
_GONE: Final = {"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405"}
_REFUSED: Final = {"AccessDenied", "403"}
_ARCHIVED: Final = "InvalidObjectState"
_NOT_ARCHIVED: Final = {_ARCHIVED, "ObjectAlreadyInActiveTierError", *_GONE}
_CHANGED: Final = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
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
    """A version or delete marker of one key."""

    id: str
    is_latest: bool
    is_marker: bool
    last_modified: datetime


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

    def chunks(self, size: int = READ_BYTES) -> Iterator[bytes]:
        """Yield the content in pieces of `size` bytes. Can be read once."""
        if self.body is not None:
            yield from self.body.iter_chunks(size)


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
    for start in range(0, len(gone), _DELETE_LIMIT):
        answer = vault.s3.delete_objects(
            Bucket=vault.customer.bucket,
            Delete={
                "Objects": [
                    {"Key": key, "VersionId": version_id}
                    for version_id in gone[start : start + _DELETE_LIMIT]
                ],
                "Quiet": True,
            },
        )
        errors = [error["Code"] for error in answer.get("Errors", []) if error["Code"] not in _GONE]
        if errors:
            raise PurgeIncompleteError(errors[0])


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


@dataclass
class Rewrite:
    """Writes an object's new content over the version that was read, with everything else kept.

    Holds at most one part in memory. Nothing is visible before `commit`; leaving the `with` block without
    it removes what was sent. `began` is told the id of an upload in parts before the first part is sent, so
    that somebody can remove them should this process end. `digest` is the SHA-256 of what was written.
    """

    vault: Vault
    source: StoredObject
    began: Callable[[str], None]
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    _held: list[memoryview] = field(default_factory=list)
    _held_size: int = 0
    _upload_id: str | None = None
    _parts: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._upload_id is None:
            return
        try:
            abort_upload(self.vault, self.source.key, self._upload_id)
        except (BotoCoreError, ClientError):
            if kind is None:
                raise
            # What ended the rewrite is what matters; the object is visited again.
            _log.warning("unfinished upload left to the next visit: customer=%s", self.vault.customer.id)

    @property
    def sha256(self) -> str:
        """Digest of what was written so far, in hex."""
        digest: str = self.digest.hexdigest()
        return digest

    @property
    def checksum(self) -> str:
        """The SHA-256 checksum that S3 will tell of the new version: of its content, or of its parts'.

        Only once everything is written.
        """
        if self._upload_id is None:
            return base64.b64encode(self.digest.digest()).decode()
        parts = [base64.b64decode(part["ChecksumSHA256"]) for part in self._parts]
        if self._held_size:
            parts.append(hashlib.sha256(b"".join(self._held)).digest())
        return base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()

    def write(self, content: bytes | memoryview) -> None:
        """Add to the new content."""
        self.digest.update(content)
        self.write_digested(content)

    def write_digested(self, content: bytes | memoryview) -> None:
        """Add to the new content what the caller has put into the digest, or will before it commits."""
        self.size += len(content)
        part = max(PART_BYTES, self.source.size // _MOST_PARTS)
        left = memoryview(content)
        while self._held_size + len(left) > part:
            room = part - self._held_size
            self._send(b"".join([*self._held, left[:room]]))
            self._held, self._held_size, left = [], 0, left[room:]
        if left:
            self._held.append(left)
            self._held_size += len(left)

    def commit(self) -> str:
        """Make the new content the object's current version and return its version id.

        Raises ObjectChangedError where the current version is no longer the one that was read.
        """
        try:
            if self._upload_id is None:
                return self.vault.s3.put_object(
                    **self._where(),
                    **self._attributes(),
                    Body=b"".join(self._held),
                    IfMatch=self.source.etag,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(self.digest.digest()).decode(),
                )["VersionId"]
            if self._held_size:
                self._send(b"".join(self._held))
            answer = self.vault.s3.complete_multipart_upload(
                **self._where(),
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
                IfMatch=self.source.etag,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _CHANGED:
                raise ObjectChangedError from error
            raise
        self._upload_id = None
        return answer["VersionId"]

    def _send(self, part: bytes) -> None:
        if self._upload_id is None:
            self._upload_id = self.vault.s3.create_multipart_upload(
                **self._where(), **self._attributes(), ChecksumAlgorithm="SHA256"
            )["UploadId"]
            self.began(self._upload_id)
        number = len(self._parts) + 1
        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
        etag = self.vault.s3.upload_part(
            **self._where(), UploadId=self._upload_id, PartNumber=number, Body=part, ChecksumSHA256=checksum
        )["ETag"]
        self._parts.append({"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum})

    def _where(self) -> Any:  # noqa: ANN401 - keyword arguments of several typed calls
        return {"Bucket": self.vault.customer.bucket, "Key": self.source.key}

    def _attributes(self) -> Any:  # noqa: ANN401 - keyword arguments of several typed calls
        attributes = {
            **self.source.headers,
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self.vault.customer.key_arn,
            "BucketKeyEnabled": True,
        }
        if self.source.tag_count:
            tags = self.vault.s3.get_object_tagging(**self._where())["TagSet"]
            attributes["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
        return attributes


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
