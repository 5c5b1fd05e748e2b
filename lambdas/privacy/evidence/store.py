"""Evidence: what can be shown later, written once to the region's evidence bucket.

It holds ids, subject references, counts, times and digests, and nothing personal. The bucket is under Object
Lock in compliance mode; functions write to it and cannot read it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.aws.retries import ATTEMPTS, pause

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*")
_THERE: Final = {"PreconditionFailed", "412"}
_BUSY: Final = {"ConditionalRequestConflict", "409"}


class EvidenceNotWrittenError(Exception):
    """Other writers of the same evidence kept getting in the way. Trying again later helps."""


def key_of(kind: str, customer: str, name: str) -> str:
    """Return the key of a piece of evidence: `<kind>/<customer>/<name>.json`.

    Raises ValueError for a name that is not made of ids: it stands in listings and must identify nobody.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a name of evidence consists of ids: lower-case letters, digits, - and /")
    return f"{kind}/{customer}/{name}.json"


def put(kind: str, customer: str, name: str, document: Mapping[str, Any]) -> str:
    """Write the document as JSON to the evidence bucket under the function's own role; return its key.

    What stands there under the same name stays: the first entry counts, and a repeated call is harmless.
    Raises ValueError for a name that is not made of ids, EvidenceNotWrittenError where other writers kept
    getting in the way, ClientError for what else S3 refuses.
    """
    key = key_of(kind, customer, name)
    body = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    for attempt in range(ATTEMPTS):
        try:
            aws_clients.s3().put_object(
                Bucket=environment.read(environment.EVIDENCE_BUCKET),
                Key=key,
                Body=body,
                ContentType="application/json",
                IfNoneMatch="*",
                # S3 wants a checksum of what it is to lock (S3 User Guide, "Object Lock considerations").
                ChecksumAlgorithm="SHA256",
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _THERE:
                return key
            if code not in _BUSY:
                raise
            pause(attempt)
        else:
            return key
    raise EvidenceNotWrittenError
