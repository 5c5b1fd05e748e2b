"""Whatever happened to the events, a reindex makes the index that of all of them."""

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from privacy.vault import items as vault_items
from tests.properties import examples

from ..support.reindexing import (
    ANNA,
    BOB,
    CARL,
    delete,
    fresh,
    index,
    kinds,
    lose_everything,
    orders,
    reindex,
    row,
)

if TYPE_CHECKING:
    from ..support.world import World


PEOPLE = st.lists(st.sampled_from([ANNA, BOB, CARL]), max_size=3)
KEYS = st.sampled_from(["feedback/a", "feedback/b", "orders/a"])
FATES = st.sampled_from(["delivered", "lost", "twice", "later"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, PEOPLE, FATES),
        st.tuples(st.just("remove"), KEYS, st.integers(0, 3), FATES),
        st.tuples(st.just("hide"), KEYS, st.just(0), FATES),
        st.tuples(st.just("forget"), KEYS, st.integers(0, 5), FATES),
    ),
    max_size=12,
)


@examples(10)
@given(history=ACTIONS)
def test_whatever_happened_to_the_events_the_index_is_that_of_all_of_them(
    world: "World", history: list[tuple[str, str, Any, str]]
) -> None:
    for key, version, _ in world.versions():
        delete(world, key, version)
    lose_everything(world)
    world.events.clear()
    waiting: list[dict[str, Any]] = []
    for action, key, what, fate in history:
        record = happened(world, action, key, what)
        world.events.clear()
        if record is not None:
            times = {"delivered": 1, "lost": 0, "twice": 2, "later": 0}[fate]
            assert world.deliver(*[record] * times) == [] if times else True
            if fate == "later":
                waiting.append(record)
    for record in reversed(waiting):
        assert world.deliver(record) == []
    reindex(world)
    assert kinds(world, reindex(world)) == {}
    mended = used(world)
    fresh(world)
    assert mended == used(world)


def happened(world: "World", action: str, key: str, what: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Let something happen to a key, or to the index; return the event that comes of it."""
    if action == "put":
        body = orders(*what) if key.startswith("orders/") else row(*what)
        return world.notify("ObjectCreated:Put", key, world.put(key, body, indexed=False))
    if action == "hide":
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key)
    elif action == "forget":
        if known := index(world):
            item = known[what % len(known)]
            place = {name: item[name] for name in ("pk", "sk")}
            world.dynamodb.delete_item(TableName=world.customer.table, Key=place)
    elif there := [version for _, version, _ in world.versions(key)]:
        version = there[what % len(there)]
        delete(world, key, version)
        return world.notify("ObjectRemoved:Delete", key, version)
    return None


def used(world: "World") -> list[dict[str, Any]]:
    """The index without marks of keys that have no version: nobody looks at one."""
    there = {vault_items.object_pk(key) for key, _, marker in world.versions() if not marker}
    return [item for item in index(world) if item["sk"]["S"] != "indexed" or item["pk"]["S"] in there]
