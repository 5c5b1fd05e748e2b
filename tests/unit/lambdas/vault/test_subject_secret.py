"""The secret behind the references: lost or exchanged, it is never made anew on the way."""

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from privacy.contracts.begin_vault import OtherVaultKeyError
from privacy.vault import sessions, subject_secret
from privacy.vault.subject_secret import OtherSubjectSecretError, SubjectSecretMissingError

from ..region import make_key
from ..support.world import REGISTRY, TABLE

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
IN_REGISTRY = {"pk": {"S": "secret#acme"}}
OTHER = {"ciphertext": {"B": b"of somebody else"}}


def row(email: str) -> bytes:
    return json.dumps({"author": {"email": email}}).encode() + b"\n"


def lose(world: "World", *, table: bool = True, registry: bool = True) -> None:
    if table:
        world.dynamodb.delete_item(TableName=TABLE, Key=subject_secret.ITEM_KEY)
    if registry:
        world.dynamodb.delete_item(TableName=REGISTRY, Key=IN_REGISTRY)
    restart(world)


def restart(world: "World") -> None:
    sessions.forget()
    world.functions.restart()


def begin(world: "World") -> dict[str, str | None]:
    restart(world)
    answer: dict[str, str | None] = world.call("begin_vault", {"customer": "acme"})
    restart(world)
    return answer


def exchange(world: "World") -> None:
    world.dynamodb.put_item(TableName=TABLE, Item={**subject_secret.ITEM_KEY, **OTHER})
    restart(world)


def in_both_places(world: "World") -> list[bytes]:
    items = [
        world.dynamodb.get_item(TableName=TABLE, Key=subject_secret.ITEM_KEY).get("Item"),
        world.dynamodb.get_item(TableName=REGISTRY, Key=IN_REGISTRY).get("Item"),
    ]
    return [bytes(item["ciphertext"]["B"]) for item in items if item]


@pytest.mark.parametrize("lost", ["table", "registry"])
def test_one_of_the_places_may_be_lost_and_everybody_is_still_found(
    world: "World", lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.put("feedback/a", row(ANNA) + row(BOB))
    world.put_letter("letters/anna", ANNA)
    lose(world, **{place: place == lost for place in ("table", "registry")})
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert world.read("feedback/a") == row(BOB)
    assert world.versions("letters/anna") == []
    assert "subject secret unsafe: customer=acme reason=kept-once" in caplog.text


@pytest.mark.parametrize(
    ("broken", "error", "reason"),
    [(lose, SubjectSecretMissingError, "missing"), (exchange, OtherSubjectSecretError, "another-one")],
)
def test_who_needs_the_secret_refuses_without_the_right_one(
    world: "World", broken: "object", error: type[Exception], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody makes one on the way, an erasure that was asked for before does nothing and says so."""
    world.put("feedback/a", row(ANNA))
    request = world.erase(ANNA)
    before = world.items()
    broken(world)  # type: ignore[operator]  # both take the world
    with pytest.raises(error):
        world.ref(ANNA)
    with pytest.raises(error):
        world.plan("0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d")
    assert world.read("feedback/a") == row(ANNA)
    assert world.request(request).state != "completed"
    assert f"subject secret unsafe: customer=acme reason={reason}" in caplog.text
    assert len(world.items()) <= len(before)


def test_events_that_nobody_can_index_come_again(world: "World") -> None:
    lose(world)
    world.put("feedback/a", row(ANNA), indexed=False)
    with pytest.raises(SubjectSecretMissingError):
        world.deliver()
    assert not [item for item in world.items() if item["pk"]["S"].startswith("subject#")]


@pytest.mark.parametrize("lost", ["table", "registry"])
def test_a_deployment_puts_a_lost_one_back(world: "World", lost: str) -> None:
    (secret, _) = in_both_places(world)
    lose(world, **{place: place == lost for place in ("table", "registry")})
    answer = begin(world)
    assert in_both_places(world) == [secret, secret]
    assert answer == {"customer": "acme", "secret": hashlib.sha256(secret).hexdigest()}


def test_a_new_vault_gets_a_secret_once(world: "World") -> None:
    lose(world)
    first = begin(world)
    assert begin(world) == first
    (secret, same) = in_both_places(world)
    assert secret == same
    assert len(sessions.open_vault(world.customer, "intake").subject_secret()) == 32


@pytest.mark.parametrize("named", ["in the table", "in a request"])
def test_a_vault_that_knows_somebody_gets_no_other_secret(world: "World", named: str) -> None:
    if named == "in the table":
        world.put("feedback/a", row(ANNA))
    else:
        world.erase(ANNA)
    lose(world)
    with pytest.raises(SubjectSecretMissingError):
        begin(world)
    assert in_both_places(world) == []


def test_a_deployment_refuses_a_table_with_another_secret(world: "World") -> None:
    exchange(world)
    with pytest.raises(OtherSubjectSecretError):
        begin(world)


def test_a_vault_that_is_being_destroyed_is_not_begun(world: "World") -> None:
    lose(world)
    mark = {"state": {"S": "destroying"}, "since": {"S": "2026-01-01T00:00:00Z"}}
    world.dynamodb.put_item(TableName=REGISTRY, Item={"pk": {"S": "destruction#acme"}, **mark})
    assert begin(world) == {"customer": "acme", "secret": None}
    assert in_both_places(world) == []


# a vault with another key


def empty(world: "World") -> None:
    """Leave nothing in the vault's table, the secret neither: as a table that was made anew."""
    for item in world.items():
        world.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})


