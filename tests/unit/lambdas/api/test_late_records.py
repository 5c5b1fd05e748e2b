"""Records whose PUT began before an erasure of their subject, in every order of the calls of both."""

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings

from privacy.api.records import put_record
from privacy.vault import sessions
from tests.properties import examples

from ..support.interleaving import Interleaving, interleavings

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"


def records(world: "World") -> dict[str, str]:
    """Whose record each one is: the record's id and the fields' text."""
    return {item["record_id"]["S"]: item["fields"]["S"] for item in world.items() if "record_id" in item}


def erased(world: "World", person: str = ANNA) -> None:
    request = world.erase(person)
    world.run()
    assert world.request(request).state == "completed"


def before_call(number: int, act: Any) -> Any:  # noqa: ANN401 - a patch of the method
    """Have something happen before the call of this number that goes to the table."""
    original, counted, inside = BaseClient._make_api_call, itertools.count(), [False]

    def call(client: BaseClient, operation: str, parameters: Any) -> Any:  # noqa: ANN401
        if not inside[0] and client.meta.service_model.service_name == "dynamodb" and next(counted) == number:
            inside[0] = True
            act()
            inside[0] = False
        return original(client, operation, parameters)

    return call


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("before", [None, ANNA, BOB])
def test_an_erasure_takes_a_record_that_was_under_way(
    world: "World", number: int, before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole erasure happens within the PUT, which replaces nothing, or the record `before`."""
    if before is not None:
        world.put_record("r1", before, name="as it was")
    world.put_record("r2", BOB, name="Bob")
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", before_call(number, lambda: erased(world)))
        world.put_record("r1", ANNA, name="Anna Sousa")
    assert records(world) == {"r2": '{"name":"Bob"}'}
    assert world.partition(ANNA) == ["erased"]
    assert not [item for item in world.items() if item["pk"]["S"] == "record#profiles/r1"]


def test_a_record_that_came_after_the_erasure_outlives_one_that_was_under_way(world: "World") -> None:
    began = datetime.now(UTC)
    erased(world)
    world.put_record("r1", ANNA, name="new")
    opened = sessions.open_vault(world.customer, "ingest")
    put_record(opened, "profiles", "r1", world.ref(ANNA), {"name": "old"}, began)
    assert records(world) == {"r1": '{"name":"new"}'}


def test_a_record_of_somebody_who_came_back_is_stored(world: "World") -> None:
    erased(world)
    world.put_record("r1", ANNA, name="new")
    assert records(world) == {"r1": '{"name":"new"}'}


@settings(examples(10), suppress_health_check=list(HealthCheck))
@given(order=interleavings(80))
def test_nothing_older_than_the_erasure_is_left_in_any_order(world: "World", order: Interleaving) -> None:
    for item in world.items():
        if item["sk"]["S"] != "subject-secret":
            key = {"pk": item["pk"], "sk": item["sk"]}
            world.dynamodb.delete_item(TableName=world.customer.table, Key=key)
    world.ref(ANNA)
    order.run(
        [
            lambda: erased(world),
            lambda: world.put_record("r1", ANNA, name="one"),
            lambda: world.put_record("r1", BOB, name="two"),
        ]
    )
    items = {(item["pk"]["S"], item["sk"]["S"]): item for item in world.items()}
    anna, bob = (f"subject#{world.ref(person)}" for person in (ANNA, BOB))
    left = items.get((anna, "record#profiles/r1"))
    assert left is None or left["updated_at"]["S"] > items[anna, "erased"]["erased_at"]["S"]
    # The pointer leads to the only record that there is.
    pointer = items.get(("record#profiles/r1", "subject"))
    owners = [pk for pk in (anna, bob) if (pk, "record#profiles/r1") in items]
    assert owners == ([] if pointer is None else [f"subject#{pointer['ref']['S']}"])
