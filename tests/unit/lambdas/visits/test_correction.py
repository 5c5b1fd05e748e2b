import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from privacy.identifiers import uuid7
from privacy.visits import batch as visit_batch
from privacy.visits import records as visit_records

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


def digest(record: str) -> str:
    return hashlib.sha256(record.encode()).hexdigest()[:12]


def deep_record(world: "World", record: str, subject: str, levels: int = 300) -> None:
    """A record of before there was a bound of depth: deeper than any writer takes."""
    world.put_record(record, subject, name="Misspelt", tree=[])
    (item,) = [each for each in world.items() if each.get("record_id", {}).get("S") == record]
    item["fields"]["S"] = item["fields"]["S"].replace("[]", "[" * levels + "]" * levels)
    world.dynamodb.put_item(TableName=world.customer.table, Item=item)


def test_a_record_that_cannot_be_corrected_is_told_and_keeps_nobody_waiting(world: "World") -> None:
    deep_record(world, "1-deep", ANNA)
    world.put_record("2-flat", ANNA, name="Misspelt")
    world.put_record("3-bobs", BOB, name="Misspelt")
    change = {"dataset": "profiles", "set": {"name": "Right"}}
    annas, bobs = (world.correct(who, [change]) for who in (ANNA, BOB))
    world.run()
    assert world.request(annas).state == "partial"
    assert world.request(annas).detail == {
        "unparsed": [
            {"dataset": "profiles", "record": digest("1-deep"), "reason": "cannot be written back"},
        ],
        "unparsed_count": 1,
    }
    assert world.request(bobs).state == "completed"
    assert [fields_of(world, each)["name"] for each in ("1-deep", "2-flat", "3-bobs")] == [
        "Misspelt",
        "Right",
        "Right",
    ]
    world.erase(ANNA)
    world.run()
    assert world.partition(ANNA) == ["erased"], "to be erased it need not be written"


@pytest.mark.parametrize("asked", ["erase", "correct"])
def test_a_record_that_others_keep_writing_holds_up_no_other_record(
    world: "World", asked: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for record in ("1-busy", "2-free"):
        world.put_record(record, ANNA, name="Misspelt")
    transact = visit_records.transact

    def busy(client: Any, writes: Any) -> list[str]:  # noqa: ANN401 - as the real one
        return ["TransactionConflict"] if "1-busy" in str(writes) else transact(client, writes)

    change = {"dataset": "profiles", "set": {"name": "Right"}}
    request = world.erase(ANNA) if asked == "erase" else world.correct(ANNA, [change])
    run_id = uuid7()
    planned = world.plan(run_id)
    with monkeypatch.context() as patch:
        patch.setattr(visit_records, "transact", busy)
        patch.setattr(visit_records, "pause", lambda *_, **__: None)
        with pytest.raises(visit_batch.VisitsFailedError):
            world.visit(planned)
    left = {each["record_id"]["S"]: each["fields"]["S"] for each in world.items() if "record_id" in each}
    assert "Misspelt" in left["1-busy"]
    assert "Right" in left["2-free"] if asked == "correct" else "2-free" not in left
    assert f"dataset=profiles record={digest('1-busy')} error=RecordChangedError" in caplog.text
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": run_id})
    world.complete(run_id)
    assert world.request(request).state == "completed"


def test_a_record_that_takes_no_more_is_told_and_stays(world: "World") -> None:
    world.put_record("fat", ANNA, name="Anna", note="y" * 256_000)
    world.put_record("thin", BOB, name="Bob")
    change = {"dataset": "profiles", "set": {"name": "z" * 200_000}}
    correction = world.correct(ANNA, [change])
    erasure = world.erase(BOB)
    world.run()
    found = world.request(correction)
    assert (found.state, (found.detail or {})["unparsed"]) == (
        "partial",
        [{"dataset": "profiles", "record": digest("fat"), "reason": "would be larger than a record may be"}],
    )
    assert fields_of(world, "fat")["name"] == "Anna"
    assert world.request(erasure).state == "completed"
    assert world.partition(BOB) == ["erased"]
