"""What a visit is about to do, noted on its item before it does it.

A visit that is cut short is made again, and then finds rows gone or versions missing without seeing that this
was its own work. The journal tells it, so that the outcome says what was done, however often it was begun.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from privacy.vault.sessions import Vault
from privacy.visits import visit as visit_items
from privacy.visits.visit import Visit


@dataclass(slots=True)
class Journal:
    """The notes of one visit: `facts` are those of this attempt and of every one before it."""

    vault: Vault
    run_id: str
    number: int
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, vault: Vault, run_id: str, visit: Visit) -> Self:
        """Open the visit's journal with what earlier attempts noted."""
        return cls(vault, run_id, visit.number, visit.journal)

    def note(self, **facts: object) -> None:
        """Add facts, in place of earlier ones of the same name. They are kept when this returns."""
        self.facts = {**self.facts, **facts}
        visit_items.note_journal(self.vault, self.run_id, self.number, self.facts)
