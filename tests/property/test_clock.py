"""Instants: every spelling of one is read as the same, and text sorts as time does."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from khive_persist import clock

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# Far enough from both ends that every zone can spell it.
INSTANTS = st.datetimes(
    datetime(1, 1, 3),  # noqa: DTZ001 - hypothesis wants naive bounds
    datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.just(UTC),
)
# Where a float of seconds holds microseconds: https://docs.python.org/3/library/datetime.html
NEAR = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001
    datetime(2105, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(INSTANTS)
def test_what_is_written_is_read_as_it_was(instant: datetime) -> None:
    text = clock.to_text(instant)
    assert len(text) == len("YYYY-MM-DD HH:MM:SS.ffffff")
    assert clock.from_column(text) == instant


@given(INSTANTS, ZONES)
def test_every_spelling_is_the_same_instant(instant: datetime, zone: timezone) -> None:
    local = instant.astimezone(zone)
    naive = instant.replace(tzinfo=None)
    spellings = [
        naive.isoformat(" "),
        naive.isoformat("T"),
        f" {naive.isoformat()}\n",
        f"{naive.isoformat()}Z",
        local.isoformat("T"),
        local.isoformat(" "),
    ]
    assert {clock.from_column(text) for text in spellings} == {instant}
    assert clock.to_text(local) == clock.to_text(naive) == clock.to_text(instant)


@given(NEAR)
@example(datetime(1972, 3, 8, 0, 0, 1, 1, tzinfo=UTC))
def test_seconds_of_the_epoch_are_the_same_instant(instant: datetime) -> None:
    seconds = instant.timestamp()
    assert clock.from_column(seconds) == instant
    assert clock.from_column(repr(seconds)) == instant
    whole = instant.replace(microsecond=0)
    assert clock.from_column(int(seconds // 1)) == whole


@given(INSTANTS, INSTANTS)
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    assert (clock.to_text(one) < clock.to_text(other)) == (one < other)


@given(st.text() | st.floats() | st.integers() | st.binary() | st.none() | st.booleans())
def test_whatever_a_column_holds_is_an_instant_or_none(value: object) -> None:
    found = clock.from_column(value)
    assert found is None or found.tzinfo is UTC


@given(st.integers(0, 2**62))
def test_nanoseconds_are_cut_to_microseconds(nanoseconds: int) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert clock.from_ns(nanoseconds) == epoch + timedelta(microseconds=nanoseconds // 1000)


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_ids_are_of_version_7_and_sort_by_time(one: int, other: int) -> None:
    ids = clock.new_id(one), clock.new_id(other)
    for id, nanoseconds in zip(ids, (one, other), strict=True):
        made = UUID(id)
        assert (made.version, made.variant) == (7, "specified in RFC 4122")
        assert made.int >> 80 == nanoseconds // 1_000_000
        assert str(made) == id
    if one // 1_000_000 != other // 1_000_000:
        assert (ids[0] < ids[1]) == (one < other)


def test_ids_of_one_moment_differ() -> None:
    assert len({clock.new_id(0) for _ in range(1_000)}) == 1_000
