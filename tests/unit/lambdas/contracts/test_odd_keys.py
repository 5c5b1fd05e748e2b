"""Keys that XML cannot carry, and versions that S3 refuses to delete: nothing else stays because of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, quote_plus, urlsplit
from xml.etree import ElementTree

import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.backends import get_backend

from privacy.contracts import empty_bucket
from privacy.vault import deletions, objects, sessions

from ..region import ACCOUNT, client
from ..support.contract_region import ENDED, NOTHING, Region
from ..support.listing import Pages
from .hours import DAY, HOUR, Hours, in_place_of

ODD = ["feedback/a\x01", "feedback/\x10foo.jpg", "feedback/\x1f", "feedback/\x0b", "feedback/\ufffe", "\x08"]
EVEN = ["feedback/a\r", "a\nb", "\t", "feedback/ ", "a+b %41", "'\"<>&;", "ü/😀", "../..", "a//b/"]

_AWS = BaseClient._make_api_call


class StrictXml:
    """S3 as to XML: it refuses a call whose body is none, and lists any key, which moto does not."""

    def __init__(self) -> None:
        self.together: list[str] = []
        self._mutex = threading.Lock()

    def __call__(self, of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        with self._mutex:
            if operation == "ListObjectVersions":
                return self._listed(parameters)
            if operation == "DeleteObjects":
                keys = [each["Key"] for each in parameters["Delete"]["Objects"]]
                if not all(map(self._parses, keys)):
                    raise ClientError({"Error": {"Code": "MalformedXML"}}, operation)
                self.together += keys
            return _AWS(of, operation, parameters)

    @staticmethod
    def _parses(key: str) -> bool:
        element = ElementTree.Element("Key")
        element.text = key
        try:
            ElementTree.fromstring(ElementTree.tostring(element))
        except ElementTree.ParseError:
            return False
        return True

    @staticmethod
    def _listed(parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - as it is
        bucket = get_backend("s3")[ACCOUNT]["aws"].buckets[parameters["Bucket"]]
        found: dict[str, Any] = {"Versions": [], "DeleteMarkers": [], "IsTruncated": False}
        for key in sorted(bucket.keys):
            if not key.startswith(parameters.get("Prefix", "")):
                continue
            for each in bucket.keys.getlist(key):
                marker = type(each).__name__ == "FakeDeleteMarker"
                entry = {"Key": key, "VersionId": each.version_id, "Size": 0 if marker else each.size}
                found["DeleteMarkers" if marker else "Versions"].append(entry)
        return found


@contextmanager
def answering(answer: Callable[[Any, str, Any], Any]) -> Iterator[None]:
    def call(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        return answer(of, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        yield


def put(region: Region, *keys: str) -> None:
    for key in keys:
        region.aws("s3").put_object(Bucket=region.bucket("acme"), Key=key, Body=b"x")


def gone(region: Region) -> bool:
    bucket = get_backend("s3")[ACCOUNT]["aws"].buckets[region.bucket("acme")]
    return not any(bucket.keys.getlist(key) for key in bucket.keys)


@pytest.mark.parametrize("key", [*ODD, *EVEN], ids=ascii)
def test_a_key_of_any_characters_goes_and_keeps_nothing_else(region: Region, key: str) -> None:
    put(region, key, key)
    with answering(StrictXml()):
        execution = region.carry_out(region.start())
    assert execution.waiting_until is not None
    assert gone(region)


def test_only_odd_keys_are_deleted_one_by_one(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(empty_bucket, "ALONE_AT_ONCE", 3)
    put(region, *(f"feedback/odd\x01{number}" for number in range(10)))
    strict, single = StrictXml(), []

    def answer(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if operation == "DeleteObject":
            single.append(parameters["Key"])
        return strict(of, operation, parameters)

    with answering(answer):
        assert region.carry_out(region.start()).waiting_until is not None
    assert len(single) == 10
    assert len(strict.together) == 9
    (scheduled,) = region.evidence().values()
    assert scheduled["deleted_at_least"] == {"versions": 18, "markers": 1, "uploads": 2}


def test_a_key_that_nobody_knew_to_be_odd_costs_few_calls_more(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should S3 refuse others than XML's own rules do."""
    monkeypatch.setattr(deletions, "xml_carries", lambda _: True)
    put(region, *(f"feedback/{number:03}" for number in range(100)), ODD[0])
    strict, calls = StrictXml(), []

    def answer(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        calls.append(operation)
        return strict(of, operation, parameters)

    with answering(answer):
        assert region.carry_out(region.start()).waiting_until is not None
    assert gone(region)
    assert calls.count("DeleteObject") == 1
    assert calls.count("DeleteObjects") < 20


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_what_a_call_can_name_a_parser_reads_as_the_same(key: str) -> None:
    """As botocore writes it: line ends are escaped, everything else is as ElementTree has it."""
    element = ElementTree.Element("Key")
    element.text = key
    text = ElementTree.tostring(element).replace(b"\n", b"&#xA;")
    try:
        read = ElementTree.fromstring(text).text or ""
    except ElementTree.ParseError:
        assert not deletions.xml_carries(key)
    else:
        assert not deletions.xml_carries(key) or read == key


def test_an_erasure_deletes_older_versions_of_such_a_key(region: Region) -> None:
    put(region, ODD[0], ODD[0])
    vault = sessions.open_vault(region.registry.customer("acme"), "visit")  # type: ignore[arg-type]  # it is there
    bucket = get_backend("s3")[ACCOUNT]["aws"].buckets[region.bucket("acme")]
    ids = [each.version_id for each in bucket.keys.getlist(ODD[0])]
    with answering(StrictXml()):
        objects.purge(vault, ODD[0], ids)
    assert not bucket.keys.getlist(ODD[0])


@contextmanager
def s3_lists_uploads(region: Region, keys: list[str], page: int) -> Iterator[list[tuple[str, str]]]:
    """S3's answers as text: without URL encoding, an XML that no parser reads. Yields what was aborted."""
    left, aborted = list(enumerate(keys)), []

    def answer(request: Any, **_: Any) -> AWSResponse:  # noqa: ANN401 - botocore's
        assert "encoding-type=url" in request.url, "unreadable without"
        asked = parse_qs(urlsplit(request.url).query)
        after = asked.get("key-marker", [""])[0]
        found = [(number, key) for number, key in left if key > after]
        shown = "".join(
            f"<Upload><Key>{quote_plus(key)}</Key><UploadId>u{number}</UploadId></Upload>"
            for number, key in found[:page]
        )
        more = len(found) > page
        last = quote_plus(found[page - 1][1]) if more else ""
        text = (
            "<ListMultipartUploadsResult><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>"
            + (
                f"<NextKeyMarker>{last}</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
                if more
                else ""
            )
            + f"{shown}</ListMultipartUploadsResult>"
        ).encode()
        raw = SimpleNamespace(stream=lambda: iter([text]), read=lambda: text)
        return AWSResponse(request.url, 200, {}, raw)

    def abort(params: Any, **_: Any) -> tuple[Any, Any]:  # noqa: ANN401 - botocore's
        aborted.append((params["Key"], params["UploadId"]))
        left.remove((int(params["UploadId"][1:]), params["Key"]))
        return SimpleNamespace(status_code=204), {}

    events = region.aws("s3").meta.events
    events.register_first("before-send.s3.ListMultipartUploads", answer)
    aws = BaseClient._make_api_call

    def call(of: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        if operation == "AbortMultipartUpload":
            abort(parameters)
            return {}
        return aws(of, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        yield aborted
    events.unregister("before-send.s3.ListMultipartUploads", answer)


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_unfinished_uploads_of_odd_keys_are_aborted_page_by_page(region: Region, page: int) -> None:
    keys = sorted([*ODD, "a+b", "a b", "a%2Bb", "ü"])
    with s3_lists_uploads(region, keys, page) as aborted:
        assert region.carry_out(region.start()).waiting_until is not None
    assert sorted(key for key, _ in aborted) == keys


# what S3 refuses


def refusing(code: str, *kept: str) -> Any:  # noqa: ANN401 - a patch
    def answer(aws: Any, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        asked = parameters["Delete"]["Objects"]
        rest = [each for each in asked if each["Key"] not in kept]
        if rest:
            aws({**parameters, "Delete": {"Objects": rest, "Quiet": True}})
        return {"Errors": [{**each, "Code": code} for each in asked if each["Key"] in kept]}

    return in_place_of("DeleteObjects", answer)


@pytest.fixture
def hours(region: Region, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hours]:
    monkeypatch.setattr(empty_bucket, "pause", lambda *_, **__: None)
    made = Hours(region)
    with made.passing():
        yield made


@pytest.mark.parametrize("code", ["AccessDenied", "InternalError", "ObjectLocked"])
def test_what_s3_keeps_keeps_nothing_else_but_its_key(
    hours: Hours, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    region = hours.region
    with refusing(code, "of no dataset"):
        hours.start()
        hours.settle()
        assert hours.last.status == "FAILED"
        hours.pass_by(5 * DAY)
        left = region.contents("acme")
        assert [key for key, _, _ in left["versions"]] == ["of no dataset"]
        assert (left["items"], left["clients"], left["uploads"], left["markers"]) == (None, [], [], [])
        assert left["key"] == "Enabled", "whoever locked it wants it to be read"
        (refused,) = region.evidence().values()
        assert refused["stage"] == "refused"
        assert refused["exceptions"] == [{"what": "versions", "problem": code, "count": 1}]
        assert f"contract end exception: customer=acme versions-refused={code}: 1" in caplog.text
        assert "of no dataset" not in caplog.text
    # The retention is over: the watch looks at least once a day.
    hours.pass_by(DAY + HOUR)
    assert region.contents("acme") == NOTHING
    assert region.evidence()[max(region.evidence())]["exceptions"] == []


def test_more_is_refused_later_and_that_is_on_record_too(hours: Hours) -> None:
    with refusing("AccessDenied", "of no dataset"):
        hours.start()
        hours.settle()
    with refusing("AccessDenied", "of no dataset", "feedback/late"):
        put(hours.region, "feedback/late")
        hours.pass_by(2 * DAY)
    counts = sorted(each["exceptions"][0]["count"] for each in hours.region.evidence().values())
    assert counts == [1, 2]


def test_pages_of_which_nothing_can_go_are_no_end_of_it(
    hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one function takes upon itself: the prefixes cannot help, and it must not try for ever."""
    monkeypatch.setattr(empty_bucket, "PAGES_ALONE", 1)
    kept = [f"a{number}" for number in range(40)]
    put(hours.region, *kept)
    pages, refuse = Pages(4), refusing("AccessDenied", *kept)

    def answer(_aws: Any, parameters: Any) -> Any:  # noqa: ANN401 - as it is
        return pages(hours.region.aws("s3"), "ListObjectVersions", parameters)

    with in_place_of("ListObjectVersions", answer), refuse:
        hours.start()
        hours.settle()
    assert hours.last.error == "VersionsRefusedError"
    assert {key for key, _, _ in hours.region.contents("acme")["versions"]} == set(kept)


def test_a_hold_stops_what_is_refused_as_well(hours: Hours) -> None:
    with refusing("AccessDenied", "of no dataset"):
        hours.start()
        hours.settle()
        hours.region.register("acme", contract_ends=ENDED, hold="litigation, case 1")
        hours.pass_by(3 * DAY)
    assert hours.region.contents("acme")["key"] == "Enabled"
    assert [key for key, _, _ in hours.region.contents("acme")["versions"]] == ["of no dataset"]


def test_a_bucket_that_somebody_empties_and_deletes_refuses_nothing_any_more(hours: Hours) -> None:
    region = hours.region
    with refusing("AccessDenied", "of no dataset"):
        hours.start()
        hours.settle()
    assert hours.last.error == "VersionsRefusedError"
    s3, bucket = region.aws("s3"), region.bucket("acme")
    for each in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=bucket)
    hours.pass_by(4 * DAY)
    assert (
        client("kms").describe_key(KeyId=region.keys["acme"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    )
