"""The customers of a stack and their datasets, as its config declares them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as the stack's config declares it."""

    name: str
    format: str
    prefix: str
    subjects: tuple[str, ...]
    personal: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as the stack's config declares it."""

    id: str
    subject_id: str
    datasets: tuple[Dataset, ...]

    def of_format(self, kind: str) -> list[Dataset]:
        """The datasets of one format."""
        return [dataset for dataset in self.datasets if dataset.format == kind]


def customers_of(config: Mapping[str, str]) -> list[Customer]:
    """The customers that a stack's config declares; none where it has no list of them."""
    return [
        Customer(
            id=each["id"],
            subject_id=each.get("subjectId", "exact"),
            datasets=tuple(
                Dataset(
                    name=dataset["name"],
                    format=dataset["format"],
                    prefix=dataset.get("prefix", ""),
                    subjects=_one_or_more(dataset.get("subject")),
                    personal=dataset.get("personal") or {},
                )
                for dataset in each["datasets"]
            ),
        )
        for each in json.loads(config.get("gdpr:customers") or "[]")
    ]


def _one_or_more(value: str | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())
