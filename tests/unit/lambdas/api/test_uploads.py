"""What an upload gives away: nothing of who a file is about, and one PUT."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.api import uploads
from privacy.api.problems import ProblemError
from privacy.customers import sealed_references
from privacy.customers.customer import Customer
from privacy.customers.references import subject_reference
from privacy.customers.sealed_references import SealBrokenError
from privacy.timestamps import parse_timestamp
from privacy.vault.sessions import open_vault
from tests.properties import examples

from ..region import client
from ..support.api import Api

UPLOADS = "/v1/datasets/{dataset}/uploads"
OLIVIA = "olivia@example.org"
SUBJECT = "x-amz-meta-subject"


def upload(api: Api, key: str = "letters/7.txt", subject: str | None = OLIVIA) -> dict[str, Any]:
    body = {"key": key} | ({} if subject is None else {"subject": subject})
    response = api("POST", UPLOADS, body, dataset=key.partition("/")[0], scopes="privacy/ingest")
    assert response.status == 200
    return response.json


def test_an_upload_does_not_tell_who_is_behind_a_reference(api: Api) -> None:
    reference = subject_reference(api.cloud.secret(), OLIVIA, "email")
    answers = [upload(api), upload(api), upload(api, subject="pete@example.org")]
    sealed = [answer["headers"][SUBJECT] for answer in answers]
    assert len(set(sealed)) == 3, "nobody can tell which two are about one person"
    assert len({len(each) for each in sealed}) == 1
    for text in map(str, answers):
        assert reference not in text
        assert reference[:16] not in text
        # What has the form of a reference is the URL's signature.
        assert len(re.findall(r"\b[0-9a-f]{64}\b", text)) == text.count("X-Amz-Signature=") == 1


def test_the_vault_opens_what_was_sealed_for_it_and_nothing_else(api: Api) -> None:
    secret = api.cloud.secret()
    reference = subject_reference(secret, OLIVIA, "email")
    sealed = upload(api)["headers"][SUBJECT]
    assert sealed_references.is_sealed(sealed)
    assert sealed_references.opened(secret, sealed) == reference
    with pytest.raises(SealBrokenError):
        sealed_references.opened(api.cloud.secret("zenith"), sealed)
    for place in range(len(sealed) - 80, len(sealed)):
        forged = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(SealBrokenError):
            sealed_references.opened(secret, forged)


@examples(50)
@given(secret=st.binary(min_size=32, max_size=32), reference=st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_whatever_was_sealed_is_opened_again(secret: bytes, reference: str) -> None:
    one, other = (sealed_references.seal(secret, reference) for _ in range(2))
    assert one != other
    assert one.isascii()
    assert sealed_references.opened(secret, one) == sealed_references.opened(secret, other) == reference


@pytest.mark.parametrize("rest", ["", "é", "=" * 80, "A" * 79, "A" * 84])
def test_what_only_looks_sealed_does_not_open(rest: str) -> None:
    with pytest.raises(SealBrokenError):
        sealed_references.opened(b"0" * 32, f"sealed-reference-1.{rest}")


def test_the_url_of_a_new_file_takes_no_second_put(api: Api) -> None:
    answer = upload(api, "feedback/1.jsonl", None)
    assert answer["headers"] == {"If-None-Match": "*"}
    assert parse_qs(urlsplit(answer["url"]).query)["X-Amz-SignedHeaders"] == ["host;if-none-match"]


def test_the_url_of_a_file_that_is_there_replaces_that_content_and_no_later_one(api: Api) -> None:
    s3 = client("s3")
    s3.put_object(Bucket="vault-acme", Key="feedback/1.jsonl.more", Body=b"another")
    assert upload(api, "feedback/1.jsonl", None)["headers"] == {"If-None-Match": "*"}, "it is another key"
    etag = s3.put_object(Bucket="vault-acme", Key="feedback/1.jsonl", Body=b"{}")["ETag"]
    answer = upload(api, "feedback/1.jsonl", None)
    assert answer["headers"] == {"If-Match": etag}
    assert parse_qs(urlsplit(answer["url"]).query)["X-Amz-SignedHeaders"] == ["host;if-match"]


@pytest.mark.parametrize(("left", "seconds"), [(timedelta(hours=1), 900), (timedelta(seconds=42.7), 42)])
def test_a_url_ends_with_the_access_of_the_contract(api: Api, left: timedelta, seconds: int) -> None:
    customer = _ending(api)
    now = _ends(customer) - left
    signed = uploads.presign(open_vault(customer, "ingest"), "feedback/1.jsonl", None, now)
    assert parse_qs(urlsplit(signed.url).query)["X-Amz-Expires"] == [str(seconds)]
    assert signed.expires_at == now + timedelta(seconds=seconds)


def test_in_the_last_moment_nothing_is_signed_any_more(api: Api) -> None:
    customer = _ending(api)
    with pytest.raises(ProblemError) as refused:
        uploads.presign(open_vault(customer, "ingest"), "feedback/1.jsonl", None, _ends(customer))
    assert refused.value.kind.slug == "contract-ended"


def test_an_upload_url_lives_a_quarter_of_an_hour(api: Api) -> None:
    left = parse_timestamp(upload(api)["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


def _ending(api: Api) -> Customer:
    api.cloud.register("acme", contract_ends="2031-12-31")
    return api.cloud.customer()


def _ends(customer: Customer) -> datetime:
    day = customer.contract_ends
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
