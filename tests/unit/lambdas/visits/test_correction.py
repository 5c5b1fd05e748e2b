import json
from typing import TYPE_CHECKING, Any

import pytest

from privacy.identifiers import uuid7
from privacy.visits import batch as visit_batch

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"


def fields_of(world: "World", record: str) -> dict[str, Any]:
    (item,) = [i for i in world.items() if i.get("record_id", {}).get("S") == record]
    value: dict[str, Any] = json.loads(item["fields"]["S"])
    return value


def feedback(**fields: object) -> list[dict[str, Any]]:
    return [{"dataset": "feedback", "set": fields}]


def test_only_the_subjects_rows_change_and_numbers_keep_their_spelling(world: "World") -> None:
    bob = b'{"author": {"email": "bob@example.org", "name": "Bob"}, "n": 1.0}\r\n'
    anna = (
        b'{"author": {"name": "Ana", "email": "anna@example.org"}, "n": 1.50, "big": 12345678901234567890123}'
    )
    world.put("feedback/a.jsonl", bob + anna + b"\r\n" + bob)
    request = world.correct(ANNA, feedback(**{"author.name": "Anna Ä"}))
    world.run()

    corrected = (
        '{"author":{"name":"Anna Ä","email":"anna@example.org"},"n":1.50,"big":12345678901234567890123}\r\n'
    )
    assert world.contents("feedback/a.jsonl") == [bob + corrected.encode() + bob]
    assert world.request(request).state == "completed"
    assert "object#feedback/a.jsonl" in world.partition(ANNA)


def test_the_old_value_is_in_no_version(world: "World") -> None:
    line = b'{"author":{"email":"anna@example.org","name":"Misspelt"}}\n'
    world.put("feedback/a.jsonl", line)
    world.put("feedback/a.jsonl", line)
    world.correct(ANNA, feedback(**{"author.name": "Anna"}))
    world.run()
    assert world.contents("feedback/a.jsonl") == [line.replace(b"Misspelt", b"Anna")]


def test_a_row_that_is_right_already_stays_byte_for_byte(world: "World") -> None:
    line = b'{ "author": {"email": "anna@example.org", "name": "Anna"} }\n'
    version = world.put("feedback/a.jsonl", line)
    world.correct(ANNA, feedback(**{"author.name": "Anna"}))
    world.run()
    assert world.versions() == [("feedback/a.jsonl", version, False)]


@pytest.mark.parametrize(("before", "after"), [(b'"12"', b"12"), (b"1", b"true"), (b"null", b'""')])
def test_values_that_look_alike_are_told_apart(world: "World", before: bytes, after: bytes) -> None:
    world.put("feedback/a.jsonl", b'{"author":{"email":"anna@example.org"},"text":' + before + b"}")
    world.correct(ANNA, feedback(text=json.loads(after)))
    world.run()
    assert world.read("feedback/a.jsonl") == b'{"author":{"email":"anna@example.org"},"text":' + after + b"}"


def test_fields_that_the_dataset_does_not_declare_are_never_set(world: "World") -> None:
    line = b'{"author":{"email":"anna@example.org"},"score":1}'
    world.put("feedback/a.jsonl", line)
    world.correct(ANNA, feedback(score=5, **{"author.role": "admin"}))
    world.run()
    assert world.contents("feedback/a.jsonl") == [line]


def test_a_field_whose_parent_is_missing_is_left_alone(world: "World") -> None:
    world.put("reviews/a.jsonl", b'{"id":"anna@example.org"}\n')
    world.put("feedback/a.jsonl", b'{"author":{"email":"anna@example.org"}}\n')
    changes = [*feedback(text="added"), {"dataset": "reviews", "set": {"text": "added too"}}]
    world.correct(ANNA, changes)
    world.run()
    assert world.read("reviews/a.jsonl") == b'{"id":"anna@example.org","text":"added too"}\n'
    assert world.read("feedback/a.jsonl") == b'{"author":{"email":"anna@example.org"},"text":"added"}\n'


def test_corrections_apply_in_the_order_they_arrived(world: "World") -> None:
    world.put("feedback/a.jsonl", b'{"author":{"email":"anna@example.org"},"text":"0"}')
    world.put_record("1", ANNA, name="0")
    for name in ("1", "2", "3"):
        world.correct(ANNA, [*feedback(text=name), {"dataset": "profiles", "set": {"name": name}}])
    world.run()
    assert json.loads(world.read("feedback/a.jsonl"))["text"] == "3"
    assert fields_of(world, "1") == {"name": "3"}


