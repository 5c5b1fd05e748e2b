import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.aws import clients as aws_clients
from privacy.identifiers import uuid7
from privacy.requests import idempotency
from privacy.requests import store as request_store
from privacy.requests.idempotency import Idempotency, IdempotencyKeyReusedError
from privacy.requests.request import RequestType
from privacy.requests.store import RequestBusyError, RequestStore
from tests.properties import examples

from ..region import make_table
from ..support.api import Cloud
from ..support.interleaving import Interleaving, interleavings

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
REF = "ab" * 32


@pytest.fixture
def store(aws: str) -> RequestStore:
    assert aws
    return RequestStore(make_table("requests"))


def create(
    store: RequestStore,
    customer: str = "acme",
    number: int = 0,
    *,
    kind: RequestType = "erasure",
    idempotency: Idempotency | None = None,
    reason: str | None = None,
) -> str:
    moment = NOW + timedelta(seconds=number)
    created = store.create(
        customer,
        type=kind,
        refs=[REF],
        request_id=uuid7(moment),
        received_at=moment,
        idempotency=idempotency,
        reason=reason,
    )
    return str(created.answer["id"])


def test_a_created_request_is_pending_with_its_subjects_and_date(store: RequestStore) -> None:
    created = store.create(
        "acme",
        type="erasure",
        refs=[REF, "cd" * 32],
        request_id="r-1",
        received_at=NOW,
        reason="objection",
        follows="r-0",
    )
    assert created.answer == {
        "id": "r-1",
        "type": "erasure",
        "state": "pending",
        "received_at": "2026-05-04T09:00:00Z",
        "due_at": "2026-06-04T23:59:59Z",
        "subjects": 2,
        "reason": "objection",
        "follows": "r-0",
    }
    request = store.get("acme", "r-1")
    assert request is not None
    assert request.public() == created.answer
    assert store.refs("acme", "r-1") == [REF, "cd" * 32]
    assert store.pending("acme", 10) == [request]


def test_another_customer_sees_nothing_of_it(store: RequestStore) -> None:
    request_id = create(store)
    assert store.get("zenith", request_id) is None
    assert store.refs("zenith", request_id) == []
    assert store.pending("zenith", 10) == []
    assert store.page("zenith", state=None, type=None, limit=10, cursor=None).requests == []


def test_creating_it_again_changes_nothing_and_says_so(store: RequestStore) -> None:
    request_id = create(store)
    store.finish("acme", request_id, state="completed", at=NOW)
    again = store.create("acme", type="erasure", refs=["ef" * 32], request_id=request_id, received_at=NOW)
    assert again.replayed
    assert again.answer["state"] == "completed"
    assert store.refs("acme", request_id) == [REF]
    assert store.pending("acme", 10) == []


