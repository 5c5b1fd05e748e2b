"""The erasure ledger: who was erased when, written as evidence before anything is deleted.

A backup that is restored brings back data and forgets erasures. The ledger does not: it lies outside of every
vault, and a replay reads from it who has to be erased again. It holds subject references and times.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from privacy import environment
from privacy.evidence import store as evidence_store
from privacy.vault.sessions import Vault

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import ObjectVersionTypeDef

KIND: Final = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Subjects that one request erases. The rest is the request's: what it follows from, and who asked."""

    request: str
    subjects: tuple[str, ...]
    follows: str | None = None
    restored_from: str | None = None
    client_id: str | None = None
    person_id: str | None = None
    call_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the erasure as the ledger keeps it."""
        known = asdict(self) | {"subjects": list(self.subjects)}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one plan of a run erases, and the instant of its tombstones.

    `secret` is the digest of the sealed secret behind the references: under another secret they mean nothing.
    """

    key: str
    run: str
    erased_at: str
    secret: str
    erasures: tuple[Erasure, ...]


def write(vault: Vault, run_id: str, at: str, erasures: Sequence[Erasure]) -> None:
    """Write an entry before the run leaves its tombstones; `at` is the instant that they will have.

    A run that is planned again has a later instant, and an entry of its own: the last one is the tombstones'.
    Raises what `evidence.put` raises: what cannot be put down is not erased either.
    """
    if not erasures:
        return
    evidence_store.put(
        KIND,
        vault.customer.id,
        f"{run_id}/{''.join(filter(str.isdigit, at))}",
        {
            "customer": vault.customer.id,
            "run": run_id,
            "erased_at": at,
            "secret": secret_digest(vault),
            "erasures": [erasure.as_json() for erasure in erasures],
        },
    )


def read(vault: Vault, *, after: str) -> Iterator[Entry]:
    """Yield the customer's entries, from the one behind the key `after` on, oldest first.

    Of each entry the first version counts, whatever was put over it or hides it.
    """
    bucket = environment.read(environment.EVIDENCE_BUCKET)
    for key, versions in groupby(_versions(vault, bucket, after), lambda version: version["Key"]):
        *_, first = versions  # newest first
        body = vault.s3.get_object(Bucket=bucket, Key=key, VersionId=first["VersionId"])["Body"]
        document = json.loads(body.read())
        yield Entry(
            key=key,
            run=document["run"],
            erased_at=document["erased_at"],
            secret=document["secret"],
            erasures=tuple(_erasures(document["erasures"])),
        )


def secret_digest(vault: Vault) -> str:
    """Return the digest of the vault's sealed subject secret. Raises what reading that raises."""
    return hashlib.sha256(vault.sealed_secret()).hexdigest()


def _erasures(documents: Iterable[dict[str, Any]]) -> Iterator[Erasure]:
    for document in documents:
        yield Erasure(**{**document, "subjects": tuple(document["subjects"])})


def _versions(vault: Vault, bucket: str, after: str) -> "Iterator[ObjectVersionTypeDef]":
    behind: Any = {"KeyMarker": after} if after else {}
    pages = vault.s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=f"{KIND}/{vault.customer.id}/", **behind
    )
    for page in pages:
        yield from page.get("Versions", [])