def test_one_record_or_all_of_the_subjects(world: "World") -> None:
    world.put_record("1", ANNA, name="A", phone="1")
    world.put_record("2", ANNA, name="A", phone="2")
    world.put_record("3", BOB, name="A", phone="3")
    world.correct(ANNA, [{"dataset": "profiles", "record": "1", "set": {"phone": "9"}}])
    world.correct(ANNA, [{"dataset": "profiles", "set": {"name": "Anna"}}])
    world.run()
    assert fields_of(world, "1") == {"name": "Anna", "phone": "9"}
    assert fields_of(world, "2") == {"name": "Anna", "phone": "2"}
    assert fields_of(world, "3") == {"name": "A", "phone": "3"}


@pytest.mark.parametrize("erasure_first", [True, False])
def test_an_erasure_in_the_same_run_wins_in_either_order(world: "World", erasure_first: bool) -> None:
    world.put("feedback/a.jsonl", b'{"author":{"email":"anna@example.org"},"text":"0"}')
    world.put_record("1", ANNA, name="0")
    changes = [*feedback(text="1"), {"dataset": "profiles", "set": {"name": "1"}}]
    asked = [world.erase(ANNA)] if erasure_first else []
    asked.append(world.correct(ANNA, changes))
    asked += [] if erasure_first else [world.erase(ANNA)]
    world.run()
    assert world.contents("feedback/a.jsonl") == [b""]
    assert world.partition(ANNA) == ["erased"]
    assert {world.request(request).state for request in asked} == {"completed"}


def test_the_new_values_go_when_the_request_ends(world: "World") -> None:
    world.put("feedback/a.jsonl", b'{"author":{"email":"bob@example.org"}}')
    world.correct(ANNA, feedback(text="secret value"))
    world.run()
    assert "secret value" not in json.dumps(world.items(), default=str)


def test_a_correction_whose_values_are_gone_is_not_called_completed(world: "World") -> None:
    world.put("feedback/a.jsonl", b'{"author":{"email":"anna@example.org"}}')
    request = world.correct(ANNA, feedback(text="x"))
    world.dynamodb.delete_item(
        TableName=world.customer.table,
        Key={"pk": {"S": f"subject#{world.ref(ANNA)}"}, "sk": {"S": f"changes#{request}"}},
    )
    world.run()
    done = world.request(request)
    assert done.state == "failed"
    assert done.detail == {"problems": [{"reason": "details-gone"}], "problem_count": 1}


def test_a_row_that_cannot_be_written_back_stays_and_is_reported(world: "World") -> None:
    line = b'{"author":{"email":"anna@example.org"},"half":"\\ud83d"}\n'
    world.put("feedback/a.jsonl", line)
    request = world.correct(ANNA, feedback(text="x"))
    world.run()
    assert world.contents("feedback/a.jsonl") == [line]
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    assert done.detail["unparsed"][0]["reason"] == "cannot be written back"


def test_a_hidden_file_can_still_be_brought_back_after_a_correction(world: "World") -> None:
    line = b'{"author":{"email":"anna@example.org","name":"Misspelt"}}\n'
    version = world.put("feedback/a.jsonl", line)
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl")
    request = world.correct(ANNA, feedback(**{"author.name": "Anna"}))
    world.run()
    assert world.request(request).state == "completed"
    assert ("feedback/a.jsonl", version, False) in world.versions()
    assert "object#feedback/a.jsonl" in world.partition(ANNA)


def test_a_record_that_takes_no_more_fails_its_own_request_and_no_other(world: "World") -> None:
    world.put_record("fat", ANNA, name="Anna", note="y" * 256_000)
    world.put_record("thin", BOB, name="Bob")
    change = {"dataset": "profiles", "set": {"name": "z" * 200_000}}
    correction = world.correct(ANNA, [change])
    erasure = world.erase(BOB)
    run_id = uuid7()
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(world.plan(run_id))
    world.call("verify_run", {"customer": "acme", "run_id": run_id})
    world.complete(run_id)
    assert world.request(correction).state == "failed"
    assert world.request(erasure).state == "completed"
    assert world.partition(BOB) == ["erased"]
