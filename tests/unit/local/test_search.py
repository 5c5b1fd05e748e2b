"""A search that finds nothing proves something only if it finds what is there."""

import base64
import gzip
import hashlib
import io
import json
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from local.emulator.emulator import Emulator
from local.emulator.search import search

REGION = "eu-west-1"
TEXT = "Zoë.Beispiel@post.example"


def parquet(columns: dict[str, list[object]], **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def found(emulator: Emulator, text: str) -> set[tuple[str, str]]:
    return {(finding.place, finding.form) for finding in search(emulator, REGION, [text]).findings}


def places(emulator: Emulator, text: str) -> set[str]:
    return {place for place, _ in found(emulator, text)}


@pytest.fixture(scope="module")
def bucket(emulator: Emulator) -> str:
    s3 = emulator.client("s3", REGION)
    s3.create_bucket(Bucket="haystack", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="haystack", VersioningConfiguration={"Status": "Enabled"})
    return "haystack"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("as it is", f"row {TEXT} row".encode()),
        ("other case", TEXT.upper().encode()),
        ("JSON escapes", json.dumps({"email": TEXT}).encode()),
        ("percent-encoded", quote(TEXT).encode()),
        ("base64", base64.b64encode(f"a{TEXT}".encode())),
        ("base64 for URLs", base64.urlsafe_b64encode(f"ab{TEXT}??".encode())),
        ("gzip", gzip.compress(TEXT.encode(), mtime=0)),
        ("zstd", zstandard.compress(TEXT.encode())),
        ("zstd of two frames", zstandard.compress(b"a") + zstandard.compress(TEXT.encode())),
        ("parquet", parquet({"author": [{"email": TEXT, "name": "x"}]}, compression="zstd")),
        ("parquet with a dictionary", parquet({"email": [TEXT, TEXT, "b"]}, compression="snappy")),
        ("an unkeyed digest", hashlib.sha256(TEXT.casefold().encode()).hexdigest().encode()),
    ],
)
def test_finds_a_text_in_an_object_however_it_is_written(
    emulator: Emulator, bucket: str, name: str, body: bytes
) -> None:
    version = emulator.client("s3", REGION).put_object(Bucket=bucket, Key=name, Body=body)["VersionId"]
    assert f"s3://{bucket}/{name}?versionId={version}" in places(emulator, TEXT)


def test_finds_an_older_version_and_the_key_of_a_delete_marker(emulator: Emulator, bucket: str) -> None:
    s3 = emulator.client("s3", REGION)
    old = s3.put_object(Bucket=bucket, Key="by-name/Old.Name", Body=b"old secret")["VersionId"]
    s3.put_object(Bucket=bucket, Key="by-name/Old.Name", Body=b"new")
    s3.delete_object(Bucket=bucket, Key="by-name/Old.Name")

    assert places(emulator, "old secret") == {f"s3://{bucket}/by-name/Old.Name?versionId={old}"}
    assert f"s3://{bucket}/by-name/Old.Name (delete marker)" in places(emulator, "old.name")


def test_finds_metadata_and_tags_of_objects(emulator: Emulator, bucket: str) -> None:
    emulator.client("s3", REGION).put_object(
        Bucket=bucket,
        Key="described",
        Body=b"-",
        Metadata={"subject": "meta-needle"},
        Tagging="who=tag-needle",
    )
    assert len(places(emulator, "meta-needle")) == 1
    assert len(places(emulator, "tag-needle")) == 1


def test_finds_items_however_deep(emulator: Emulator) -> None:
    dynamodb = emulator.client("dynamodb", REGION)
    dynamodb.create_table(
        TableName="hay",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    dynamodb.put_item(
        TableName="hay", Item={"pk": {"S": "a"}, "deep": {"M": {"l": {"L": [{"S": "needle-one"}]}}}}
    )
    dynamodb.put_item(TableName="hay", Item={"pk": {"S": "b"}, "raw": {"B": b"\xff\0needle-two"}})

    assert places(emulator, "needle-one") == {"table hay, item a"}
    assert places(emulator, "needle-two") == {"table hay, item b"}


def test_finds_log_events(emulator: Emulator) -> None:
    logs = emulator.client("logs", REGION)
    logs.create_log_group(logGroupName="/hay")
    logs.create_log_stream(logGroupName="/hay", logStreamName="s")
    now = 1_900_000_000_000
    logs.put_log_events(
        logGroupName="/hay", logStreamName="s", logEvents=[{"timestamp": now, "message": "said log-needle"}]
    )
    assert any(place.startswith("log group /hay, event at") for place in places(emulator, "log-needle"))


def test_finds_queued_messages_and_leaves_them_there(emulator: Emulator) -> None:
    sqs = emulator.client("sqs", REGION)
    url = sqs.create_queue(QueueName="hay")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="queue-needle")

    assert len(places(emulator, "queue-needle")) == 1
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "queue-needle"


def test_finds_inputs_and_history_of_executions(emulator: Emulator) -> None:
    role = emulator.client("iam", REGION).create_role(RoleName="hay", AssumeRolePolicyDocument="{}")["Role"][
        "Arn"
    ]
    states = emulator.client("stepfunctions", REGION)
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "history-needle", "End": True}}}
    machine = states.create_state_machine(name="hay", definition=json.dumps(definition), roleArn=role)
    states.start_execution(
        stateMachineArn=machine["stateMachineArn"], name="one", input='{"who": "input-needle"}'
    )

    assert any(place.startswith("execution ") for place in places(emulator, "input-needle"))
    assert any(place.startswith("state machine ") for place in places(emulator, "history-needle"))


def test_keeps_regions_apart(emulator: Emulator) -> None:
    emulator.client("s3", "us-east-1").create_bucket(Bucket="elsewhere")
    emulator.client("s3", "us-east-1").put_object(Bucket="elsewhere", Key="k", Body=b"far-needle")

    assert not places(emulator, "far-needle")
    assert search(emulator, "us-east-1", ["far-needle"]).findings


def test_finds_nothing_that_is_not_there_and_says_how_much_it_read(emulator: Emulator, bucket: str) -> None:
    emulator.client("s3", REGION).put_object(Bucket=bucket, Key="long", Body=b"x" * 100_000)
    searched = search(emulator, REGION, ["nobody-has-written-this"])
    assert not searched.findings
    assert searched.places > 10
    assert searched.size > 100_000


def test_a_text_too_short_to_mean_anything_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="at least 4"):
        search(emulator, REGION, ["ab "])