def test_a_request_that_waits_is_taken_again_when_its_time_has_come(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, other = create(store), create(store, number=1)
    assert store.claim("acme", waits, "run-1")
    detail = {"waiting": [{"dataset": "feedback", "object": "9f86d081884c"}], "waiting_count": 1}
    until = datetime.now(UTC) + timedelta(hours=6)
    assert not store.postpone("acme", waits, "run-2", until=until, detail=detail), "not that run's"
    assert store.postpone("acme", waits, "run-1", until=until, detail=detail)
    assert not store.postpone("acme", waits, "run-1", until=until, detail=detail), "no longer that run's"
    request = store.get("acme", waits)
    assert request is not None
    assert (request.state, request.run_id, request.detail) == ("pending", None, detail)
    assert [request.id for request in store.pending("acme", 1)] == [other]

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return super().now(tz) + timedelta(hours=6, seconds=1)

    monkeypatch.setattr(request_store, "datetime", Later)
    assert [request.id for request in store.pending("acme", 10)] == [waits, other]
    assert store.claim("acme", waits, "run-3")
    assert store.finish("acme", waits, state="completed", at=NOW)
    ended = store.get("acme", waits)
    assert ended is not None
    assert (ended.state, ended.detail) == ("completed", None)
    assert [request.id for request in store.pending("acme", 10)] == [other]


def test_a_request_is_claimed_finished_once_and_then_left_alone(store: RequestStore) -> None:
    request_id = create(store)
    assert store.claim("acme", request_id, "run-1")
    assert store.claim("acme", request_id, "run-2"), "a dead run's requests are taken over"
    running = store.get("acme", request_id)
    assert running is not None
    assert (running.state, running.run_id) == ("running", "run-2")
    assert store.pending("acme", 10) == [running]

    detail = {"unparsed": [{"line": 3, "reason": "not JSON"}]}
    assert store.finish("acme", request_id, state="partial", at=NOW, detail=detail)
    assert not store.finish("acme", request_id, state="failed", at=NOW + timedelta(days=1))
    assert not store.claim("acme", request_id, "run-3")
    ended = store.get("acme", request_id)
    assert ended is not None
    assert (ended.state, ended.completed_at, ended.detail) == ("partial", "2026-05-04T09:00:00Z", detail)
    assert store.pending("acme", 10) == []


def test_a_request_that_does_not_exist_cannot_be_claimed_or_finished(store: RequestStore) -> None:
    assert not store.claim("acme", "r-9", "run-1")
    assert not store.finish("acme", "r-9", state="completed", at=NOW)
    assert store.get("acme", "r-9") is None


def test_pending_is_oldest_first_and_bounded(store: RequestStore) -> None:
    ids = [create(store, number=number) for number in range(130)]
    assert [request.id for request in store.pending("acme", 1000)] == ids
    assert [request.id for request in store.pending("acme", 3)] == ids[:3]


def test_an_expired_key_may_be_used_again(store: RequestStore, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Idempotency.of(client_id="c", operation="o", key="k", body_digest="one")
    monkeypatch.setattr(idempotency, "KEEP_SECONDS", -1)
    first = create(store, idempotency=key)
    monkeypatch.undo()
    other = Idempotency(key.key_digest, "two")
    second = create(store, number=1, idempotency=other)
    assert first != second
    assert store.replay("acme", other) is not None
    with pytest.raises(IdempotencyKeyReusedError):
        store.replay("acme", key)


def test_an_answer_is_kept_for_a_week(store: RequestStore) -> None:
    key = Idempotency.of(client_id="c", operation="o", key="k", body_digest="one")
    create(store, idempotency=key)
    (item,) = (i for i in aws_clients.dynamodb().scan(TableName=store.table)["Items"] if "expires_at" in i)
    assert 0 <= int(item["expires_at"]["N"]) - 7 * 86400 - int(time.time()) + 5 <= 10


def test_keys_of_others_are_other_keys() -> None:
    digests = {
        Idempotency.of(client_id=client, operation=operation, key="k", body_digest="").key_digest
        for client in ("a", "b")
        for operation in ("erase", "correct")
    }
    assert len(digests) == 4


def test_lasting_rivalry_is_reported_and_nothing_is_written(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = create(store)
    monkeypatch.setattr(request_store, "transact", lambda _client, _writes: ["TransactionConflict", "None"])
    monkeypatch.setattr(request_store, "pause", lambda _attempt: None)
    with pytest.raises(RequestBusyError):
        create(store, number=1)
    with pytest.raises(RequestBusyError):
        store.finish("acme", request_id, state="completed", at=NOW)
    assert [request.id for request in store.pending("acme", 10)] == [request_id]


@examples(12)
@given(
    order=interleavings(),
    bodies=st.lists(st.sampled_from(["one", "two"]), min_size=2, max_size=4),
)
def test_of_concurrent_calls_with_one_key_one_wins(
    store: RequestStore, fresh: Iterator[str], order: Interleaving, bodies: list[str]
) -> None:
    customer = next(fresh)

    def call(number: int) -> str | None:
        key = Idempotency.of(client_id="c", operation="o", key="k", body_digest=bodies[number])
        try:
            return create(store, customer, number, idempotency=key, reason=bodies[number])
        except IdempotencyKeyReusedError:
            return None

    answers = order.run([lambda number=number: call(number) for number in range(len(bodies))])
    (winner,) = store.pending(customer, 10)
    assert answers == [winner.id if body == winner.reason else None for body in bodies]
    assert store.page(customer, state=None, type=None, limit=10, cursor=None).requests == [winner]


@examples(12)
@given(
    requests_=st.lists(st.tuples(st.sampled_from(get_args(RequestType)), st.booleans()), max_size=8),
    limit=st.integers(1, 5),
    state=st.sampled_from([None, "pending", "completed"]),
    type_=st.sampled_from([None, "erasure", "correction"]),
)
def test_pages_together_are_everything_once_newest_first(
    store: RequestStore,
    fresh: Iterator[str],
    requests_: list[tuple[RequestType, bool]],
    limit: int,
    state: str | None,
    type_: str | None,
) -> None:
    customer, expected = next(fresh), []
    for number, (kind, done) in enumerate(requests_):
        request_id = create(store, customer, number, kind=kind)
        if done:
            store.finish(customer, request_id, state="completed", at=NOW)
        if type_ in {None, kind} and state in {None, "completed" if done else "pending"}:
            expected.append(request_id)
    seen: list[str] = []
    cursor = None
    while True:
        page = store.page(customer, state=state, type=type_, limit=limit, cursor=cursor)
        assert len(page.requests) <= limit
        seen += [request.id for request in page.requests]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == expected[::-1]


def test_a_filter_that_matches_little_still_ends(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = create(store, kind="correction")
    for number in range(1, 8):
        create(store, number=number)
    # One item a read stands for the megabyte that DynamoDB reads at once.
    client = aws_clients.dynamodb()
    original = client.query
    monkeypatch.setattr(client, "query", lambda **query: original(**{**query, "Limit": 1}))
    monkeypatch.setattr(request_store, "_LIST_QUERIES", 3)
    cursor, found, pages = None, [], 0
    while pages == 0 or cursor is not None:
        page = store.page("acme", state=None, type="correction", limit=5, cursor=cursor)
        found += [request.id for request in page.requests]
        cursor, pages = page.cursor, pages + 1
    assert found == [wanted]
    assert pages == 3


def test_nothing_of_a_person_is_in_the_table(cloud: Cloud) -> None:
    key = Idempotency.of(client_id="c", operation="o", key="ada@example.org", body_digest="d")
    create(cloud.requests, idempotency=key)
    assert "ada@" not in str(cloud.items(cloud.request_table))


def test_requests_that_wait_cost_no_query_each(store: RequestStore) -> None:
    """A few thousand that wait for archived files would take the sweep its time, and all customers behind."""
    now = datetime.now(UTC)
    for _ in range(30):
        request = uuid7(now)
        store.create("acme", type="erasure", refs=["a"], request_id=request, received_at=now)
        assert store.claim("acme", request, "run-1")
        assert store.postpone("acme", request, "run-1", until=now + timedelta(hours=6), detail={})
    queries: list[str] = []
    aws_clients.dynamodb().meta.events.register("before-call.dynamodb.Query", lambda **_: queries.append(""))
    assert store.pending("acme", 1) == []
    assert len(queries) == 1
    last = uuid7(now)
    store.create("acme", type="erasure", refs=["a"], request_id=last, received_at=now)
    assert [request.id for request in store.pending("acme", 1)] == [last]
