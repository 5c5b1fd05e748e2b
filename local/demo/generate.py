"""Made-up data for the demo, the tests and the benchmarks: the same seed gives the same bytes.

The people are obviously fictitious, their names go beyond ASCII, some deal with both controllers of a
region, and nobody is in two regions. The shape follows the stack's own config, so that whatever datasets
a customer has are filled.
"""

import io
import json
import random
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from local.customers import Customer, Dataset

PEOPLE: Final = 80
"""People of one region."""

ROWS: Final = 5_000
"""Rows in the files of one customer."""

FILES: Final = 8
"""Files of JSON lines of one customer."""

TABLES: Final = 2
"""Files of parquet of one customer that has a dataset of them."""

TABLE_ROWS: Final = 500
"""Rows in one of them."""


def _words(text: str) -> list[str]:
    return text.split()


_GIVEN: Final = _words(
    "Ada Zoë Søren Łucja José Žofie Ağça Núria Björk Élodie Ímre Åse Þóra Đorđe Ñusta Ümit "
    "Çelik Ørjan Ýmir Hélène Ольга Дарина Ελένη 太郎 さくら 예진"
)
_FAMILY: Final = _words(
    "Mustermann Beispiel Specimen Ejemplo Placeholder Voorbeeld Esempio Příklad Przykład "
    "Näide Örnek Пример Παράδειγμα 例子 보기 Fictional"
)
_SENTENCES: Final = (
    "The export finished before the coffee did.",
    "Works on the train, too; even in the tunnel.",
    "I would like larger buttons — and fewer of them.",
    "Die Auswertung stimmt jetzt, danke für die schnelle Hilfe!",
    "Très pratique, mais la recherche est un peu lente.",
    "検索がとても速くなりました。",
    "Please keep the dark mode 🌙.",
    'The "weekly" report came twice this week.\tOnce would do.',
)
_SIGNED: Final = ("Call me back, {name}.", "Regards, {name} <{email}>", "— {name}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist."""

    name: str
    email: str
    phone: str
    address: str
    member: str

    def identifier(self, subject_id: str) -> str:
        """What a customer with this setting knows the person by."""
        return self.email if subject_id == "email" else self.member

    def spellings(self, subject_id: str) -> tuple[str, ...]:
        """The identifier as it turns up in the customer's files; all the same person."""
        if subject_id != "email":
            return (self.member,)
        wide = self.email.replace("@", "＠")  # noqa: RUF001  # the full-width form that NFKC maps to "@"
        return (
            self.email,
            self.email.upper(),
            f"  {self.email} ",
            unicodedata.normalize("NFD", self.email),
            wide,
        )

    @property
    def traces(self) -> tuple[str, ...]:
        """Everything that points to this person and to nobody else: what a search has to look for."""
        return tuple(
            dict.fromkeys((*self.spellings("email"), self.member, self.name, self.phone, self.address))
        )

    def value(self, kind: str, subject_id: str) -> str:
        """A personal field's value by the kind that the dataset declares."""
        values = {"name": self.name, "email": self.email, "phone": self.phone, "address": self.address}
        return self.identifier(subject_id) if kind == "id" else values.get(kind, "")


@dataclass(frozen=True, slots=True)
class Record:
    """One database record."""

    dataset: str
    id: str
    person: Person
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowFile:
    """One file of JSON lines; `people[i]` is who line i is about."""

    dataset: str
    key: str
    lines: tuple[bytes, ...]
    people: tuple[Person, ...]

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return b"".join(self.lines)


@dataclass(frozen=True, slots=True)
class Table:
    """One file of parquet; `people[i]` is who row i is about."""

    dataset: str
    key: str
    content: bytes
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One file that belongs to one person."""

    dataset: str
    key: str
    person: Person
    content: bytes


@dataclass(frozen=True, slots=True)
class CustomerData:
    """What one customer sends."""

    customer: Customer
    people: tuple[Person, ...]
    records: tuple[Record, ...]
    files: tuple[RowFile, ...]
    letters: tuple[Letter, ...]
    tables: tuple[Table, ...]

    @property
    def files_of_rows(self) -> tuple[RowFile | Table, ...]:
        """All files that hold rows of several people."""
        return (*self.files, *self.tables)

    def rows_of(self, person: Person) -> int:
        """How many JSON lines are about the person."""
        return sum(file.people.count(person) for file in self.files)


@dataclass(frozen=True, slots=True)
class RegionData:
    """What the customers of one stack send."""

    stack: str
    customers: Mapping[str, CustomerData]

    def only_at(self, customer: str) -> list[Person]:
        """People whom one customer alone knows, the ones it has most about first."""
        others = {
            person for name, data in self.customers.items() if name != customer for person in data.people
        }
        return [person for person in self.customers[customer].people if person not in others]

    def shared(self) -> list[Person]:
        """People whom every customer of the stack knows."""
        first, *rest = self.customers.values()
        return [person for person in first.people if all(person in data.people for data in rest)]


def generate(
    seed: int, stacks: Mapping[str, Sequence[Customer]], *, rows: int = ROWS
) -> dict[str, RegionData]:
    """Data for every customer of every stack."""
    chance = random.Random(seed)
    names = [f"{given} {family}" for given in _GIVEN for family in _FAMILY]
    chance.shuffle(names)
    data = {}
    for position, (stack, customers) in enumerate(stacks.items()):
        slot = position * PEOPLE
        people = [
            _person(chance, name, slot + number)
            for number, name in enumerate(names[slot : slot + PEOPLE], start=1)
        ]
        data[stack] = RegionData(
            stack,
            {
                customer.id: _customer_data(chance, customer, _clientele(people, index, len(customers)), rows)
                for index, customer in enumerate(customers)
            },
        )
    return data


def _person(chance: random.Random, name: str, number: int) -> Person:
    given, family = name.split(" ")
    host = chance.choice(("post.example", "mail.example", "müsterpost.example"))
    town = chance.choice(("Musterstadt", "Exempleville", "Ficticia"))
    return Person(
        name=name,
        email=f"{given}.{family}.{number}@{host}".casefold(),
        phone=f"+99 555 {number:04d} {chance.randrange(10_000):04d}",
        address=f"{number} Nowhere Lane, {town} 00{number:03d}",
        member=f"MBR-{number:05d}-{chance.randrange(16**4):04X}",
    )


def _clientele(people: Sequence[Person], index: int, customers: int) -> list[Person]:
    """Nine tenths of the people deal with one customer each, one tenth with all."""
    shared = len(people) // 10
    return [*people[shared + index :: customers], *people[:shared]]


def _customer_data(
    chance: random.Random, customer: Customer, people: list[Person], rows: int
) -> CustomerData:
    return CustomerData(
        customer=customer,
        people=tuple(people),
        records=tuple(
            Record(dataset.name, f"r-{number:05d}", person, _fields(chance, dataset, customer, person))
            for dataset in customer.of_format("records")
            for number, person in enumerate(people, start=1)
        ),
        files=tuple(_files(chance, customer, people, rows)),
        letters=tuple(
            Letter(
                dataset.name,
                f"{dataset.prefix}2026/{number:04d}.txt",
                person,
                _letter(chance, person),
            )
            for dataset in customer.of_format("object")
            for number, person in enumerate(people[:8] + people[-4:], start=1)
        ),
        tables=tuple(
            _table(chance, dataset, customer, people, month)
            for dataset in customer.of_format("parquet")
            for month in range(1, TABLES + 1)
        ),
    )


def _letter(chance: random.Random, person: Person) -> bytes:
    lines = f"Dear {person.name},", chance.choice(_SENTENCES), person.address, person.email
    return "\n\n".join(lines).encode()


def _fields(chance: random.Random, dataset: Dataset, customer: Customer, person: Person) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "plan": chance.choice(("free", "team", "company")),
        "seats": chance.randrange(1, 50),
    }
    for path, kind in dataset.personal.items():
        _put(
            fields, path, _text(chance, person) if kind == "text" else person.value(kind, customer.subject_id)
        )
    return fields


def _files(chance: random.Random, customer: Customer, people: Sequence[Person], rows: int) -> list[RowFile]:
    datasets = customer.of_format("jsonl")
    if not datasets:
        return []
    files = []
    for number in range(FILES):
        dataset = datasets[number % len(datasets)]
        month = number // len(datasets) + 1
        about = chance.choices(people, k=rows // FILES)
        # Whoever is first has rows in every file: the demo's main person.
        about[chance.randrange(len(about))] = people[0]
        lines = tuple(
            _line(chance, dataset, customer, person, position) for position, person in enumerate(about)
        )
        files.append(RowFile(dataset.name, f"{dataset.prefix}2026-{month:02d}.jsonl", lines, tuple(about)))
    return files


def _line(
    chance: random.Random, dataset: Dataset, customer: Customer, person: Person, position: int
) -> bytes:
    row: dict[str, Any] = {"row": position, "rating": chance.randrange(1, 6)}
    for path, kind in dataset.personal.items():
        _put(row, path, _text(chance, person) if kind == "text" else person.value(kind, customer.subject_id))
    for path in dataset.subjects:
        _put(row, path, chance.choice(person.spellings(customer.subject_id)))
    row["at"] = (
        f"2026-{chance.randrange(1, 10):02d}-{chance.randrange(1, 29):02d}T{chance.randrange(24):02d}:00:00Z"
    )
    # Customers' exporters differ: spaces or none, escapes or UTF-8. A row must come out as it went in.
    separators = chance.choice(((",", ":"), (", ", ": ")))
    return json.dumps(row, ensure_ascii=chance.random() < 0.3, separators=separators).encode() + b"\n"


def _table(
    chance: random.Random, dataset: Dataset, customer: Customer, people: Sequence[Person], month: int
) -> Table:
    about = chance.choices(people, k=TABLE_ROWS)
    about[0] = people[0]
    rows = [json.loads(_line(chance, dataset, customer, person, n)) for n, person in enumerate(about)]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, compression="zstd", row_group_size=TABLE_ROWS // 4)
    return Table(dataset.name, f"{dataset.prefix}2026-{month:02d}.parquet", out.getvalue(), tuple(about))


def _text(chance: random.Random, person: Person) -> str:
    text = chance.choice(_SENTENCES)
    if chance.random() < 0.25:
        text += " " + chance.choice(_SIGNED).format(name=person.name, email=person.email)
    return text


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
