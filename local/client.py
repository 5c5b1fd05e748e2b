"""A small typed client of the privacy API: OAuth2 client credentials, JSON in and out."""

import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

FINAL_STATES = frozenset({"completed", "partial", "failed", "rejected"})
"""A request in one of these stays as it is; only an operator's redrive makes a failed one pending again."""

_TOKEN_MARGIN_SECONDS = 60
_POLL_SECONDS = 0.1


class ProblemError(Exception):
    """The API answered with an error.

    Attributes:
        status: HTTP status.
        kind: the problem's type, such as `urn:gdpr:problem:insufficient-scope`, or "" where there is none.
        problem: the whole problem document, {} where the answer was none.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.problem: dict[str, Any] = {}
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            self.problem = response.json()
        self.kind = str(self.problem.get("type", ""))
        what = self.problem.get("detail") or self.problem.get("title") or response.text[:200]
        super().__init__(
            f"{response.request.method} {response.request.url.path}: {self.status} {self.kind} {what}"
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """One OAuth2 client of one customer."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class RequestView:
    """An erasure or correction request as the API shows it; times are ISO 8601 in UTC."""

    id: str
    type: str
    state: str
    received_at: str
    due_at: str
    subjects: int
    completed_at: str | None = None
    detail: Mapping[str, Any] | None = None
    run_id: str | None = None
    reason: str | None = None
    follows: str | None = None
    restored_from: str | None = None
    client_id: str | None = None
    person_id: str | None = None
    call_id: str | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """From the API's JSON; a member that the contract does not have raises TypeError."""
        return cls(**body)


@dataclass(frozen=True, slots=True)
class ExportView:
    """An export of everything as the API shows it; times are ISO 8601 in UTC."""

    id: str
    state: str
    requested_at: str
    ended_at: str | None = None
    expires_at: str | None = None
    reason: str | None = None
    detail: str | None = None
    counts: Mapping[str, int] | None = None
    parts: Sequence[Mapping[str, Any]] = ()
    urls_expire_at: str | None = None
    client_id: str | None = None
    person_id: str | None = None
    call_id: str | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """From the API's JSON; a member that the contract does not have raises TypeError."""
        return cls(**body)


