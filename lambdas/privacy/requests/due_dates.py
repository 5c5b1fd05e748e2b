"""Until when a request has to be answered.

One month after receipt (GDPR Art. 12(3)), counted as Regulation (EEC, Euratom) No 1182/71 says.
"""

import calendar
from datetime import UTC, datetime, time, timedelta
from typing import Final

_LAST_SECOND: Final = time(23, 59, 59)


def due_at(received_at: datetime) -> datetime:
    """Return the last second (UTC) of the period of one month that `received_at` (timezone-aware) starts.

    Art. 3(1) and (2)(c): the day of receipt does not count, and the period ends with the last hour of the
    day that has the same date in the next month, or of that month's last day where there is no such date.
    Art. 3(4): a period that would end on a Saturday or Sunday ends with the last hour of the following
    Monday. Public holidays would prolong it as well; they differ by member state and are not considered,
    so the date given is never later than the lawful one.
    """
    received = received_at.astimezone(UTC).date()
    year, month = (received.year + 1, 1) if received.month == 12 else (received.year, received.month + 1)
    last_day = calendar.monthrange(year, month)[1]
    end = received.replace(year=year, month=month, day=min(received.day, last_day))
    days_past_friday = max(end.weekday() - 4, 0)
    if days_past_friday:
        end += timedelta(days=3 - days_past_friday)
    return datetime.combine(end, _LAST_SECOND, tzinfo=UTC)
