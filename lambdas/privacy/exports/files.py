"""Exports in a vault's bucket: what an export has written lies below `exports/<id>/`, and goes by itself.

The files that a customer has sent are not copied: they lie in the same bucket, and an export lists them.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from privacy.vault import objects as vault_objects
from privacy.vault.objects import files_below
from privacy.vault.session_policies import EXPORTS

if TYPE_CHECKING:
    from privacy.vault.sessions import Vault

LIFE: Final = timedelta(days=7)
"""How long an export can be fetched: a lifecycle rule of the bucket removes it then."""

URL_LIFE: Final = timedelta(minutes=15)
"""How long a download's URL works. A session has more left (`privacy.vault.sessions.REFRESH_SECONDS`)."""


def prefix(export_id: str) -> str:
    """Return the prefix of everything that an export has written."""
    return f"{EXPORTS}{export_id}/"


def any_left(vault: "Vault") -> bool:
    """Return whether the bucket has anything of any export: a version or a delete marker."""
    page = vault.s3.list_object_versions(Bucket=vault.customer.bucket, Prefix=EXPORTS, MaxKeys=1)
    return bool(page.get("Versions") or page.get("DeleteMarkers"))


def purge(vault: "Vault") -> int:
    """Delete every version and delete marker of every export; return how many there were.

    Raises PurgeIncompleteError where S3 kept some.
    """
    removed = 0
    for found in files_below(vault, EXPORTS):
        versions = [found.sole] if found.sole else [v.id for v in vault_objects.versions(vault, found.key)]
        vault_objects.purge(vault, found.key, versions)
        removed += len(versions)
    return removed


def download(vault: "Vault", key: str) -> str:
    """Sign a GET of the current version of an object."""
    return vault.s3.generate_presigned_url(
        "get_object",
        Params={"Bucket": vault.customer.bucket, "Key": key},
        ExpiresIn=int(URL_LIFE.total_seconds()),
    )
