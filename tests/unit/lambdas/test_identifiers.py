import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.identifiers import moment_of, uuid7

moments = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments)
@example(datetime(6326, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
def test_a_version_7_uuid_of_that_millisecond(at: datetime) -> None:
    made = uuid.UUID(uuid7(at))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=made.int >> 80) <= at
    assert at < datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=(made.int >> 80) + 1)


@given(moments, st.integers(min_value=1, max_value=10**9))
def test_ids_sort_by_the_microsecond(at: datetime, later: int) -> None:
    assert uuid7(at) < uuid7(at + timedelta(microseconds=later))


@given(moments, st.binary(min_size=8, max_size=64))
def test_given_entropy_makes_it_the_same_each_time(at: datetime, entropy: bytes) -> None:
    assert uuid7(at, entropy) == uuid7(at, entropy)


def test_two_of_the_same_moment_differ() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    assert len({uuid7(at) for _ in range(1000)}) == 1000


def test_a_time_without_zone_or_short_entropy_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        uuid7(datetime(2026, 5, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="8 bytes"):
        uuid7(entropy=b"1234567")


@given(moments)
def test_the_moment_of_an_identifier_can_be_told(at: datetime) -> None:
    assert moment_of(uuid7(at)) == at