def forget_people(world: "World") -> None:
    """Leave in the vault's table what names nobody: the secret among it."""
    for item in world.items():
        if item["pk"]["S"].startswith("subject#"):
            world.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})


@pytest.mark.parametrize("table", [empty, forget_people])
def test_a_vault_that_knows_nobody_gets_a_secret_under_its_new_key(world: "World", table: "object") -> None:
    (old, _) = in_both_places(world)
    table(world)  # type: ignore[operator]  # both take the world
    world.use_key(make_key())
    begin(world)
    (secret, same) = in_both_places(world)
    assert secret == same != old
    answer = begin(world)
    assert answer["secret"] == hashlib.sha256(secret).hexdigest(), "once, and not at each deployment"
    world.put("feedback/a", row(ANNA) + row(BOB))
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert world.read("feedback/a") == row(BOB)


@pytest.mark.parametrize("named", ["in the table", "in a request"])
def test_a_vault_that_knows_somebody_refuses_another_key_and_stays_as_it_is(
    world: "World", named: str
) -> None:
    if named == "in the table":
        world.put("feedback/a", row(ANNA))
    else:
        world.erase(ANNA)
    before, earlier = in_both_places(world), world.customer.key_arn
    world.use_key(make_key())
    with pytest.raises(OtherVaultKeyError, match=f"under {earlier}, .* give the vault that key back"):
        begin(world)
    assert in_both_places(world) == before
    world.use_key(earlier)
    assert begin(world)["secret"] == hashlib.sha256(before[0]).hexdigest()


def test_a_call_that_was_cut_short_between_the_places_is_made_good(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    (old, _) = in_both_places(world)
    forget_people(world)
    world.use_key(make_key())
    with monkeypatch.context() as patch:
        patch.setattr("privacy.contracts.begin_vault._put", lambda *_, **__: None)
        with pytest.raises(OtherSubjectSecretError):
            begin(world)
    assert in_both_places(world)[0] == old
    begin(world)
    (secret, same) = in_both_places(world)
    assert secret == same != old


def test_a_restored_table_whose_people_are_under_the_secret_of_before_is_refused(world: "World") -> None:
    forget_people(world)
    old = world.dynamodb.get_item(TableName=TABLE, Key=subject_secret.ITEM_KEY)["Item"]
    world.use_key(make_key())
    begin(world)
    world.put("feedback/a", row(ANNA))
    world.dynamodb.put_item(TableName=TABLE, Item=old)
    with pytest.raises(OtherSubjectSecretError):
        begin(world)
    assert in_both_places(world)[0] == bytes(old["ciphertext"]["B"])


def test_a_secret_of_which_no_key_is_noted_is_the_vaults(world: "World") -> None:
    world.put("feedback/a", row(ANNA))
    (secret, _) = in_both_places(world)
    world.dynamodb.update_item(TableName=REGISTRY, Key=IN_REGISTRY, UpdateExpression="REMOVE key_arn")
    assert begin(world)["secret"] == hashlib.sha256(secret).hexdigest()
    assert in_both_places(world) == [secret, secret]
