"""Visits as the vault's table keeps them: what a run has to do, and what came of it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from privacy import timestamps
from privacy.aws.conditions import ConditionMayFail
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault
from privacy.visits import visit as visit_items
from privacy.visits.limits import Limits, pack, unpack

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

Kind = Literal["object", "records", "exports"]
Counted = Literal["records_deleted", "records_changed"]

_VISIT: Final = "visit#"
_PROBLEM: Final = "problem#"
_SHARED: Final = "shared#"


@dataclass(frozen=True, slots=True)
class Visit:
    """One object, the records of some subjects, or all exports, and what the run's requests ask of it.

    `requests` are all requests concerned, oldest first; `erase` the subject references to erase, some
    of them within `limits`, and `until` the instants up to which of some of them rows go by their own time
    (`privacy.formats.row_times`); `correct`
    the pairs of correction request and subject reference, oldest first. `outcome` is None until the visit
    is done; `failure` names the error that the last attempt ended with; `problem` is what verification
    found. `journal` holds what attempts noted before they acted (`Journal`), `tally` how many
    records they changed or deleted.

    `scan` is set where nobody knows whom the object holds (`privacy.visits.scans`); `sole` is then its only
    version, if it had no other when the run was planned. Visits that ask the same of very many objects have
    it from one item, which `shared` names.
    """

    number: int
    kind: Kind
    requests: tuple[str, ...]
    erase: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)
    correct: tuple[tuple[str, str], ...] = ()
    key: str | None = None
    dataset: str | None = None
    done_at: str | None = None
    outcome: Mapping[str, Any] | None = None
    problem: str | None = None
    failure: str | None = None
    journal: Mapping[str, Any] = field(default_factory=dict)
    tally: Mapping[str, int] = field(default_factory=dict)
    scan: bool = False
    sole: str | None = None
    shared: str | None = None


@dataclass(slots=True)
class RunNotes:
    """Everything a run has written down: its visits, and the problems of requests as a whole."""

    visits: list[Visit] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    def of(self, request_id: str) -> list[Visit]:
        """Return the visits that the request is concerned with."""
        return [visit for visit in self.visits if request_id in visit.requests]


def write(vault: Vault, run_id: str, shared: Mapping[str, Visit], visits: Iterable[Visit]) -> int:
    """Write the run's visits down, in place of any that an earlier attempt to plan the run left.

    `shared` are what visits have in common, by name; their other parts do not count. Returns how many
    visits there are.
    """
    clear(vault, run_id)
    vault_items.batch_write(
        vault,
        put=[
            {
                **vault_items.key(vault_items.run_pk(run_id), f"{_SHARED}{name}"),
                **_asked(each),
                **vault_items.backstop(),
            }
            for name, each in shared.items()
        ],
    )
    return vault_items.put_all(vault, (_item(run_id, visit) for visit in visits))


def clear(vault: Vault, run_id: str) -> None:
    """Remove everything written down for the run."""
    pk = vault_items.run_pk(run_id)
    items = vault_items.query(vault, pk)
    vault_items.delete_all(vault, (vault_items.key(pk, item["sk"]["S"]) for item in items))


def between(vault: Vault, run_id: str, first: int, last: int, *, backward: bool = False) -> Iterator[Visit]:
    """Yield the run's visits numbered `first` to `last`, both included, in order or in reverse order."""
    pk = vault_items.run_pk(run_id)
    shared: dict[str, vault_items.Item] = {}
    for item in vault_items.query(vault, pk, first=_sk(first), last=_sk(last), backward=backward):
        if "shared" in item and not shared:
            shared = {each["sk"]["S"]: each for each in vault_items.query(vault, pk, first=_SHARED)}
        yield _visit(item, shared)


def notes(vault: Vault, run_id: str, *, walked: bool = True) -> RunNotes:
    """Return everything the run has written down; unless `walked`, no visits that share what they ask."""
    found = RunNotes()
    shared: dict[str, vault_items.Item] = {}
    for item in vault_items.query(vault, vault_items.run_pk(run_id)):
        sk = item["sk"]["S"]
        if sk.startswith(_SHARED):  # these sort before the visits
            shared[sk] = item
        elif sk.startswith(_VISIT) and (walked or "shared" not in item):
            found.visits.append(_visit(item, shared))
        elif "problem" in item:
            found.problems[sk.removeprefix(_PROBLEM)] = item["problem"]["S"]
    return found


