"""What is on record of a replay: where its ledger ends, and whom its requests erase again up to when.

A replay is a customer and the moment from which data was put back. However often it is started, it is about
the erasures before its first start, and asks for each of them until one of its requests has gone well.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.identifiers import uuid7
from privacy.requests.items import key
from privacy.requests.request import Request
from privacy.requests.store import RequestStore
from privacy.timestamps import instant, parse_timestamp

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_COUNTS: Final = ("pending", "running", "completed")
"""States of a request that has erased its subjects again, or will. One that ended otherwise is made anew."""


@dataclass(frozen=True, slots=True)
class Replays:
    """The replay of a customer from a moment on (`restored_from`: RFC 3339 in UTC, whole seconds)."""

    requests: RequestStore
    customer: str
    restored_from: str

    def request_id(self, entropy: bytes) -> str:
        """Return the id of a request of this replay: sorted before what was asked for since the moment."""
        return uuid7(parse_timestamp(self.restored_from), entropy)

    def ledger_end(self, now: datetime) -> str:
        """Return the instant up to which the ledger is replayed: when the replay was first started.

        Who is erased later is erased in the vault as it is then; doing it again would take what came since.
        """
        item: dict[str, AttributeValueTypeDef] = {
            **key(self.customer, f"replay#{self.restored_from}"),
            "ledger_end": {"S": (end := min(self._starts(), default=instant(now)))},
        }
        with ConditionMayFail():
            aws_clients.dynamodb().put_item(
                TableName=self.requests.table, Item=item, ConditionExpression="attribute_not_exists(sk)"
            )
            return end
        answer = aws_clients.dynamodb().get_item(
            TableName=self.requests.table,
            Key=key(self.customer, f"replay#{self.restored_from}"),
            ConsistentRead=True,
        )
        return answer["Item"]["ledger_end"]["S"]

    def covered(self, refs: Container[str]) -> dict[str, str]:
        """Return up to which instants the replay's requests erase these subjects, as far as they do."""
        found: dict[str, str] = {}
        for ref, erased_at in self._covered():
            if ref in refs:
                found[ref] = max(erased_at, found.get(ref, ""))
        return found

    def _covered(self) -> Iterator[tuple[str, str]]:
        for request in self._requests():
            if request.state not in _COUNTS:
                continue
            erased_at = self.requests.erased_at(self.customer, request.id)
            if not erased_at:  # an earlier version's: it repeats what was in the ledger when it was made
                refs = self.requests.refs(self.customer, request.id)
                erased_at = dict.fromkeys(refs, request.received_at)
            yield from erased_at.items()

    def _starts(self) -> Iterator[str]:
        """Yield when the requests were made of which an earlier version has noted no end of the ledger."""
        return (request.received_at for request in self._requests())

    def _requests(self) -> Iterator[Request]:
        first, last = (self.request_id(fill * 8) for fill in (b"\x00", b"\xff"))
        for request in self.requests.since(self.customer, first, last):
            if request.restored_from == self.restored_from:
                yield request
