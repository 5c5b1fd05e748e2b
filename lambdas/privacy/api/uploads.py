"""Uploads: a URL that takes one file of a dataset."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from privacy.api import problems
from privacy.api.problems import Fault, ProblemError
from privacy.customers.customer import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from privacy.vault.sessions import Vault

LIFE: Final = timedelta(minutes=15)
"""How long a URL works. A vault's session has more left (`privacy.vault.sessions.REFRESH_SECONDS`)."""

SUBJECT_HEADER: Final = "x-amz-meta-subject"
"""Header that becomes the object's metadata `subject`: the reference of the subject whose file it is."""


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
    """Sign a PUT of this key; with a reference, for the object of that subject only."""
    metadata = {} if ref is None else {"subject": ref}
    url = vault.s3.generate_presigned_url(
        "put_object",
        Params={"Bucket": vault.customer.bucket, "Key": key, "Metadata": metadata},
        ExpiresIn=int(LIFE.total_seconds()),
    )
    headers = {} if ref is None else {SUBJECT_HEADER: ref}
    return Upload(url, headers, now + LIFE)