def mark_done(vault: Vault, run_id: str, number: int, at: datetime, outcome: Mapping[str, Any]) -> None:
    """Note that the visit is done, and what came of it."""
    vault.dynamodb.update_item(
        TableName=vault.customer.table,
        Key=vault_items.key(vault_items.run_pk(run_id), _sk(number)),
        UpdateExpression="SET done_at = :at, outcome = :outcome REMOVE journal, failure",
        ExpressionAttributeValues={
            ":at": {"S": timestamps.instant(at)},
            ":outcome": {"S": json.dumps(outcome, separators=(",", ":"))},
        },
    )


def forget(vault: Vault, run_id: str, number: int) -> None:
    """Remove a visit that is done and of which there is nothing to tell."""
    vault.dynamodb.delete_item(
        TableName=vault.customer.table, Key=vault_items.key(vault_items.run_pk(run_id), _sk(number))
    )


def counting(vault: Vault, run_id: str, number: int, counted: Counted) -> "TransactWriteItemTypeDef":
    """Return the write that adds one to the visit's tally, for the transaction that does what is counted."""
    return {
        "Update": {
            "TableName": vault.customer.table,
            "Key": vault_items.key(vault_items.run_pk(run_id), _sk(number)),
            "UpdateExpression": "ADD #counted :one",
            "ExpressionAttributeNames": {"#counted": counted},
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def note_journal(vault: Vault, run_id: str, number: int, facts: Mapping[str, Any]) -> None:
    """Note what the visit is about to do."""
    _set(vault, run_id, number, "journal", json.dumps(facts, separators=(",", ":")))


def note_failure(vault: Vault, run_id: str, number: int, error: str) -> None:
    """Note the name of the error that ended an attempt of the visit."""
    _set(vault, run_id, number, "failure", error)


def note_visit_problem(vault: Vault, run_id: str, number: int, problem: str | None) -> None:
    """Note what verification found wrong with the visit, or that nothing is."""
    _note(vault, run_id, _sk(number), problem)


def note_request_problem(vault: Vault, run_id: str, request_id: str, problem: str | None) -> None:
    """Note what verification found wrong with a request as a whole, or that nothing is."""
    _note(vault, run_id, f"{_PROBLEM}{request_id}", problem)


def _set(vault: Vault, run_id: str, number: int, attribute: str, value: str) -> None:
    # The visit may be done and forgotten, although the answer to that was lost.
    with ConditionMayFail():
        vault.dynamodb.update_item(
            TableName=vault.customer.table,
            Key=vault_items.key(vault_items.run_pk(run_id), _sk(number)),
            UpdateExpression="SET #attribute = :value",
            ConditionExpression="attribute_exists(sk)",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":value": {"S": value}},
        )


def _note(vault: Vault, run_id: str, sk: str, problem: str | None) -> None:
    item = vault_items.key(vault_items.run_pk(run_id), sk)
    if problem is None:
        vault.dynamodb.update_item(
            TableName=vault.customer.table, Key=item, UpdateExpression="REMOVE problem"
        )
        return
    expires_at = vault_items.backstop()["expires_at"]
    vault.dynamodb.update_item(
        TableName=vault.customer.table,
        Key=item,
        UpdateExpression="SET problem = :problem, expires_at = :expires_at",
        ExpressionAttributeValues={":problem": {"S": problem}, ":expires_at": expires_at},
    )


def _sk(number: int) -> str:
    return f"{_VISIT}{number:08d}"


def _item(run_id: str, visit: Visit) -> "dict[str, AttributeValueTypeDef]":
    item: dict[str, AttributeValueTypeDef] = {
        **vault_items.key(vault_items.run_pk(run_id), _sk(visit.number)),
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


def _visit(item: "vault_items.Item", shared: "Mapping[str, vault_items.Item]") -> Visit:
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
