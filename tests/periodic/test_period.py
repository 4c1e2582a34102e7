"""Days and weeks: UTC, from midnight and from Monday on."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.analytics.periodic_report.period import Period, chosen, containing
from khive_persist.errors import InvalidQueryError
from tests.periodic.records import MONDAY, TICK

WEEK = timedelta(weeks=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
INSTANTS = st.datetimes(
    (FIRST + 2 * WEEK).replace(tzinfo=None),
    (LAST - 2 * WEEK).replace(tzinfo=None),
    timezones=st.sampled_from([UTC, None]),
)


@pytest.mark.parametrize("at", [MONDAY, MONDAY + timedelta(days=3), MONDAY + WEEK - TICK])
def test_a_week_is_from_monday_on(at: datetime) -> None:
    assert containing("week", at) == Period("week", MONDAY, MONDAY + WEEK)


def test_what_is_just_before_or_after_is_of_another() -> None:
    assert containing("week", MONDAY - TICK).until == MONDAY
    assert containing("week", MONDAY + WEEK).since == MONDAY + WEEK
    assert containing("day", MONDAY - TICK).name == "2026-11-15"


def test_an_offset_is_taken_off_first() -> None:
    east = timezone(timedelta(hours=9))
    assert containing("day", datetime(2026, 11, 16, 3, tzinfo=east)).name == "2026-11-15"
    assert containing("week", datetime(2026, 11, 16, 3, tzinfo=east)).name == "2026-W46"


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (datetime(2027, 1, 3, tzinfo=UTC), "2026-W53"),
        (datetime(2024, 12, 30, tzinfo=UTC), "2025-W01"),
    ],
)
def test_a_week_is_named_as_iso_8601_does(at: datetime, name: str) -> None:
    assert containing("week", at).name == name


def test_without_a_time_it_is_the_last_that_is_over() -> None:
    now = MONDAY + timedelta(hours=1)
    assert chosen("week", None, now).until == MONDAY
    assert chosen("day", None, now).name == "2026-11-15"
    assert not chosen("day", None, now).is_running(now)
    assert chosen("day", now, now).is_running(now)
    # At its very end it is over.
    assert not containing("week", MONDAY).is_running(MONDAY + WEEK)


@given(at=INSTANTS, kind=st.sampled_from(["day", "week"]))
def test_periods_follow_each_other_without_a_gap(at: datetime, kind: Any) -> None:
    one = containing(kind, at)
    assert one.since <= at.replace(tzinfo=UTC) < one.until == containing(kind, one.until).since
    assert one.previous == containing(kind, one.since - TICK)
    assert len(list(one.days())) == (one.until - one.since).days


@pytest.mark.parametrize("at", [FIRST, LAST])
@pytest.mark.parametrize("kind", ["day", "week"])
def test_a_time_at_the_end_of_all_years_is_refused(at: datetime, kind: Any) -> None:
    with pytest.raises(InvalidQueryError, match="there is no"):
        containing(kind, at)
