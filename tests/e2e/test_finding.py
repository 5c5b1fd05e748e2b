"""Files that no index knows: walked by their prefix, or brought back from an archive first."""

import json

from tests.e2e.support import World, completed, somebody, wait_for


def rows(*subjects: str) -> bytes:
    return b"".join(json.dumps({"author": {"email": each}}).encode() + b"\n" for each in subjects)


def put(world: World, key: str, content: bytes, storage_class: str = "STANDARD") -> None:
    world.emulator.client("s3", "eu-west-1").put_object(
        Bucket=world.stacks["eu-west"].vaults["acme"].bucket,
        Key=key,
        Body=content,
        StorageClass=storage_class,
    )


def test_a_dataset_without_an_index_is_walked(world: World) -> None:
    gone, stays = somebody(), somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    put(world, "dumps/current é+1.jsonl", rows(gone, stays))
    put(world, "dumps/older.jsonl", rows(gone, stays))
    put(world, "dumps/older.jsonl", rows(stays))
    for _ in range(2):
        put(world, "dumps/others.jsonl", rows(stays))

    completed(api, api.request_erasure([gone]))

    assert view.body("dumps/current é+1.jsonl") == rows(stays)
    assert view.body("dumps/older.jsonl") == rows(stays)
    left = [key for key, _ in view.versions() if key.startswith("dumps/")]
    assert sorted(left) == ["dumps/current é+1.jsonl", "dumps/older.jsonl", *["dumps/others.jsonl"] * 2]


def test_an_archived_file_is_brought_back_and_loses_who_was_erased(world: World) -> None:
    """The request looks again hours later; the index does as soon as S3 says that the file is there."""
    gone, stays = somebody(), somebody()
    api = world.api("eu-west", "acme")
    put(world, "cellar/a.jsonl", rows(gone, stays), "GLACIER")
    table = world.emulator.client("dynamodb", "eu-west-1")
    note = {"pk": {"S": "archived"}, "sk": {"S": "object#cellar/a.jsonl"}}
    name = world.stacks["eu-west"].vaults["acme"].table

    def noted() -> bool:
        return "Item" in table.get_item(TableName=name, Key=note, ConsistentRead=True)

    wait_for(noted, "the note that nobody could read the file")
    erasure = api.request_erasure([gone])
    wait_for(lambda: "waiting" in (api.request(erasure.id).detail or {}), "the request to wait")

    wait_for(
        lambda: any(r.follows == erasure.id and r.state == "completed" for r in api.requests(limit=20)),
        "the late arrival's erasure",
        60,
    )
    assert not noted()
    s3 = world.emulator.client("s3", "eu-west-1")
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    (version,) = s3.list_object_versions(Bucket=bucket, Prefix="cellar/")["Versions"]
    assert (version["Size"], version["StorageClass"]) == (len(rows(stays)), "GLACIER")
    # Nobody of these tests waits for hours, and the others do not expect a file that cannot be read.
    s3.delete_object(Bucket=bucket, Key="cellar/a.jsonl", VersionId=version["VersionId"])
