"""What nobody can attribute in a vault, as the answers of its requests tell it: counts by dataset, no key."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from privacy.vault import notes as vault_notes
from privacy.vault.sessions import Vault
from privacy.visits.visit import Visit


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Files that nobody can attribute, or not all of, by dataset; None: outside every dataset.

    `accepted` says of which datasets the customer accepts that, and why. `scanned` are those that have no
    notes: of their files the visits tell.
    """

    files: Counter[str | None] = field(default_factory=Counter)
    accepted: Mapping[str | None, str] = field(default_factory=dict)
    scanned: frozenset[str] = frozenset()

    @classmethod
    def of(cls, vault: Vault) -> Self:
        """Return what is noted in the vault now."""
        datasets = vault.customer.datasets
        return cls(
            vault_notes.counted(vault),
            {dataset.name: dataset.accepted for dataset in datasets if dataset.accepted is not None},
            frozenset(dataset.name for dataset in datasets if dataset.index == "scan"),
        )

    def shown(
        self, visits: Sequence[Visit], datasets: Container[str] | None
    ) -> tuple[list[dict[str, Any]], int]:
        """Return what an answer says, a line a dataset, and how many files there are that nobody accepts.

        `visits` are those of the request, `datasets` those that a correction is about (None: all there are,
        and what lies outside).
        """
        files = self.files + Counter(
            visit.dataset
            for visit in visits
            if visit.dataset in self.scanned and visit.outcome and visit.outcome.get("unattributed_count")
        )
        if datasets is not None:
            files = Counter(
                {name: count for name, count in files.items() if name is not None and name in datasets}
            )
        lines = [
            {"files": count}
            | ({"dataset": name} if name is not None else {})
            | ({"accepted": self.accepted[name]} if name in self.accepted else {})
            for name, count in sorted(files.items(), key=lambda each: each[0] or "")
        ]
        return lines, sum(count for name, count in files.items() if name not in self.accepted)
