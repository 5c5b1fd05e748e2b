"""The items in which the vault's table keeps a run's visits and what verification found wrong.

One partition a run. An item whose sort key begins with `visit#` is one visit, `shared#` what very many visits
ask in common, `problem#` what is wrong with a request as a whole.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, get_args

from privacy import timestamps
from privacy.aws.conditions import ConditionMayFail
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault
from privacy.visits.limits import pack, unpack
from privacy.visits.visit import Counted, RunNotes, Visit

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from privacy.vault.items import Item

_VISIT: Final = "visit#"
_DATASETS: Final = "datasets#"
_PROBLEM: Final = "problem#"
_SHARED: Final = "shared#"


@dataclass(frozen=True, slots=True)
class Visits:
    """The visits of one run, kept in the table of the customer's vault. AWS errors are raised."""

    vault: Vault
    run_id: str

    def write(self, shared: Mapping[str, Visit], visits: Iterable[Visit]) -> int:
        """Write the visits, in place of any that an earlier attempt to plan the run left.

        `shared` are what visits have in common, by name; their other parts do not count. Returns how many
        visits there are. Raises TableBusyError.
        """
        self.clear()
        vault_items.batch_write(
            self.vault,
            put=[
                {**self._key(f"{_SHARED}{name}"), **_asked(each), **vault_items.backstop()}
                for name, each in shared.items()
            ],
        )
        return vault_items.put_all(
            self.vault, ({**self._visit_key(visit.number), **_item(visit)} for visit in visits)
        )

    def clear(self) -> None:
        """Remove everything that is kept for the run. Raises TableBusyError."""
        items = vault_items.query(self.vault, self._pk)
        vault_items.delete_all(self.vault, (self._key(item["sk"]["S"]) for item in items))

    def between(self, first: int, last: int, *, backward: bool = False) -> Iterator[Visit]:
        """Yield the visits numbered `first` to `last`, both included, in order or in reverse order."""
        shared: dict[str, Item] = {}
        for item in vault_items.query(
            self.vault, self._pk, first=_visit_sk(first), last=_visit_sk(last), backward=backward
        ):
            if "shared" in item and not shared:
                shared = {
                    each["sk"]["S"]: each for each in vault_items.query(self.vault, self._pk, first=_SHARED)
                }
            yield _visit(item, shared)

    def notes(self, *, walked: bool = True) -> RunNotes:
        """Return everything that is kept for the run; unless `walked`, no visits that share what they ask."""
        found = RunNotes()
        shared: dict[str, Item] = {}
        for item in vault_items.query(self.vault, self._pk):
            sk = item["sk"]["S"]
            if sk.startswith(_SHARED):  # these sort before the visits
                shared[sk] = item
            elif sk.startswith(_VISIT) and (walked or "shared" not in item):
                found.visits.append(_visit(item, shared))
            elif "problem" in item:
                found.problems[sk.removeprefix(_PROBLEM)] = item["problem"]["S"]
            elif "datasets" in item:
                found.datasets[sk.removeprefix(_DATASETS)] = frozenset(item["datasets"]["S"].split())
        return found

    def mark_done(self, number: int, at: datetime, outcome: Mapping[str, Any]) -> None:
        """Note that the visit is done, and what came of it, unless the run is over.

        Its journal and failure go.
        """
        with ConditionMayFail():
            self.vault.dynamodb.update_item(
                TableName=self.vault.customer.table,
                Key=self._visit_key(number),
                UpdateExpression="SET done_at = :at, outcome = :outcome REMOVE journal, failure",
                ConditionExpression="attribute_exists(sk)",
                ExpressionAttributeValues={
                    ":at": {"S": timestamps.instant(at)},
                    ":outcome": {"S": json.dumps(outcome, separators=(",", ":"))},
                },
            )

    def forget(self, number: int) -> None:
        """Remove a visit that is done and of which there is nothing to tell."""
        self.vault.dynamodb.delete_item(TableName=self.vault.customer.table, Key=self._visit_key(number))

    def counting(self, number: int, counted: Counted) -> "TransactWriteItemTypeDef":
        """Return the write that adds one to the visit's tally: for the transaction whose act it counts.

        Its condition fails where the run is over: what a visit does then, nobody asks for any more.
        """
        return {
            "Update": {
                "TableName": self.vault.customer.table,
                "Key": self._visit_key(number),
                "UpdateExpression": "ADD #counted :one",
                "ConditionExpression": "attribute_exists(sk)",
                "ExpressionAttributeNames": {"#counted": counted},
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
        }

    def journal(self, visit: Visit) -> "Journal":
        """Open the visit's journal with what earlier attempts noted."""
        return Journal(self, visit.number, visit.journal)

    def note_journal(self, number: int, facts: Mapping[str, Any]) -> None:
        """Note what the visit is about to do."""
        self._set(number, "journal", json.dumps(facts, separators=(",", ":")))

    def note_failure(self, number: int, error: str) -> None:
        """Note the name of the error that ended an attempt of the visit."""
        self._set(number, "failure", error)

    def note_visit_problem(self, number: int, problem: str | None) -> None:
        """Note what verification found wrong with the visit, or (None) that nothing is."""
        self._note_problem(_visit_sk(number), problem)

    def note_request_problem(self, request_id: str, problem: str | None) -> None:
        """Note what is wrong with a request as a whole, or (None) that nothing is."""
        self._note_problem(f"{_PROBLEM}{request_id}", problem)

    def note_datasets(self, request_id: str, datasets: Iterable[str]) -> None:
        """Note which datasets of files a correction is about."""
        item: Item = {
            **self._key(f"{_DATASETS}{request_id}"),
            "datasets": {"S": " ".join(sorted(datasets))},
            **vault_items.backstop(),
        }
        vault_items.batch_write(self.vault, put=[item])

    def _set(self, number: int, attribute: str, value: str) -> None:
        # The visit may be done and forgotten, although the answer to that was lost.
        with ConditionMayFail():
            self.vault.dynamodb.update_item(
                TableName=self.vault.customer.table,
                Key=self._visit_key(number),
                UpdateExpression="SET #attribute = :value",
                ConditionExpression="attribute_exists(sk)",
                ExpressionAttributeNames={"#attribute": attribute},
                ExpressionAttributeValues={":value": {"S": value}},
            )

    def _note_problem(self, sk: str, problem: str | None) -> None:
        client, table = self.vault.dynamodb, self.vault.customer.table
        if problem is None:
            with ConditionMayFail():
                client.update_item(
                    TableName=table,
                    Key=self._key(sk),
                    UpdateExpression="REMOVE problem",
                    ConditionExpression="attribute_exists(sk)",
                )
            return
        client.update_item(
            TableName=table,
            Key=self._key(sk),
            UpdateExpression="SET problem = :problem, expires_at = :expires_at",
            ExpressionAttributeValues={
                ":problem": {"S": problem},
                ":expires_at": vault_items.backstop()["expires_at"],
            },
        )

    @property
    def _pk(self) -> str:
        return vault_items.run_pk(self.run_id)

    def _key(self, sk: str) -> "dict[str, AttributeValueTypeDef]":
        return vault_items.key(self._pk, sk)

    def _visit_key(self, number: int) -> "dict[str, AttributeValueTypeDef]":
        return self._key(_visit_sk(number))


@dataclass(slots=True)
class Journal:
    """The notes of one visit: `facts` are those of this attempt and of every one before it."""

    visits: Visits
    number: int
    facts: Mapping[str, Any]

    def note(self, **facts: object) -> None:
        """Add facts, in place of earlier ones of the same name. They are kept when this returns."""
        self.facts = {**self.facts, **facts}
        self.visits.note_journal(self.number, self.facts)


def _visit_sk(number: int) -> str:
    return f"{_VISIT}{number:08d}"


def _item(visit: Visit) -> "Item":
    item: dict[str, AttributeValueTypeDef] = {
        "kind": {"S": visit.kind},
        "scan": {"BOOL": visit.scan},
        **({} if visit.shared else _asked(visit)),
        **vault_items.backstop(),
    }
    # Not `object`: that attribute would put the visit into the index of objects.
    for name, value in (
        ("key", visit.key),
        ("dataset", visit.dataset),
        ("sole", visit.sole),
        ("shared", visit.shared),
    ):
        if value is not None:
            item[name] = {"S": value}
    if visit.journal:
        item["journal"] = {"S": json.dumps(visit.journal, separators=(",", ":"))}
    return item


def _asked(visit: Visit) -> "dict[str, AttributeValueTypeDef]":
    return {
        "requests": {"S": " ".join(visit.requests)},
        "erase": {"B": _packed(visit.erase - visit.until.keys() - visit.limits.keys())},
        "until": {
            "M": {
                at: {"B": _packed(ref for ref, until in visit.until.items() if until == at)}
                for at in set(visit.until.values())
            }
        },
        "limits": {"B": pack(visit.limits)},
        "correct": {"S": json.dumps(visit.correct, separators=(",", ":"))},
    }


def _packed(refs: Iterable[str]) -> bytes:
    # Half the size of hex: an item may have 400 KB, and one object thousands of erased subjects.
    return b"".join(bytes.fromhex(ref) for ref in sorted(refs))


def _unpacked(packed: bytes) -> frozenset[str]:
    return frozenset(packed[start : start + 32].hex() for start in range(0, len(packed), 32))


def _visit(item: "Item", shared: "Mapping[str, Item]") -> Visit:
    kind: Any = item["kind"]["S"]
    asked = shared[f"{_SHARED}{item['shared']['S']}"] if "shared" in item else item
    limits = unpack(bytes(asked["limits"]["B"]))
    until = {ref: at for at, refs in asked["until"]["M"].items() for ref in _unpacked(bytes(refs["B"]))}
    return Visit(
        number=int(item["sk"]["S"].removeprefix(_VISIT)),
        kind=kind,
        requests=tuple(asked["requests"]["S"].split()),
        erase=_unpacked(bytes(asked["erase"]["B"])) | until.keys() | limits.keys(),
        until=until,
        limits=limits,
        correct=tuple((request, ref) for request, ref in json.loads(asked["correct"]["S"])),
        key=item["key"]["S"] if "key" in item else None,
        dataset=item["dataset"]["S"] if "dataset" in item else None,
        done_at=item["done_at"]["S"] if "done_at" in item else None,
        outcome=json.loads(item["outcome"]["S"]) if "outcome" in item else None,
        problem=item["problem"]["S"] if "problem" in item else None,
        failure=item["failure"]["S"] if "failure" in item else None,
        journal=json.loads(item["journal"]["S"]) if "journal" in item else {},
        tally={name: int(item[name]["N"]) for name in get_args(Counted) if name in item},
        scan=item["scan"]["BOOL"],
        sole=item["sole"]["S"] if "sole" in item else None,
        shared=item["shared"]["S"] if "shared" in item else None,
    )
