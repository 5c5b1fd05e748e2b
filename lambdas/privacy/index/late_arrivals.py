"""Late arrivals: who in a file was erased before anybody looked into it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from privacy.customers.customer import Dataset
from privacy.formats import row_times
from privacy.index import subjects as index_subjects
from privacy.index.file_formats import reader_of
from privacy.vault import tombstones as vault_tombstones
from privacy.vault.objects import StoredObject
from privacy.vault.sessions import Vault


@dataclass(frozen=True, slots=True)
class Late:
    """A subject's earlier erasure: the request and its instant.

    `whole` where the file was uploaded before it: then all of the subject's rows go, otherwise those that are
    older than it by their own time.
    """

    request: str
    erased_at: str
    whole: bool

    @property
    def words(self) -> list[str]:
        """The erasure as texts: no other erasure has the same."""
        return [self.request, self.erased_at, "whole" if self.whole else "older"]


def late_arrivals(
    vault: Vault,
    dataset: Dataset,
    refs: Collection[str],
    uploaded_at: str,
    again: Callable[[], StoredObject | None],
) -> dict[str, Late]:
    """Return whom of a file's subjects to erase from it, because of an erasure before it was looked into.

    Everybody who was erased at or after the upload; where the dataset has an `as_of` field, also who was
    erased before it, of the rows that are older than the erasure. `again` opens the file once more.

    The caller writes its entries first and asks then; a plan leaves its tombstones first and looks for
    entries then. So at least one of the two sees the other.
    """
    if dataset.as_of is None:
        late = vault_tombstones.erased_since(vault, refs, uploaded_at)
        return {ref: Late(t.request, t.erased_at, whole=True) for ref, t in late.items()}
    if not vault_tombstones.last_erasure(vault):
        return {}
    tombstones = vault_tombstones.tombstones(vault, refs)
    found = {
        ref: Late(t.request, t.erased_at, whole=True)
        for ref, t in tombstones.items()
        if t.erased_at >= uploaded_at
    }
    earlier = {ref: t for ref, t in tombstones.items() if ref not in found}
    stored = again() if earlier else None
    if stored is None:
        return found
    dated = row_times.Dated(
        dataset.as_of, {ref: datetime.fromisoformat(t.erased_at) for ref, t in earlier.items()}
    )
    old = row_times.held(reader_of(dataset), stored.chunks(), index_subjects.reference_of(vault), dated)
    return found | {ref: Late(earlier[ref].request, earlier[ref].erased_at, whole=False) for ref in old}
