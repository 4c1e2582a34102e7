"""The application sessions of a period: their outcomes, scores and measurements."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

from khive_persist.models.purposes import APPLICATION_SESSIONS, MEASUREMENTS, SCORES, Purpose
from khive_persist.sessions.activity import Time
from khive_persist.store import codec
from khive_persist.store.numbers import LARGEST
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement

SeriesKind = Literal["score", "measurement"]
# What kind it is of, and what was scored or measured.
Name = tuple[SeriesKind, str]

PURPOSES: Final = (APPLICATION_SESSIONS, SCORES, MEASUREMENTS)
# By the kinds that a name begins with, as in score:triage.
SERIES: Final[dict[SeriesKind, Purpose]] = {"score": SCORES, "measurement": MEASUREMENTS}
_OUTCOME_CHARACTERS: Final = 200


class Applications(NamedTuple):
    """The application sessions that began in a period.

    Attributes:
        sessions: Their number.
        completed: The number of those that are completed by now.
        outcomes: The number of sessions by outcome, where it is a text, a number, true or false;
            the most frequent first.
    """

    sessions: int
    completed: int
    outcomes: dict[str, int]


class Series(NamedTuple):
    """The scores, or measurements, of one name in a period.

    Attributes:
        unit: The unit of a measurement, where one is named.
        values: The number of values.
        sessions: The number of sessions that have one.
        mean: The mean of all values.
        smallest: The smallest value.
        largest: The largest value.
    """

    unit: str | None
    values: int
    sessions: int
    mean: float | None
    smallest: float | None
    largest: float | None


async def applications(reader: Reader, time: Time) -> Applications:
    """Return the counts of the application sessions that began in a period."""
    rows = await reader.fetch(lambda source: _sessions(source, time))
    outcomes: dict[str, int] = {}
    for outcome, _, count in rows:
        if outcome is not None:
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    return Applications(
        sum(count for *_, count in rows),
        sum(count for _, is_completed, count in rows if is_completed),
        dict(sorted(outcomes.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


async def series(
    reader: Reader, time: Time, limit: int, names: Iterable[Name] | None = None
) -> dict[Name, Series]:
    """Return the scores and the measurements of a period, those of most values first.

    They are up to a limit of each kind; without names all are meant.
    """
    pairs = None if names is None else list(names)
    result: dict[Name, Series] = {}
    for kind, purpose in SERIES.items():
        of_kind = None if pairs is None else [name for other, name in pairs if other == kind]
        build = partial(_series, purpose, time, limit, of_kind)
        of_names = await reader.fetch_by_key("name", Series, build)
        result |= {(kind, name): of_name for name, of_name in of_names}
    return result


def _sessions(source: Source, time: Time) -> Statement:
    table = source.only(APPLICATION_SESSIONS.name).sql
    outcome = source.extract("$.outcome")
    text = (
        f"CASE json_type({source.content}, '$.outcome') WHEN 'true' THEN 'true'"
        f" WHEN 'false' THEN 'false' WHEN 'object' THEN NULL WHEN 'array' THEN NULL"
        f" ELSE substr(CAST({outcome} AS TEXT), 1, {_OUTCOME_CHARACTERS}) END"
    )
    at = source.created_at
    return Statement(
        f"SELECT {text} AS outcome, {source.extract('$.status')} IS 'completed' AS completed,"
        f" count(*) FROM {table} WHERE {at} >= ? AND {at} < ? GROUP BY outcome, completed",
        [*time],
    )


def _series(
    purpose: Purpose, time: Time, limit: int, names: Sequence[str] | None, source: Source
) -> Statement:
    table = source.only(purpose.name).sql
    at = source.created_at
    among = (
        ""
        if names is None
        else f" AND {source.extract('$.name')} IN (SELECT value FROM json_each(?))"
    )
    return Statement(
        f"SELECT {series_columns(source)} FROM {table} WHERE {at} >= ? AND {at} < ?"
        f" AND {is_value_sql(source)}{among}"
        f' GROUP BY name ORDER BY "values" DESC, name LIMIT {limit}',
        [*time, *([] if names is None else [codec.dump(list(names))])],
    )


def series_columns(source: Source) -> str:
    """Return the columns of a `Series` and its name, for a statement that groups by `name`."""
    name, value, unit = (source.extract(f"$.{path}") for path in ("name", "value", "unit"))
    return (
        f"{name} AS name, max(CASE typeof({unit}) WHEN 'text' THEN {unit} END) AS unit,"
        f' count(*) AS "values", count(DISTINCT {source.extract("$.session_id")}) AS sessions,'
        f" avg({value}) AS mean, min({value}) AS smallest, max({value}) AS largest"
    )


def is_value_sql(source: Source) -> str:
    """Tell whether a row is a value of a series: it has a name, and a number to count with."""
    name, value = source.extract("$.name"), source.extract("$.value")
    return (
        f"typeof({name}) = 'text' AND {name} <> '' AND typeof({value}) IN ('integer', 'real')"
        # An infinite value would be the mean of all.
        f" AND {value} BETWEEN -{LARGEST} AND {LARGEST}"
    )
