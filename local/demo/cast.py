"""Whom the demo is about: which stacks and customers it needs, and the people whom it erases and corrects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.customers import Customer
from local.demo.generate import Person, RegionData
from local.errors import LocalError

HERE, THERE = "eu-west", "us-east"
CONTROLLER, NEIGHBOUR = "acme", "globex"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who the story is about: two to erase (one of them also the neighbour's customer), one to correct."""

    erased: Person
    erased_here_only: Person
    corrected: Person

    @classmethod
    def of(cls, data: RegionData) -> "Cast":
        """Choose them from the generated people."""
        first, second, *_ = data.only_at(CONTROLLER)
        return cls(erased=first, erased_here_only=data.shared()[0], corrected=second)

    @property
    def everyone(self) -> tuple[Person, ...]:
        """All three."""
        return self.erased, self.erased_here_only, self.corrected


def check_cast(customers: Mapping[str, Sequence[Customer]]) -> None:
    """Raise LocalError where the stacks do not have the customers that the story is about."""
    here = {customer.id for customer in customers.get(HERE, ())}
    if missing := sorted({CONTROLLER, NEIGHBOUR} - here):
        raise LocalError(
            f"the demo is about {CONTROLLER} and {NEIGHBOUR}, and Pulumi.{HERE}.yaml has no customer "
            f"{' and no '.join(missing)}: add it to gdpr:customers"
        )
    if not customers.get(THERE):
        raise LocalError(f"the demo needs a customer in Pulumi.{THERE}.yaml: add one to gdpr:customers")
