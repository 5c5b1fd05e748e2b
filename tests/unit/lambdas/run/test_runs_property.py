"""Random rows and requests: nobody who was erased is in any version, and nothing else changed."""

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples

if TYPE_CHECKING:
    from ..support.world import World

PEOPLE = ["0", "7", "ann", "Ann ", "zoë", "名前", "true", "1.5"]
KEYS = ["reviews/a", "reviews/a.jsonl", "reviews/b c+d%.jsonl"]

identifiers = st.one_of(st.sampled_from(PEOPLE), st.integers(0, 9), st.booleans(), st.just(1.5), st.none())
endings = st.sampled_from([b"\n", b"\r\n", b" \n"])
paddings = st.sampled_from(["", " ", "\t"])


@st.composite
def lines(draw: st.DrawFn) -> tuple[str | None, bytes]:
    """(the normalised identifier of the row, its bytes with the line ending)"""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return None, draw(st.sampled_from([b"", b"  ", b"{not json", b"[1]", b"\xff"])) + draw(endings)
    identifier = draw(identifiers)
    padding = draw(paddings)
    text = json.dumps({"id": identifier, "text": draw(st.text(max_size=5))}, ensure_ascii=draw(st.booleans()))
    printed = identifier if isinstance(identifier, str) else json.dumps(identifier)
    name = None if identifier is None else printed.casefold().strip()
    return name, f"{padding}{text}{padding}".encode() + draw(endings)


contents = st.lists(lines(), max_size=8)
uploads = st.lists(st.tuples(st.sampled_from(KEYS), contents, st.booleans()), min_size=1, max_size=5)
erasures = st.lists(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3), min_size=1, max_size=3)


@examples(10)
@given(uploads=uploads, erasures=erasures)
def test_erased_rows_are_nowhere_and_all_others_stay(
    world: "World",
    uploads: list[tuple[str, list[tuple[str | None, bytes]], bool]],
    erasures: list[list[str]],
) -> None:
    for key, version, _ in world.versions():
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)
    for item in world.items():
        if item["pk"]["S"] != "vault" or item["sk"]["S"] != "subject-secret":
            world.dynamodb.delete_item(
                TableName=world.customer.table, Key={"pk": item["pk"], "sk": item["sk"]}
            )
    world.events.clear()
    current: dict[str, list[tuple[str | None, bytes]]] = {}
    late = []
    for key, rows, indexed in uploads:
        world.put(key, b"".join(line for _, line in rows), indexed=False)
        current[key] = rows
        if indexed:
            assert world.deliver(world.events.pop()) == []
        else:
            late.append(world.events.pop())
    requests = [world.erase(*subjects) for subjects in erasures]
    world.run()
    # What had not been indexed arrives late; its follow-ups take another run, whose events tell nothing new.
    if late:
        assert world.deliver(*late) == []
    assert world.deliver() == []
    world.run()
    assert world.deliver() == []

    erased = {subject.casefold().strip() for subjects in erasures for subject in subjects}
    for key, rows in current.items():
        expected = b"".join(line for name, line in rows if name not in erased)
        assert world.read(key) == expected
        touched = any(
            name in erased for upload, content, _ in uploads if upload == key for name, _ in content
        )
        if touched:
            assert world.contents(key) == [expected]
        else:
            assert len(world.contents(key)) == sum(upload == key for upload, _, _ in uploads)
    for subject in erased:
        assert world.partition(subject) == ["erased"]
    assert {world.request(request).state for request in requests} <= {"completed", "partial"}
    assert world.requests.pending("acme", 10) == []
