import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from privacy.vault import readings
from privacy.vault import rewrite as vault_rewrite

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARA = "anna@example.org", "bob@example.org", "cara@example.org"
BUCKET = "gdpr-eu-west-vault-acme-123456789012-eu-west-1"


def row(email: object, **more: object) -> bytes:
    return json.dumps({"author": {"email": email}, **more}).encode()


def test_rows_of_the_subject_are_in_no_version_and_the_neighbours_are_byte_identical(world: "World") -> None:
    others = [row(BOB, text="  spaced   out "), b'{"author": {"email":"cara@example.org"},\t"n":1.50}']
    world.put("feedback/a.jsonl", b"\n".join([row(ANNA, text="old"), others[0]]) + b"\n")
    world.put("feedback/a.jsonl", b"\n".join([others[0], row(ANNA), others[1], row(ANNA)]) + b"\n")
    request = world.erase(ANNA)

    world.run()

    expected = b"\n".join(others) + b"\n"
    assert [hashlib.sha256(c).hexdigest() for c in world.contents("feedback/a.jsonl")] == [
        hashlib.sha256(expected).hexdigest()
    ]
    assert world.request(request).state == "completed"
    assert world.request(request).detail is None
    assert world.partition(ANNA) == ["erased"]
    assert world.partition(BOB) == ["object#feedback/a.jsonl"]


@pytest.mark.parametrize("spelling", ["ANNA@example.org", " anna@example.org ", "\uff41nna@example.org"])
def test_another_spelling_of_the_address_is_the_same_person(world: "World", spelling: str) -> None:
    world.put("feedback/a.jsonl", row(spelling) + b"\n" + row(BOB))
    world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a.jsonl") == [row(BOB)]


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        (b'{"id": 0}', "0"),
        (b'{"id": "0"}', "0"),
        (b'{"id": 12}', "12"),
        (b'{"id": "12"}', "12"),
        (b'{"id": 1.50}', "1.50"),
        (b'{"id": true}', "true"),
        (b'{"id": 123456789012345678901234567890}', "123456789012345678901234567890"),
        ('{"id": "Zoë 名前 🙂"}'.encode(), "Zoë 名前 🙂"),
        (b'{"id": "Zo\\u00eb"}', "Zoë"),
        (b'{"id": "x", "n": NaN}', "x"),
        (b'\xef\xbb\xbf{"id": "first"}', "first"),
        (json.dumps({"id": "l" * 500}).encode(), "l" * 500),
    ],
)
def test_ids_that_print_the_same_are_the_same_person(world: "World", line: bytes, subject: str) -> None:
    other = b'{"id": "somebody else"}\n'
    world.put("reviews/a.jsonl", line + b"\n" + other)
    world.erase(subject)
    world.run()
    assert world.contents("reviews/a.jsonl") == [other]


def test_blank_lines_crlf_and_a_missing_final_newline_stay(world: "World") -> None:
    content = b"\r\n" + row(BOB) + b"\r\n \t\n\n" + row(ANNA) + b"\r\n" + row(CARA)
    world.put("feedback/a.jsonl", content)
    world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a.jsonl") == [b"\r\n" + row(BOB) + b"\r\n \t\n\n" + row(CARA)]


def test_rows_without_a_subject_stay_and_do_not_disturb(world: "World") -> None:
    kept = [b'{"author": null}', b"{}", b'{"author": {"email": null}}', b'{"author": {"email": ""}}']
    world.put("feedback/a.jsonl", b"\n".join([*kept, row(ANNA)]))
    request = world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a.jsonl") == [b"\n".join(kept) + b"\n"]
    assert world.request(request).state == "completed"


def test_unreadable_lines_stay_and_are_reported_without_their_content(world: "World") -> None:
    unreadable = [
        b'{"author": {"email": "anna@example.org"',
        b"\xff\xfe",
        b'["anna@example.org"]',
        b'{"author": "anna@example.org"}',
        b'{"author": {"email": ["anna@example.org"]}}',
    ]
    world.put("feedback/a.jsonl", b"\n".join([row(ANNA), *unreadable]) + b"\n")
    request = world.erase(ANNA)
    world.run()

    assert world.contents("feedback/a.jsonl") == [b"\n".join(unreadable) + b"\n"]
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    assert [entry["line"] for entry in done.detail["unparsed"]] == [2, 3, 4, 5, 6]
    assert {entry["reason"] for entry in done.detail["unparsed"]} == {
        "not JSON",
        "not UTF-8",
        "not a JSON object",
        "parent of the subject field is not an object",
        "subject field is not a single value",
    }
    assert done.detail["unparsed_count"] == 5
    assert done.detail["unparsed"][0]["dataset"] == "feedback"
    assert "anna" not in json.dumps(done.detail)
    assert "feedback/a" not in json.dumps(done.detail)


def test_an_object_of_which_every_row_goes_is_left_empty(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + b"\n")
    world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a.jsonl") == [b""]


def test_siblings_whose_key_begins_the_same_keep_all_their_versions(world: "World") -> None:
    for key in ("feedback/a", "feedback/a.jsonl", "feedback/a/b", "feedback/ab"):
        world.put(key, row(BOB))
        world.put(key, row(BOB, n=2))
    world.put("feedback/a", row(ANNA) + b"\n" + row(BOB))
    siblings = {v for v in world.versions() if v[0] != "feedback/a"}

    request = world.erase(ANNA)
    world.run()

    assert world.request(request).state == "completed"
    assert {v for v in world.versions() if v[0] != "feedback/a"} == siblings
    assert len(siblings) == 6
    assert world.contents("feedback/a") == [row(BOB)]


