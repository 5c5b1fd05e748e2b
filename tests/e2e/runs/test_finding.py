"""Files that no index knows are walked by their prefix."""

import json

from tests.e2e.support import World, completed, somebody


def rows(*subjects: str) -> bytes:
    return b"".join(json.dumps({"author": {"email": each}}).encode() + b"\n" for each in subjects)


def put(world: World, key: str, content: bytes) -> None:
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    world.emulator.client("s3", "eu-west-1").put_object(Bucket=bucket, Key=key, Body=content)


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
