"""A config that changed under data that is there: the data is found, or the answer says that it is not."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from privacy.aws.failures import StepFailedError
from privacy.identifiers import uuid7
from privacy.vault import readings, sessions

from ..support.reindexing import reindex
from ..support.world import DATASETS

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
OUTSIDE = {"unattributed": [{"files": 1}], "unattributed_count": 1}
CHANGED = {"problems": [{"reason": "config-changed"}], "problem_count": 1}


def row(email: str, name: str = "?", other: str = "") -> bytes:
    line = '{"author":{"email":"%s","name":"%s"},"writer":"%s"}\n'
    return (line % (email, name, other)).encode()


def but(name: str, /, **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - of a dataset's entry
    """The datasets, one of them changed."""
    return [{**each, **changes} if each["name"] == name else each for each in DATASETS]


def without(name: str) -> list[dict[str, Any]]:
    return [each for each in DATASETS if each["name"] != name]


def ended(world: "World", request: str) -> tuple[str, object]:
    world.run()
    assert world.deliver() == []
    done = world.request(request)
    return done.state, done.detail


def walks(world: "World") -> set[str]:
    """Prefixes of which the index is not relied on."""
    return readings.prefixes_to_walk(sessions.open_vault(world.customer, "plan"))


def begin_anew(world: "World") -> None:
    """Let the vault be one in which nothing was indexed yet."""
    for item in world.items():
        if item["sk"]["S"].startswith("index#"):
            key = {"pk": item["pk"], "sk": item["sk"]}
            world.dynamodb.delete_item(TableName=world.customer.table, Key=key)
    sessions.forget()


# -- another name


def test_archived_files_that_nobody_looked_into_keep_concerning_erasures_of_a_renamed_dataset(
    world: "World",
) -> None:
    world.put("feedback/a", row(ANNA), indexed=False, StorageClass="GLACIER")
    assert world.deliver() == []
    world.declare(*but("feedback", name="opinions"))
    state, detail = ended(world, world.erase(ANNA))
    assert state == "partial"
    assert isinstance(detail, dict)
    assert [(p["dataset"], p["reason"]) for p in detail["problems"]] == [("opinions", "archived")]


def test_a_correction_finds_the_files_of_a_renamed_dataset(world: "World") -> None:
    world.put("feedback/a", row(ANNA) + row(BOB))
    world.declare(*but("feedback", name="opinions"))
    request = world.correct(ANNA, [{"dataset": "opinions", "set": {"author.name": "Anna Right"}}])
    assert ended(world, request) == ("completed", None)
    assert b"Anna Right" in world.read("feedback/a")


def test_an_erasure_finds_the_files_of_a_renamed_dataset(world: "World") -> None:
    world.put("feedback/a", row(ANNA) + row(BOB))
    world.declare(*but("feedback", name="opinions"))
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert world.contents("feedback/a") == [row(BOB)]


def test_a_correction_asked_for_under_the_old_name_is_redriven_under_it(world: "World") -> None:
    world.put("feedback/a", row(ANNA))
    request = world.correct(ANNA, [{"dataset": "feedback", "set": {"author.name": "Anna Right"}}])
    world.declare(*but("feedback", name="opinions"))
    run = world.run()
    assert (world.request(request).state, world.request(request).detail) == ("failed", CHANGED)
    world.declare(*DATASETS)
    world.call("redrive_run", {"customer": "acme", "run_id": run})
    assert ended(world, request) == ("completed", None)
    assert b"Anna Right" in world.read("feedback/a")


def test_a_correction_of_a_field_that_is_not_declared_any_more_says_so(world: "World") -> None:
    world.put("feedback/a", row(ANNA))
    changes = [{"dataset": "feedback", "set": {"author.name": "Anna Right", "text": "x"}}]
    request = world.correct(ANNA, changes)
    world.declare(*but("feedback", personal={"author.email": "email", "text": "text"}))
    assert ended(world, request) == ("failed", CHANGED)


def test_a_correction_of_records_whose_dataset_was_renamed_says_so(world: "World") -> None:
    world.put_record("r1", ANNA, name="?")
    world.declare(*but("profiles", name="people"))
    request = world.correct(ANNA, [{"dataset": "people", "set": {"name": "Anna Right"}}])
    assert ended(world, request) == ("failed", CHANGED)
    # Files are not concerned, and an erasure takes records whatever dataset they are of.
    world.put("feedback/a", row(ANNA))
    files = world.correct(ANNA, [{"dataset": "feedback", "set": {"author.name": "Anna Right"}}])
    assert ended(world, files) == ("completed", None)
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert world.partition(ANNA) == ["erased"]


# -- taken out


@pytest.mark.parametrize("name", ["dumps", "papers"])
def test_files_of_a_scanned_dataset_that_was_taken_out_make_erasures_partial(
    world: "World", name: str
) -> None:
    """There is nothing in the index that would tell of them."""
    world.put(f"{name}/a", b"no,email,text\n1,anna@example.org,x\n", Metadata={"subject": world.ref(ANNA)})
    world.declare(*without(name))
    assert ended(world, world.erase(ANNA)) == ("partial", OUTSIDE)
    assert ended(world, world.erase(ANNA)) == ("partial", OUTSIDE)
    world.declare(*DATASETS)
    assert ended(world, world.erase(ANNA)) == ("completed", None)


def test_only_older_versions_outside_of_every_dataset_count_as_well(world: "World") -> None:
    world.put("dumps/a", b"no,email,text\n1,anna@example.org,x\n")
    world.s3.delete_object(Bucket=world.customer.bucket, Key="dumps/a")
    world.declare(*without("dumps"))
    assert ended(world, world.erase(ANNA)) == ("partial", OUTSIDE)


@pytest.mark.parametrize("key", ["other/", "other/_SUCCESS", "loose"])
def test_nobody_is_in_empty_objects_outside_of_every_dataset(world: "World", key: str) -> None:
    world.s3.put_object(Bucket=world.customer.bucket, Key=key, Body=b"")
    assert ended(world, world.erase(ANNA)) == ("completed", None)


@pytest.mark.parametrize("key", ["loose", "feedbac", "other/deep/a", "deep/other/a", "deep/er"])
def test_objects_outside_of_every_dataset_make_erasures_partial(world: "World", key: str) -> None:
    world.declare(*DATASETS, {**DATASETS[1], "name": "deep", "prefix": "deep/er/"})
    world.put("deep/er/a", row(ANNA))
    world.put(key, b"anna@example.org", indexed=False)
    assert ended(world, world.erase(ANNA)) == ("partial", OUTSIDE)
    assert world.versions("deep/er/a") == [] or row(ANNA) not in world.contents("deep/er/a")


def test_corrections_are_not_concerned_by_objects_outside_of_every_dataset(world: "World") -> None:
    world.put("feedback/a", row(ANNA))
    world.put("loose", b"anna@example.org", indexed=False)
    request = world.correct(ANNA, [{"dataset": "feedback", "set": {"author.name": "Anna"}}])
    assert ended(world, request) == ("completed", None)


def test_archived_files_nobody_looked_into_are_counted_once_their_dataset_is_gone(world: "World") -> None:
    world.put("feedback/a", row(ANNA), indexed=False, StorageClass="GLACIER")
    assert world.deliver() == []
    world.declare(*without("feedback"))
    assert ended(world, world.erase(ANNA)) == ("partial", OUTSIDE)
    assert ended(world, world.erase(ANNA)) == ("partial", OUTSIDE)


# -- read in another way


def test_another_subject_field_is_gone_by_before_anybody_reindexes(world: "World") -> None:
    world.put("feedback/a", row(BOB, other=ANNA) + row(BOB, other=BOB))
    world.put("feedback/b", row(ANNA, other=BOB))
    world.declare(*but("feedback", subject="writer", personal={"writer": "id", "text": "text"}))
    assert walks(world) == {"feedback/"}
    correction = world.correct(BOB, [{"dataset": "feedback", "set": {"text": "x"}}])
    assert ended(world, correction) == ("completed", None)
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert len(world.read("feedback/a").splitlines()) == 1
    assert ANNA.encode() not in world.read("feedback/a")
    assert world.read("feedback/b").count(b'"text":"x"') == 1


def test_a_reindex_ends_the_walking(world: "World") -> None:
    world.put("feedback/a", row(BOB, other=ANNA))
    world.declare(*but("feedback", subject="writer", personal={"writer": "id"}))
    reindex(world, dry_run=True)
    assert walks(world) == {"feedback/"}
    reindex(world)
    assert walks(world) == set()
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert world.versions("feedback/a") == [] or world.contents("feedback/a") == [b""]


def test_a_reindex_under_the_config_before_does_not_end_the_walking(world: "World") -> None:
    world.put("feedback/a", row(BOB, other=ANNA))
    changed = but("feedback", subject="writer", personal={"writer": "id"})

    def change_meanwhile(function: str, event: Any, milliseconds: int = 900_000) -> Any:  # noqa: ANN401
        if function == "report_reindex":
            world.declare(*changed)
        return call(function, event, milliseconds)

    call = world.call
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "call", change_meanwhile)
        reindex(world)
    assert walks(world) == {"feedback/"}


def test_a_dataset_that_was_scanned_is_walked_until_it_is_reindexed(world: "World") -> None:
    world.put("dumps/a", b"no,email,text\n1,anna@example.org,x\n2,bob@example.org,y\n")
    world.declare(*but("dumps", index="events"))
    assert "dumps/" in walks(world)
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert ANNA.encode() not in b"".join(world.contents("dumps/a"))
    reindex(world)
    assert walks(world) == set()
    assert ended(world, world.erase(BOB)) == ("completed", None)
    assert BOB.encode() not in b"".join(world.contents("dumps/a"))


def test_a_dataset_that_came_back_is_walked_since_its_files_sent_no_events(world: "World") -> None:
    world.declare(*without("feedback"))
    world.run()
    world.put("feedback/a", row(ANNA) + row(BOB), indexed=False)
    world.events.clear()
    world.declare(*DATASETS)
    assert walks(world) == {"feedback/"}
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert world.contents("feedback/a") == [row(BOB)]


# -- how an index begins


def test_an_index_that_knew_all_files_from_the_first_is_relied_on(world: "World") -> None:
    begin_anew(world)
    assert "feedback/" in walks(world)
    world.put("feedback/a", row(ANNA), indexed=False)
    world.put("feedback/b", row(ANNA))
    assert "feedback/" not in walks(world)


def test_an_index_that_began_over_older_files_is_not_relied_on(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_anew(world)
    monkeypatch.setattr(readings, "_TOGETHER", readings._TOGETHER * 0)
    world.put("feedback/a", row(ANNA), indexed=False)
    world.events.clear()
    listed = readings._holds_older
    monkeypatch.setattr(
        readings,
        "_holds_older",
        lambda vault, prefix, at: listed(vault, prefix, at.replace(year=at.year + 1)),
    )
    world.put("feedback/b", row(BOB))
    assert "feedback/" in walks(world)
    assert ended(world, world.erase(ANNA)) == ("completed", None)
    assert ANNA.encode() not in b"".join(world.contents("feedback/a"))
    reindex(world)
    assert walks(world) == set()


# -- between two steps


@pytest.mark.parametrize("after", ["plan", "visit", "verify"])
def test_a_dataset_that_goes_between_two_steps_of_a_run_leaves_nothing_called_done_that_is_not(
    world: "World", after: str
) -> None:
    """Whatever was not done by then is told, and done once the dataset is back."""
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    world.put("reviews/a.jsonl", b'{"id": "anna@example.org"}\n')
    request, run = world.erase(ANNA), uuid7()
    planned: dict[str, Any] = {}
    steps = {
        "plan": lambda: planned.update(world.plan(run)),
        "visit": lambda: world.visit(planned),
        "verify": lambda: world.call("verify_run", {"customer": "acme", "run_id": run}),
        "complete": lambda: world.complete(run),
    }
    for name, step in steps.items():
        with suppress(StepFailedError):  # the workflow goes on, and the request tells
            step()
        if name == after:
            world.declare(*without("feedback"))
    done = ANNA.encode() not in b"".join(world.contents("feedback/a.jsonl"))
    assert done == (after != "plan")
    assert world.request(request).state in ({"failed", "partial", "completed"} if done else {"failed"})
    world.declare(*DATASETS)
    if not done:
        world.call("redrive_run", {"customer": "acme", "run_id": run})
        world.run()
        assert world.request(request).state == "completed"
    assert world.contents("feedback/a.jsonl") == [row(BOB)]
    assert world.contents("reviews/a.jsonl") == [b""]