def test_headers_metadata_tags_and_storage_class_are_kept(world: "World") -> None:
    kept = {
        "CacheControl": "no-store",
        "ContentDisposition": "attachment",
        "ContentLanguage": "de",
        "ContentType": "application/x-ndjson",
        "ContentEncoding": "identity",
        "Metadata": {"source": "export 7"},
        "StorageClass": "STANDARD_IA",
    }
    world.put("feedback/a.jsonl", row(ANNA) + b"\n" + row(BOB), Tagging="a=1&b=x%20y%3Dz%2B1", **kept)
    world.erase(ANNA)
    world.run()

    found = world.s3.get_object(Bucket=BUCKET, Key="feedback/a.jsonl")
    assert {name: found[name] for name in kept} == kept
    assert found["ServerSideEncryption"] == "aws:kms"
    assert found["SSEKMSKeyId"] == world.customer.key_arn
    tags = world.s3.get_object_tagging(Bucket=BUCKET, Key="feedback/a.jsonl")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "x y=z+1"}


def test_a_person_in_older_versions_only_goes_without_a_rewrite(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    version = world.put("feedback/a.jsonl", row(BOB))
    world.erase(ANNA)
    world.run()
    assert world.versions("feedback/a.jsonl") == [("feedback/a.jsonl", version, False)]


def test_an_object_that_the_customer_deleted_loses_what_the_marker_hides(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    world.s3.delete_object(Bucket=BUCKET, Key="feedback/a.jsonl")
    request = world.erase(ANNA)
    world.run()
    assert world.versions() == []
    assert world.request(request).state == "completed"


def test_an_object_that_vanished_is_done(world: "World") -> None:
    version = world.put("feedback/a.jsonl", row(ANNA))
    world.s3.delete_object(Bucket=BUCKET, Key="feedback/a.jsonl", VersionId=version)
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert world.partition(ANNA) == ["erased"]


def test_whole_objects_go_with_all_versions_and_those_of_others_stay(world: "World") -> None:
    world.put_letter("letters/1", ANNA)
    world.put_letter("letters/1", ANNA)
    other = world.put_letter("letters/2", BOB)
    world.erase(ANNA)
    world.run()
    assert world.versions() == [("letters/2", other, False)]


def test_a_letter_that_took_the_place_of_the_subjects_stays(world: "World") -> None:
    world.put_letter("letters/1", ANNA)
    other = world.put_letter("letters/1", BOB)
    world.erase(ANNA)
    world.run()
    assert world.versions() == [("letters/1", other, False)]
    assert world.partition(BOB) == ["object#letters/1"]


def test_an_identifier_in_the_metadata_counts_as_its_reference(world: "World") -> None:
    world.put("letters/1", b"dear sirs", Metadata={"subject": "Anna@Example.org"})
    world.erase(ANNA)
    world.run()
    assert world.versions() == []


def test_records_and_their_pointers_go(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    world.put_record("2", ANNA, name="Anna too")
    world.put_record("3", BOB, name="Bob")
    request = world.erase(ANNA)
    world.run()

    assert world.request(request).state == "completed"
    assert world.partition(ANNA) == ["erased"]
    assert world.partition(BOB) == ["record#profiles/3"]
    assert [i["pk"]["S"] for i in world.items() if i["sk"]["S"] == "subject"] == ["record#profiles/3"]


def test_a_record_that_moved_to_another_subject_stays_with_that_one(world: "World") -> None:
    world.put_record("1", ANNA, name="Anna")
    world.put_record("1", BOB, name="Bob")
    world.erase(ANNA)
    world.run()
    assert world.partition(BOB) == ["record#profiles/1"]
    assert [i["ref"]["S"] for i in world.items() if i["sk"]["S"] == "subject"] == [world.ref(BOB)]


def test_many_requests_cost_one_rewrite_of_an_object(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    people = [f"person{number}@example.org" for number in range(12)]
    world.put("feedback/a.jsonl", b"\n".join(row(person) for person in [*people, BOB]))
    requests = [world.erase(person) for person in people]
    commit, commits = vault_rewrite.Rewrite.commit, []

    def counted(rewrite: vault_rewrite.Rewrite) -> str:
        commits.append(rewrite.source.key)
        return commit(rewrite)

    monkeypatch.setattr(vault_rewrite.Rewrite, "commit", counted)

    world.run()

    assert commits == ["feedback/a.jsonl"]
    assert world.contents("feedback/a.jsonl") == [row(BOB)]
    assert {world.request(request).state for request in requests} == {"completed"}


def test_only_tombstones_and_what_is_about_others_is_left_in_the_vault(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + b"\n" + row(BOB))
    world.put_record("1", ANNA, name="Anna")
    world.erase(ANNA)
    world.run()
    assert world.deliver() == []

    kinds = sorted((i["pk"]["S"].split("#")[0], i["sk"]["S"].split("#")[0]) for i in world.items())
    assert kinds == [
        ("object", "indexed"),
        ("subject", "erased"),
        ("subject", "object"),
        *[("vault", "index")] * len(readings.current_readings(world.customer)),
        ("vault", "last-erasure"),
        ("vault", "subject-secret"),
    ]
    assert ANNA not in json.dumps(world.items(), default=str)
