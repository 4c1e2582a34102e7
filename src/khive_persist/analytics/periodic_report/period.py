"""`Period`: a calendar day or an ISO week, in UTC."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.sessions.activity import Time

Kind = Literal["day", "week"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_LENGTHS: Final = {"day": timedelta(days=1), "week": timedelta(weeks=1)}


class Period(NamedTuple):
    """One day, or one week from Monday on (ISO 8601): `since <= instant < until`."""

    kind: Kind
    since: datetime
    until: datetime

    @property
    def name(self) -> str:
        """Return the name as ISO 8601 writes it: 2026-11-20, or 2026-W47."""
        year, week, _ = self.since.isocalendar()
        return f"{year:04}-W{week:02}" if self.kind == "week" else str(self.since.date())

    @property
    def previous(self) -> "Period":
        """Return the period just before it."""
        return Period(self.kind, self.since - _LENGTHS[self.kind], self.since)

    @property
    def time(self) -> Time:
        """Return its ends as text."""
        return Time(clock.to_text(self.since), clock.to_text(self.until))

    def is_running(self, current_time: datetime) -> bool:
        """Return whether it is not over, or has not even begun."""
        return self.until > current_time

    def days(self) -> Iterator[str]:
        """Yield its days, as YYYY-MM-DD."""
        day = self.since
        while day < self.until:
            yield str(day.date())
            day += _LENGTHS["day"]


def chosen(kind: Kind, at: datetime | None, current_time: datetime) -> Period:
    """Return the period that an instant is in, or without one the last that is over.

    Raises:
        InvalidQueryError: It, or the one before it, is beyond the years that there are.
    """
    return containing(kind, current_time).previous if at is None else containing(kind, at)


def containing(kind: Kind, at: datetime) -> Period:
    """Return the period that an instant is in; a naive one is in UTC.

    Raises:
        InvalidQueryError: As `chosen` says.
    """
    day = clock.as_utc(at).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    try:
        since = day - timedelta(days=day.weekday() if kind == "week" else 0)
        period = Period(kind, since, since + _LENGTHS[kind])
        # The one before it must be a time, too.
        _ = period.previous
    except OverflowError as error:
        raise InvalidQueryError(f"there is no {kind} to report on at {day.date()}") from error
    return period
