"""Deletes versions of objects, whatever characters their keys have, and says which of them S3 refused.

DeleteObjects takes keys in XML 1.0, which cannot carry every character that a key may have: S3 answers
MalformedXML, and deletes nothing of the whole call (S3 User Guide, "Naming Amazon S3 objects", "XML related
object key constraints"). Such keys are deleted one by one: there the key stands in the URL.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef

MOST_AT_ONCE: Final = 1_000
"""The most that one call of DeleteObjects takes."""

GONE: Final = {"NoSuchKey", "NoSuchVersion"}
"""Codes with which S3 says that there is nothing to delete any more."""

_NOT_IN_XML: Final = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 has no way to write ("Characters", production 2), and the carriage return, which parsers make
a line feed of."""

_NO_XML: Final = "MalformedXML"

Errors = Mapping[tuple[str, str], str]
"""Key and id of versions that a call did not delete, and S3's code: one of GONE, or why it refused to."""


def xml_carries(key: str) -> bool:
    """Return whether a call of DeleteObjects can name the key."""
    return _NOT_IN_XML.search(key) is None


def delete(vault: Vault, versions: "Sequence[ObjectIdentifierTypeDef]") -> Errors:
    """Delete these versions and delete markers, at most MOST_AT_ONCE; return those that it did not delete.

    Raises ClientError where the call is refused as a whole.
    """
    found: dict[tuple[str, str], str] = {}
    together = [each for each in versions if xml_carries(each["Key"])]
    if together:
        found.update(_together(vault, together))
    for each in versions:
        if not xml_carries(each["Key"]):
            found.update(_alone(vault, each))
    return found


def _together(vault: Vault, versions: "Sequence[ObjectIdentifierTypeDef]") -> Errors:
    try:
        answer = vault.s3.delete_objects(
            Bucket=vault.customer.bucket, Delete={"Objects": list(versions), "Quiet": True}
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != _NO_XML:
            raise
        # One that was not known to be such: half of them do not have it.
        if len(versions) == 1:
            return _alone(vault, versions[0])
        half = len(versions) // 2
        return {**_together(vault, versions[:half]), **_together(vault, versions[half:])}
    return {(error["Key"], error["VersionId"]): error["Code"] for error in answer.get("Errors", [])}


def _alone(vault: Vault, version: "ObjectIdentifierTypeDef") -> Errors:
    key, version_id = version["Key"], version["VersionId"]
    try:
        vault.s3.delete_object(Bucket=vault.customer.bucket, Key=key, VersionId=version_id)
    except ClientError as error:
        return {(key, version_id): error.response["Error"]["Code"]}
    return {}


def unfinished_uploads(vault: Vault) -> Iterator[tuple[str, str]]:
    """Yield key and id of every upload in progress.

    In URL encoding, which botocore asks for by itself when it lists versions, and not here: a key that XML
    cannot carry would make the whole page unreadable.
    """
    after: dict[str, str] = {}
    while True:
        page = vault.s3.list_multipart_uploads(
            Bucket=vault.customer.bucket,
            EncodingType="url",
            **after,  # type: ignore[arg-type]  # two markers
        )
        encoded = page.get("EncodingType") == "url"
        for upload in page.get("Uploads", []):
            yield unquote_plus(upload["Key"]) if encoded else upload["Key"], upload["UploadId"]
        if not page.get("IsTruncated"):
            return
        marker = page["NextKeyMarker"]
        after = {
            "KeyMarker": unquote_plus(marker) if encoded else marker,
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
