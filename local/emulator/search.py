"""Look for texts in everything that the emulator holds in one region.

As the account's root, which no policy keeps out: every version of every object with key, metadata and
tags, every table item, log events, queued messages (read without taking them), executions with their whole
history, and what the resources themselves are configured with. Each text is looked for as it is, in other
Unicode forms and cases, percent-encoded, as JSON escapes, inside base64, and as the usual unkeyed digests.

Not looked through: the parts of unfinished uploads, services that no stack uses, backups (the emulator keeps
none), and what functions hold in memory or in their temporary folders. Contents are unpacked where they are
gzip or zstd, decoded where they are parquet (values and metadata, not what may lie beside them), and read as
UTF-8: in a csv file of another encoding, a text with letters beyond ASCII is not found. Neither is a text
that is stored in parts.
"""

import base64
import gzip
import hashlib
import io
import json
import ssl
import unicodedata
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from botocore.exceptions import ClientError

from local.emulator.emulator import ACCOUNT, Emulator

_MINIMUM: Final = 4
"""Shorter texts would be found by chance."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One text found: where, and in which form."""

    text: str
    place: str
    form: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search looked through, and what it found."""

    findings: tuple[Finding, ...]
    places: int
    size: int


class _Needle:
    """A text in every form that it could have been stored in."""

    def __init__(self, text: str) -> None:
        if len(text.strip()) < _MINIMUM:
            raise ValueError(f"a text of at least {_MINIMUM} characters is needed")
        self.text = text
        core = text.strip()
        shapes = {core, *(unicodedata.normalize(form, core) for form in ("NFC", "NFD", "NFKC"))}
        shapes |= {shape.casefold() for shape in shapes} | {shape.upper() for shape in shapes}
        anycase: dict[bytes, str] = {}
        exact: dict[bytes, str] = {}
        for shape in shapes:
            anycase[_lower(shape.encode())] = "as it is"
            anycase[_lower(quote(shape, safe="").encode())] = "percent-encoded"
            anycase[_lower(quote_plus(shape).encode())] = "percent-encoded"
            anycase[_lower(json.dumps(shape)[1:-1].encode())] = "JSON escapes"
        for shape in {core, unicodedata.normalize("NFKC", core).casefold()}:
            raw = shape.encode()
            for name in ("sha256", "sha1", "md5"):
                anycase[hashlib.new(name, raw, usedforsecurity=False).hexdigest().encode()] = f"{name} digest"
            for offset in range(3):
                exact[_base64_core(raw, offset)] = "base64"
                exact[_base64_core(raw, offset).translate(bytes.maketrans(b"+/", b"-_"))] = "base64"
        self._anycase, self._exact = anycase, exact

    def form_in(self, exact: bytes, lowered: bytes) -> str | None:
        for form, name in self._anycase.items():
            if form in lowered:
                return name
        for form, name in self._exact.items():
            if form in exact:
                return name
        return None


def search(emulator: Emulator, region: str, texts: Iterable[str]) -> Searched:
    """Look for the texts in everything of the region and in what belongs to no region.

    Raises ValueError for a text too short to look for.
    """
    needles = [_Needle(text) for text in dict.fromkeys(texts)]
    findings: list[Finding] = []
    places = size = 0
    for place, content in everything(emulator, region):
        places += 1
        size += len(content)
        lowered = _lower(content)
        for needle in needles:
            form = needle.form_in(content, lowered)
            if form is not None:
                findings.append(Finding(needle.text, place, form))
    return Searched(tuple(findings), places, size)


def everything(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    """All that the emulator holds of a region, piece by piece: a readable place and its bytes."""
    for source in (_objects, _items, _log_events, _messages, _executions, _configuration):
        yield from source(emulator, region)
    yield "the emulator's own log", emulator.log.read_bytes()


def _lower(content: bytes) -> bytes:
    return content.lower()  # ASCII only: other cases are shapes of their own


def _base64_core(raw: bytes, offset: int) -> bytes:
    """The characters that the text has in base64 whatever stands around it, `offset` bytes into a group."""
    encoded = base64.b64encode(b"\0" * offset + raw)
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    return encoded[first:last]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _objects(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    s3 = emulator.client("s3", region)
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        if (s3.get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1") != region:
            continue
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for version in page.get("Versions", []):
                place = f"s3://{name}/{version['Key']}?versionId={version['VersionId']}"
                which = {"Bucket": name, "Key": version["Key"], "VersionId": version["VersionId"]}
                answer = s3.get_object(**which)
                body = answer["Body"].read()
                described = {
                    key: value for key, value in answer.items() if key not in {"Body", "ResponseMetadata"}
                }
                described["Tags"] = _tags(s3, which)
                yield place, b"\n".join((_json([version["Key"], described]), body, _unpacked(body)))
            for marker in page.get("DeleteMarkers", []):
                yield f"s3://{name}/{marker['Key']} (delete marker)", _json(marker["Key"])
        for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
            yield f"s3://{name}/{upload['Key']} (unfinished upload)", _json(upload["Key"])


def _tags(s3: Any, which: dict[str, str]) -> list[dict[str, str]]:
    try:
        return list(s3.get_object_tagging(**which)["TagSet"])
    except ClientError as error:
        # The emulator shows no tags of a version whose key ends in a delete marker.
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return []


def _unpacked(body: bytes) -> bytes:
    try:
        if body.startswith(b"\x1f\x8b"):
            return gzip.decompress(body)
        if body.startswith(b"\x28\xb5\x2f\xfd"):
            with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
                return reader.read()
        if body.startswith(b"PAR1"):
            table = pq.read_table(io.BytesIO(body))
            return _json([table.schema.to_string(), _json(table.schema.metadata), table.to_pylist()])
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, pa.ArrowException):
        pass  # only looks like it: its bytes are searched as they are
    return b""


def _items(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    dynamodb = emulator.client("dynamodb", region)
    for page in dynamodb.get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            for number, item in enumerate(_scan(dynamodb, table)):
                yield f"table {table}, item {_key(item) or number}", _json(item) + b"".join(_binaries(item))


def _scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _key(item: dict[str, Any]) -> str:
    return " / ".join(item[name]["S"] for name in ("pk", "sk") if "S" in item.get(name, {}))


def _binaries(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _binaries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _binaries(inner)


def _log_events(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    logs = emulator.client("logs", region)
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            yield f"log group {name}", _json(group)
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in events["events"]:
                    yield f"log group {name}, event at {event['timestamp']}", _json(event)


def _messages(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    # The emulator's own window on its queues: receiving would hide the messages from the functions.
    trust = ssl.create_default_context(cafile=str(emulator.authority))
    window = f"{emulator.url}/_ministack/sqs/messages?account={ACCOUNT}&region={region}"
    with urllib.request.urlopen(window, context=trust, timeout=30) as answer:
        queues = json.load(answer)["messages"].get(ACCOUNT, {}).get(region, {})
    for queue, messages in queues.items():
        for message in messages:
            yield f"queue {queue}, message {message['MessageId']}", _json(message)


def _executions(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    states = emulator.client("stepfunctions", region)
    for page in states.get_paginator("list_state_machines").paginate():
        for machine in page["stateMachines"]:
            arn = machine["stateMachineArn"]
            yield f"state machine {arn}", _json(states.describe_state_machine(stateMachineArn=arn))
            for executions in states.get_paginator("list_executions").paginate(stateMachineArn=arn):
                for execution in executions["executions"]:
                    yield from _execution(states, execution["executionArn"])


def _execution(states: Any, arn: str) -> Iterator[tuple[str, bytes]]:
    yield f"execution {arn}", _json(states.describe_execution(executionArn=arn))
    for page in states.get_paginator("get_execution_history").paginate(
        executionArn=arn, includeExecutionData=True
    ):
        for event in page["events"]:
            yield f"execution {arn}, event {event['id']}", _json(event)
    for run in states.list_map_runs(executionArn=arn)["mapRuns"]:
        yield f"map run {run['mapRunArn']}", _json(states.describe_map_run(mapRunArn=run["mapRunArn"]))
        for page in states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]):
            for child in page["executions"]:
                yield from _execution(states, child["executionArn"])


def _configuration(emulator: Emulator, region: str) -> Iterator[tuple[str, bytes]]:
    listings: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "functions": ("lambda", lambda aws: aws.list_functions()),
        "event sources": ("lambda", lambda aws: aws.list_event_source_mappings()),
        "queues": ("sqs", _queue_attributes),
        "schedules": ("scheduler", lambda aws: aws.list_schedules()),
        "REST APIs": ("apigateway", _rest_apis),
        "user pools": ("cognito-idp", _user_pools),
        "keys": ("kms", _keys),
        "roles and policies": ("iam", lambda aws: aws.get_account_authorization_details()),
        "alarms": ("cloudwatch", lambda aws: aws.describe_alarms()),
        "metrics": ("cloudwatch", lambda aws: aws.list_metrics()),
    }
    for place, (service, listed) in listings.items():
        yield place, _json(listed(emulator.client(service, region)))


def _queue_attributes(sqs: Any) -> list[Any]:
    urls = sqs.list_queues().get("QueueUrls", [])
    return [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls]


def _rest_apis(gateway: Any) -> list[Any]:
    apis = gateway.get_rest_apis()["items"]
    return [[api, gateway.get_resources(restApiId=api["id"], limit=500)["items"]] for api in apis]


def _user_pools(cognito: Any) -> list[Any]:
    pools = cognito.list_user_pools(MaxResults=60)["UserPools"]
    return [
        [
            pool,
            cognito.list_users(UserPoolId=pool["Id"])["Users"],
            cognito.list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=60)["UserPoolClients"],
        ]
        for pool in pools
    ]


def _keys(kms: Any) -> list[Any]:
    described = []
    for key in kms.list_keys()["Keys"]:
        entry = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]]
        try:
            entry.append(kms.list_resource_tags(KeyId=key["KeyId"])["Tags"])
        except ClientError as error:  # a key that AWS itself manages has none
            entry.append(error.response["Error"]["Code"])
        described.append(entry)
    return described