class PrivacyClient:
    """Calls the API of one region as one client. Safe to share between threads."""

    def __init__(
        self,
        api_url: str,
        token_url: str,
        credentials: Credentials,
        *,
        trust: Path | None = None,
        timeout: float = 60,
    ) -> None:
        """`api_url` is the stack's output, without `/v1`; `trust` is a file with the authority to trust."""
        self.trust = ssl.create_default_context(cafile=str(trust) if trust else None)
        self._http = httpx.Client(verify=self.trust, timeout=timeout, limits=httpx.Limits(max_connections=64))
        self._api_url = api_url.rstrip("/")
        self._token_url = token_url
        self._credentials = credentials
        self._lock = threading.Lock()
        self._token = ""
        self._token_ends = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def token(self) -> str:
        """An access token with every scope that the client has; asked for again a minute before it ends.

        Raises ProblemError when the token endpoint refuses.
        """
        with self._lock:
            if time.monotonic() >= self._token_ends:
                response = self._http.post(
                    self._token_url,
                    data={"grant_type": "client_credentials"},
                    auth=(self._credentials.client_id, self._credentials.client_secret),
                )
                if response.status_code != httpx.codes.OK:
                    raise ProblemError(response)
                answer = response.json()
                self._token = str(answer["access_token"])
                self._token_ends = time.monotonic() + float(answer["expires_in"]) - _TOKEN_MARGIN_SECONDS
            return self._token

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        """Any call with the client's token; errors are answers, too. `path` begins with `/v1`."""
        return self._http.request(
            method,
            f"{self._api_url}{path}",
            json=json,
            content=content,
            params=params,
            headers={"Authorization": f"Bearer {self.token()}", **(headers or {})},
        )

    def put_record(self, dataset: str, record_id: str, subject: str, fields: Mapping[str, Any]) -> None:
        """Store a record, or replace it."""
        body = {"subject": subject, "fields": fields}
        _checked(self.call("PUT", f"/v1/datasets/{dataset}/records/{record_id}", json=body))

    def upload(self, dataset: str, key: str, content: bytes, *, subject: str | None = None) -> None:
        """Put one file of a dataset, through a presigned URL."""
        wish = {"key": key} if subject is None else {"key": key, "subject": subject}
        place = _checked(self.call("POST", f"/v1/datasets/{dataset}/uploads", json=wish)).json()
        _checked(self._http.request(place["method"], place["url"], headers=place["headers"], content=content))

    def request_erasure(
        self, subjects: Sequence[str], *, reason: str | None = None, idempotency_key: str | None = None
    ) -> RequestView:
        """Ask for people to be erased."""
        body: dict[str, Any] = {"subjects": list(subjects)}
        if reason is not None:
            body["reason"] = reason
        return self._request("/v1/erasure-requests", body, idempotency_key)

    def request_correction(
        self, subject: str, changes: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> RequestView:
        """Ask for a person's fields to be corrected."""
        body = {"subject": subject, "changes": list(changes)}
        return self._request("/v1/correction-requests", body, idempotency_key)

    def request(self, request_id: str) -> RequestView:
        """Return one request."""
        return RequestView.of(_checked(self.call("GET", f"/v1/requests/{request_id}")).json())

    def requests(self, **filters: str | int) -> list[RequestView]:
        """All requests, newest first, over as many pages as it takes."""
        found: list[RequestView] = []
        while True:
            page = _checked(self.call("GET", "/v1/requests", params=filters)).json()
            found += [RequestView.of(each) for each in page["requests"]]
            if "next_cursor" not in page:
                return found
            filters["cursor"] = page["next_cursor"]

    def contract(self) -> dict[str, Any]:
        """The terms of the customer's contract, as the API shows them."""
        terms: dict[str, Any] = _checked(self.call("GET", "/v1/contract")).json()
        return terms

    def request_export(self, *, idempotency_key: str | None = None) -> ExportView:
        """Ask for an export of everything."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return ExportView.of(_checked(self.call("POST", "/v1/contract/export", headers=headers)).json())

    def export(self, export_id: str) -> ExportView:
        """Return one export, with the URLs of its parts where it can be fetched."""
        return ExportView.of(_checked(self.call("GET", f"/v1/contract/export/{export_id}")).json())

    def wait_for_export(self, export_id: str, *, seconds: float = 120) -> ExportView:
        """Return the export once it has ended. Raises TimeoutError when that takes longer."""
        deadline = time.monotonic() + seconds
        while True:
            export = self.export(export_id)
            if export.state != "running":
                return export
            if time.monotonic() > deadline:
                raise TimeoutError(f"export {export_id} is still running after {seconds} s")
            time.sleep(_POLL_SECONDS)

    def export_files(self, export_id: str, *, limit: int = 100) -> Iterator[Mapping[str, Any]]:
        """Yield the files that a completed export lists, each with a URL of its page's."""
        query: dict[str, str | int] = {"limit": limit}
        while True:
            page = _checked(self.call("GET", f"/v1/contract/export/{export_id}/files", params=query)).json()
            yield from page["files"]
            if "next_cursor" not in page:
                return
            query["cursor"] = page["next_cursor"]

    def fetch(self, url: str) -> bytes:
        """Download from a presigned URL. Raises ProblemError where S3 refuses."""
        return _checked(self._http.get(url)).content

    def unattributed_files(self, *, limit: int = 100) -> Iterator[Mapping[str, Any]]:
        """Yield the files that nobody can attribute, or not all of, each with how it is mended."""
        query: dict[str, str | int] = {"limit": limit}
        while True:
            page = _checked(self.call("GET", "/v1/unattributed-files", params=query)).json()
            yield from page["files"]
            if "next_cursor" not in page:
                return
            query["cursor"] = page["next_cursor"]

    def wait(self, request_id: str, *, seconds: float = 120) -> RequestView:
        """Return the request once it has ended.

        Raises TimeoutError, with the state it is in, when that takes longer.
        """
        deadline = time.monotonic() + seconds
        while True:
            request = self.request(request_id)
            if request.state in FINAL_STATES:
                return request
            if time.monotonic() > deadline:
                raise TimeoutError(f"request {request_id} is still {request.state} after {seconds} s")
            time.sleep(_POLL_SECONDS)

    def _request(self, path: str, body: Mapping[str, Any], idempotency_key: str | None) -> RequestView:
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return RequestView.of(_checked(self.call("POST", path, json=body, headers=headers)).json())


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise ProblemError(response)
