"""An object of a vault written anew, in parts, and only over the version that was read."""

import base64
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from privacy.vault.objects import ObjectChangedError, StoredObject, abort_upload
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")

PART_BYTES: Final = 16 * 1024 * 1024
"""Objects up to this size are written with one call, larger ones in parts of it."""

_MOST_PARTS: Final = 9_000  # S3 takes 10,000 parts: a tenth is kept for rows that grow

_CHANGED: Final = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}


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
