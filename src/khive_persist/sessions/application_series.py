"""The scores and the measurements of one application session over time, and how many it has."""

from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from khive_persist.clock import InstantText
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    MEASUREMENTS,
    SCORES,
    Purpose,
)
from khive_persist.sessions.application_activity import (
    SERIES,
    Series,
    SeriesKind,
    is_value_sql,
    series_columns,
)
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement

PURPOSES: Final = (APPLICATION_SESSIONS, CONVERSATIONS, MEASUREMENTS, SCORES)
# Of each kind; a platform has some.
MOST_SERIES: Final = 50
# A chart is a thousand pixels wide at most, and a page holds a few of them.
_POINTS: Final = 200
_POINTS_IN_ALL: Final = 1_000
_LEAST_POINTS: Final = 20


class Point(NamedTuple):
    """The values of a series that follow each other: one, or of a long series some.

    Attributes:
        at: The time of the first.
        values: Their number.
        mean: Their mean.
        smallest: The smallest.
        largest: The largest.
    """

    at: InstantText
    values: int
    mean: float
    smallest: float
    largest: float


class SessionSeries(NamedTuple):
    """The scores, or measurements, of one name in a session.

    Attributes:
        kind: The kind of them.
        name: The name of what was scored or measured.
        unit: The unit of a measurement, where one is named.
        values: The number of values.
        mean: The mean of all values.
        smallest: The smallest value.
        largest: The largest value.
        points: All values in order of time. Of a long series each point is of several.
    """

    kind: SeriesKind
    name: str
    unit: str | None
    values: int
    mean: float | None
    smallest: float | None
    largest: float | None
    points: list[Point]


class SessionCounts(NamedTuple):
    """The state of a session: any record that it gets makes another one.

    Attributes:
        version: The version of the session; None where there is none.
        messages: The number of its messages.
        measurements: The number of its measurements.
        scores: The number of its scores.
    """

    version: int | None = None
    messages: int = 0
    measurements: int = 0
    scores: int = 0


async def session_series(reader: Reader, session_id: str) -> list[SessionSeries]:
    """Return the series of a session, of each kind those of most values first.

    Args:
        reader: A reader of `SCORES` and `MEASUREMENTS`.
        session_id: The whole id.
    """
    totals: list[tuple[SeriesKind, str, Series]] = []
    for kind, purpose in SERIES.items():
        build = partial(_totals, purpose, session_id)
        totals += [(kind, *pair) for pair in await reader.fetch_by_key("name", Series, build)]
    parts = max(_LEAST_POINTS, min(_POINTS, _POINTS_IN_ALL // max(1, len(totals))))
    points: dict[tuple[SeriesKind, str], list[Point]] = {}
    for kind, purpose in SERIES.items():
        names = [name for other, name, _ in totals if other == kind]
        build = partial(_points, purpose, session_id, names, parts)
        for name, point in await reader.fetch_by_key("name", Point, build):
            points.setdefault((kind, name), []).append(point)
    return [
        SessionSeries(
            kind, name, of.unit, of.values, of.mean, of.smallest, of.largest,
            points.get((kind, name), []),
        )
        for kind, name, of in totals
    ]  # fmt: skip


async def session_counts(reader: Reader, ids: Iterable[str]) -> dict[str, SessionCounts]:
    """Return the state of some sessions, by their whole ids.

    Args:
        reader: A reader of `PURPOSES`.
        ids: The ids.
    """
    sorted_ids = sorted(ids)
    columns = dict(zip(PURPOSES, SessionCounts._fields, strict=True))
    counts = dict.fromkeys(sorted_ids, SessionCounts())
    for purpose, name in columns.items():
        for id, number in await reader.fetch(partial(_counts, purpose, sorted_ids)):
            counts[id] = counts[id]._replace(**{name: number})
    return counts


def _totals(purpose: Purpose, session_id: str, source: Source) -> Statement:
    return Statement(
        f"SELECT {series_columns(source)} FROM {source.only(purpose.name).sql}"
        f" WHERE {source.extract('$.session_id')} = ? AND {_is_timed_value_sql(source)}"
        f' GROUP BY name ORDER BY "values" DESC, name LIMIT {MOST_SERIES}',
        [session_id],
    )


def _points(
    purpose: Purpose, session_id: str, names: list[str], parts: int, source: Source
) -> Statement:
    at, name, value = source.created_at, source.extract("$.name"), source.extract("$.value")
    return Statement(
        'SELECT name, min(at) AS at, count(*) AS "values", avg(value) AS mean,'
        " min(value) AS smallest, max(value) AS largest FROM ("
        f"SELECT {name} AS name, {at} AS at, {value} AS value,"
        f" ntile({parts}) OVER (PARTITION BY {name} ORDER BY {at}, id) AS part"
        f" FROM {source.only(purpose.name).sql}"
        f" WHERE {source.extract('$.session_id')} = ? AND {_is_timed_value_sql(source)}"
        f" AND {name} IN (SELECT value FROM json_each(?))"
        ") GROUP BY name, part ORDER BY name, part",
        [session_id, codec.dump(names)],
    )


def _is_timed_value_sql(source: Source) -> str:
    return f"{source.created_at} IS NOT NULL AND {is_value_sql(source)}"


def _counts(purpose: Purpose, ids: list[str], source: Source) -> Statement:
    id = source.extract("$.session_id")
    number = "count(*)"
    if purpose == APPLICATION_SESSIONS:
        version = source.extract("$.version")
        number = f"max(CASE typeof({version}) WHEN 'integer' THEN {version} ELSE 0 END)"
    return Statement(
        f"SELECT {id}, {number} FROM {source.only(purpose.name).sql}"
        f" WHERE {id} IN (SELECT value FROM json_each(?)) GROUP BY {id}",
        [codec.dump(ids)],
    )
