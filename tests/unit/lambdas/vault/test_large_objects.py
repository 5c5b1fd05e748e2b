import hashlib
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from moto.s3 import models as moto_s3

from privacy.formats import blocks as row_blocks
from privacy.formats.jsonl import JsonLines
from privacy.identifiers import uuid7
from privacy.vault import rewrite
from privacy.visits import batch as visit_batch

if TYPE_CHECKING:
    from ..support.world import World

ANNA = "anna@example.org"
ANNAS_ROW = b'{"author": {"email": "anna@example.org"}}\n'
PART = 256 * 1024


@pytest.fixture
def _parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are smaller than S3 takes them: rows of more than one are many megabytes otherwise."""
    monkeypatch.setattr(rewrite, "PART_BYTES", PART)
    monkeypatch.setattr(moto_s3, "S3_UPLOAD_PART_MIN_SIZE", PART)


def large_rows() -> bytes:
    rows = (b'{"author": {"email": "p%d@example.org"}, "text": "%s"}\n' % (n, b"x" * 900) for n in range(700))
    return b"".join(rows)


@pytest.mark.usefixtures("_parts")
def test_a_large_object_is_written_in_parts_with_everything_kept(world: "World") -> None:
    others = large_rows()
    key = "feedback/large.jsonl"
    middle = others.index(b"\n", len(others) // 2) + 1
    content = ANNAS_ROW + others[:middle] + ANNAS_ROW + others[middle:]
    world.put(key, ANNAS_ROW)
    world.put(key, content, Metadata={"source": "export"}, Tagging="a=1", indexed=False)
    request = world.erase(ANNA)
    world.run()

    (left,) = world.contents(key)
    assert hashlib.sha256(left).hexdigest() == hashlib.sha256(others).hexdigest()
    found = world.s3.get_object(Bucket=world.customer.bucket, Key=key)
    assert found["Metadata"] == {"source": "export"}
    assert found["ETag"].endswith('-3"')
    assert world.s3.get_object_tagging(Bucket=world.customer.bucket, Key=key)["TagSet"] == [
        {"Key": "a", "Value": "1"}
    ]
    assert world.request(request).state == "completed"


@pytest.mark.usefixtures("_parts")
def test_parts_of_a_rewrite_that_failed_are_removed(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    key = "feedback/large.jsonl"
    world.put(key, ANNAS_ROW + large_rows()[: 2 * PART])
    world.erase(ANNA)
    planned = world.plan(uuid7())

    def refuse(*_: object) -> str:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "CompleteMultipartUpload")

    monkeypatch.setattr(rewrite.Rewrite, "commit", refuse)
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    assert "Uploads" not in world.s3.list_multipart_uploads(Bucket=world.customer.bucket)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_do_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    content = b"\n\r\nfirst\r\n\nsecond\n \nlast without end"
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    blocks = list(JsonLines("id").blocks(chunks))
    assert b"".join(block.content for block in blocks) == content
    rows = [row for block in blocks for row in block.rows]
    assert rows == [b"", b"\r", b"first\r", b"", b"second", b" ", b"last without end"]
    lines = [block.line_of(n) for block in blocks for n in range(len(block.rows))]
    assert lines == [1, 2, 3, 4, 5, 6, 7]
    assert [block.ended for block in blocks][-1] is False


def test_a_line_without_end_is_refused_instead_of_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "MAX_LINE_BYTES", 100)
    with pytest.raises(row_blocks.LineTooLongError):
        list(JsonLines("id").blocks([b"x" * 60, b"x" * 60]))
