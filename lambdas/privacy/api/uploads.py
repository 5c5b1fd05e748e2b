"""Uploads: a URL that takes one file of a dataset."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from privacy.api import problems
from privacy.api.problems import Fault, ProblemError
from privacy.customers import sealed_references
from privacy.customers.customer import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from privacy.vault.sessions import Vault

LIFE: Final = timedelta(minutes=15)
"""How long a URL works. A vault's session has more left (`privacy.vault.sessions.REFRESH_SECONDS`)."""

_METADATA: Final = "x-amz-meta-"
_SUBJECT: Final = "subject"
"""Name of an object's metadata that say whose file it is: the sealed reference of the subject."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A presigned PUT: its URL, the headers it must carry, and when it ends."""

    url: str
    headers: "Mapping[str, str]"
    expires_at: datetime


def faults(dataset: Dataset, key: str, subject: str | None) -> list[Fault]:
    """Return what keeps this file from being one of the dataset's.

    Raises ProblemError (422) where the dataset's format has no files.
    """
    if dataset.prefix is None:
        detail = "The dataset has records: use PUT /v1/datasets/{dataset}/records/{record_id}."
        raise ProblemError(problems.WRONG_FORMAT, detail)
    found = []
    name = key.removeprefix(dataset.prefix)
    if not key.startswith(dataset.prefix) or not name:
        found.append(Fault(f"has to begin with {dataset.prefix} and go on", pointer="/key"))
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        # Clients resolve these away, and the signature is then for another key.
        found.append(Fault("has an empty, '.' or '..' part between slashes", pointer="/key"))
    if dataset.has_whole_files and subject is None:
        found.append(Fault("is required: a file of this dataset is one subject's", pointer="/subject"))
    if not dataset.has_whole_files and subject is not None:
        found.append(Fault("has to be absent: each row names its own subject", pointer="/subject"))
    return found


def presign(vault: "Vault", key: str, ref: str | None, now: datetime) -> Upload:
    """Sign one PUT of this key; with a reference, for the object of that subject only.

    S3 takes it over what is there now and over nothing that comes since, for `LIFE` or until the contract's
    access ends. Raises ProblemError (403) where that is now.
    """
    ends = now + LIFE
    if vault.customer.contract_ended(ends):
        ends = ends.replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = int((ends - now).total_seconds())
    if seconds <= 0:
        raise ProblemError(problems.CONTRACT_ENDED, f"It ended on {vault.customer.contract_ends}.")
    etag = _current_etag(vault, key)
    condition: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
    headers = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
    metadata = {}
    if ref is not None:
        metadata[_SUBJECT] = sealed_references.seal(vault.subject_secret(), ref)
        headers[f"{_METADATA}{_SUBJECT}"] = metadata[_SUBJECT]
    url = vault.s3.generate_presigned_url(
        "put_object",
        Params={"Bucket": vault.customer.bucket, "Key": key, "Metadata": metadata, **condition},
        ExpiresIn=seconds,
    )
    return Upload(url, headers, now + timedelta(seconds=seconds))


def _current_etag(vault: "Vault", key: str) -> str | None:
    """Return the ETag of the object that is there, or None. A listing tells it, and gives no content away."""
    # Keys come in UTF-8 order: of those that begin with this one, this one is the first.
    page = vault.s3.list_objects_v2(Bucket=vault.customer.bucket, Prefix=key, MaxKeys=1)
    return next((each["ETag"] for each in page.get("Contents", []) if each["Key"] == key), None)
