import calendar
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.requests.due_dates import due_at


@pytest.mark.parametrize(
    ("received", "due"),
    [
        # The two examples of the EDPB's Guidelines 01/2022, point 161.
        ("2019-03-05", "2019-04-05"),
        ("2019-08-31", "2019-09-30"),
        ("2026-01-31", "2026-03-02"),  # 28 February is a Saturday
        ("2024-01-30", "2024-02-29"),  # leap day
        ("2023-12-29", "2024-01-29"),
        ("2026-04-09", "2026-05-11"),  # 9 May is a Saturday
        ("2026-04-10", "2026-05-11"),  # 10 May is a Sunday
        ("2026-04-11", "2026-05-11"),  # 11 May is a Monday
    ],
)
def test_known_dates(received: str, due: str) -> None:
    assert due_at(datetime.fromisoformat(f"{received}T10:00:00+00:00")).isoformat() == f"{due}T23:59:59+00:00"


def test_the_day_of_receipt_is_the_one_in_utc() -> None:
    late_evening = datetime(2026, 3, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))  # 1 April in UTC
    assert due_at(late_evening) == datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC)


moments = st.datetimes(datetime(1990, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments)
@example(datetime(2024, 2, 29, tzinfo=UTC))
@example(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
def test_same_day_next_month_or_its_last_or_the_monday_after(received: datetime) -> None:
    due = due_at(received)
    assert due.weekday() < 5
    assert (due.hour, due.minute, due.second, due.tzinfo) == (23, 59, 59, UTC)
    ends = {due.date() - timedelta(days=back) for back in range(3 if due.weekday() == 0 else 1)}
    lawful = {end for end in ends if _is_a_month_after(received, end)}
    assert len(lawful) == 1
    # Only a week-end may lie between the end of the month and the due date.
    assert lawful == {due.date()} or lawful.pop().weekday() >= 5


def _is_a_month_after(received: datetime, end: date) -> bool:
    months = (end.year - received.year) * 12 + end.month - received.month
    last = calendar.monthrange(end.year, end.month)[1]
    return months == 1 and end.day == min(received.day, last)


@given(moments, moments)
def test_who_asks_later_is_never_due_earlier(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert due_at(earlier) <= due_at(later)
