"""A controller erases and corrects people over HTTP; what is left is read back from the vault itself."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from local.vaults import references_of
from tests.e2e.support import World, completed, somebody, wait_for


def test_two_people_are_erased_and_a_third_corrected(world: World) -> None:
    mine = world.data["eu-west"].customers["acme"]
    gone = [world.data["eu-west"].only_at("acme")[0], world.data["eu-west"].shared()[0]]
    corrected = world.data["eu-west"].only_at("acme")[1]
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    neighbour = world.view("eu-west", "globex")
    before = (neighbour.versions(), neighbour.digests())

    erasure = api.request_erasure([gone[0].email.upper(), f" {gone[1].email} "], reason="objection")
    correction = api.request_correction(
        corrected.email,
        [
            {"dataset": "profiles", "set": {"name": "Neu"}},
            {"dataset": "feedback", "set": {"author.name": "Neu"}},
        ],
    )
    assert erasure.subjects == 2
    completed(api, erasure)
    completed(api, correction)

    for file in mine.files:
        sent = zip(file.lines, file.people, strict=True)
        left = [(line, person) for line, person in sent if person not in gone]
        for line, (original, person) in zip(view.body(file.key).splitlines(keepends=True), left, strict=True):
            if person == corrected:
                wanted = json.loads(original)
                wanted["author"]["name"] = "Neu"
                assert json.loads(line) == wanted
            else:
                assert line == original
    versions = [key for key, _ in view.versions()]
    assert len([key for key in versions if key.startswith("feedback/2026-")]) == len(mine.files)
    for letter in mine.letters:
        assert (letter.key not in versions) == (letter.person in gone)
    for reference in references_of(world.emulator, world.stacks["eu-west"], "acme", erasure.id):
        assert view.partition(reference) == {"erased"}
    for record in mine.records[:6] + mine.records[-6:]:
        kept = view.records().get(f"{record.dataset}/{record.id}")
        if record.person in gone:
            assert kept is None
        elif record.person == corrected:
            assert kept == {**record.fields, "name": "Neu"}
        else:
            assert kept == record.fields
    assert (neighbour.versions(), neighbour.digests()) == before


def test_older_versions_and_delete_markers_of_a_touched_object_go(world: World) -> None:
    gone, stays = somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    key = "feedback/overwritten.jsonl"
    world.send_rows([gone, stays], key, text="first")
    world.emulator.client("s3", "eu-west-1").delete_object(Bucket=bucket, Key=key)
    newest = world.send_rows([stays], key, text="second")
    sibling = world.send_rows([stays], key + ".bak", text="a key that begins the same")

    completed(api, api.request_erasure([gone]))

    # The newest version never had the erased person: it is not even written again.
    assert view.body(key) == newest
    assert view.body(key + ".bak") == sibling
    assert [each for each, _ in view.versions() if each == key] == [key]


def test_an_object_that_was_deleted_leaves_no_version_of_the_erased_behind(world: World) -> None:
    gone = somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    key = "feedback/deleted.jsonl"
    world.send_rows([gone], key)
    world.emulator.client("s3", "eu-west-1").delete_object(
        Bucket=world.stacks["eu-west"].vaults["acme"].bucket, Key=key
    )

    completed(api, api.request_erasure([gone]))

    hidden = [
        version
        for version, digest in view.versions().items()
        if version[0] == key and digest != "delete marker"
    ]
    assert not hidden


def test_metadata_tags_and_content_type_survive_a_rewrite(world: World) -> None:
    gone, stays = somebody(), somebody()
    api = world.api("eu-west", "acme")
    s3 = world.emulator.client("s3", "eu-west-1")
    vault = world.stacks["eu-west"].vaults["acme"]
    key = "feedback/described.jsonl"
    rows = b"".join(json.dumps({"author": {"email": each}}).encode() + b"\n" for each in (gone, stays))
    s3.put_object(
        Bucket=vault.bucket,
        Key=key,
        Body=rows,
        ContentType="application/jsonl",
        CacheControl="no-store",
        Metadata={"exporter": "v7"},
        Tagging="kind=export",
    )
    wait_for(lambda: world.view("eu-west", "acme").entries_of(key, world.newest(key)) == 2, "the index")

    completed(api, api.request_erasure([gone]))

    now = s3.get_object(Bucket=vault.bucket, Key=key)
    assert now["Body"].read().count(b"\n") == 1
    assert now["ContentType"] == "application/jsonl"
    assert now["CacheControl"] == "no-store"
    assert now["Metadata"] == {"exporter": "v7"}
    assert now["SSEKMSKeyId"] == vault.key_arn
    assert s3.get_object_tagging(Bucket=vault.bucket, Key=key)["TagSet"] == [
        {"Key": "kind", "Value": "export"}
    ]


def test_a_large_file_is_rewritten_in_parts(world: World) -> None:
    gone, stays = somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    key = "feedback/large.jsonl"
    filler = "x" * 50_000
    rows = [
        json.dumps({"author": {"email": stays}, "text": f"{n} {filler}"}).encode() + b"\n" for n in range(360)
    ]
    dropped = json.dumps({"author": {"email": gone}}).encode() + b"\n"
    world.send_file(key, b"".join([*rows[:200], dropped, *rows[200:]]), 2)
    assert sum(map(len, rows)) > 17 * 1024 * 1024

    completed(api, api.request_erasure([gone]))

    assert view.body(key) == b"".join(rows)
    assert [each for each, _ in view.versions() if each == key] == [key]
    # Not to be read again by every later search.
    s3, bucket = world.emulator.client("s3", "eu-west-1"), world.stacks["eu-west"].vaults["acme"].bucket
    s3.delete_object(Bucket=bucket, Key=key, VersionId=world.newest(key))


def test_a_line_that_cannot_be_read_stays_and_is_reported(world: World) -> None:
    gone, stays = somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    key = "feedback/broken.jsonl"
    broken = b'{"author": {"email": "half a li\n'
    kept = json.dumps({"author": {"email": stays}}).encode() + b"\n"
    dropped = json.dumps({"author": {"email": gone}}).encode() + b"\n"
    world.send_file(key, kept + broken + dropped + kept, 2)

    ended = api.wait(api.request_erasure([gone]).id)

    assert ended.state == "partial"
    assert ended.detail is not None
    assert ended.detail["unparsed_count"] == 1
    assert ended.detail["unparsed"][0]["line"] == 2
    assert ended.detail["unparsed"][0]["dataset"] == "feedback"
    assert view.body(key) == kept + broken + kept
    (listed,) = api.unattributed_files()
    assert (listed["key"], listed["reason"], listed["lines"]) == (key, "unreadable-rows", 1)
    # Whoever else asks may be in that line.
    other = api.wait(api.request_erasure([somebody()]).id)
    assert other.detail == {"unattributed": [{"dataset": "feedback", "files": 1}], "unattributed_count": 1}
    world.send_file(key, kept, 1)
    wait_for(lambda: not list(api.unattributed_files()), "the end of the note")
    completed(api, api.request_erasure([somebody()]))


def test_a_record_sent_again_under_another_subject_moves_there(world: World) -> None:
    first, second = somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    api.put_record("profiles", "moved-1", first, {"name": "A", "email": first})
    api.put_record("profiles", "moved-1", second, {"name": "B", "email": second})

    completed(api, api.request_erasure([first]))
    assert view.records()["profiles/moved-1"]["name"] == "B"

    completed(api, api.request_erasure([second]))
    assert "profiles/moved-1" not in view.records()


def test_what_is_sent_after_an_erasure_is_the_customers_new_data(world: World) -> None:
    person = somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    completed(api, api.request_erasure([person]))

    api.put_record("profiles", "back-1", person, {"name": "Back", "email": person})
    content = world.send_rows([person], "feedback/back.jsonl")

    assert view.records()["profiles/back-1"]["name"] == "Back"
    assert view.body("feedback/back.jsonl") == content


def test_someone_unknown_is_erased_too(world: World) -> None:
    api = world.api("eu-west", "acme")
    ended = completed(api, api.request_erasure([somebody()]))
    assert ended.detail is None


def test_a_customer_that_knows_people_by_number_is_served_alike(world: World) -> None:
    api, view = world.api("us-east", "umbra"), world.view("us-east", "umbra")
    mine = world.data["us-east"].customers["umbra"]
    gone = world.data["us-east"].only_at("umbra")[0]

    completed(api, api.request_erasure([gone.member]))

    for file in mine.files:
        left = [line for line, person in zip(file.lines, file.people, strict=True) if person != gone]
        assert view.body(file.key) == b"".join(left)


def test_a_request_says_when_it_is_due_and_where_to_find_it(world: World) -> None:
    api = world.api("eu-west", "acme")
    response = api.call("POST", "/v1/erasure-requests", json={"subjects": [somebody()]})
    assert response.status_code == httpx.codes.ACCEPTED
    body = response.json()
    received, due = (datetime.fromisoformat(body[name]) for name in ("received_at", "due_at"))
    assert abs((datetime.now(UTC) - received).total_seconds()) < 60
    assert 27 <= (due - received).days <= 34
    found = httpx.get(
        response.url.join(response.headers["location"]),
        headers={"Authorization": f"Bearer {api.token()}"},
        verify=api.trust,
    )
    assert found.status_code == httpx.codes.OK
    assert found.json()["id"] == body["id"]
    api.wait(body["id"])


@pytest.mark.parametrize("state", ["completed", "pending"])
def test_requests_are_listed_newest_first_and_filtered(world: World, state: str) -> None:
    api = world.api("eu-west", "acme")
    listed = api.requests(limit=2)
    assert [request.id for request in listed] == sorted((request.id for request in listed), reverse=True)
    assert [r for r in listed if r.state == state] == api.requests(state=state, limit=3)
