"""What application sessions did in a time: how they ended, what was scored and measured in them."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from khive_persist.models.purposes import APPLICATION_SESSIONS, MEASUREMENTS, SCORES, Purpose
from khive_persist.sessions.activity import Time
from khive_persist.store import codec
from khive_persist.store.numbers import LARGEST
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement

PURPOSES: Final = (APPLICATION_SESSIONS, SCORES, MEASUREMENTS)
# Each of what is asked for by its name, as in score:triage.
_SERIES: Final = {"score": SCORES, "measurement": MEASUREMENTS}
_OUTCOME_CHARACTERS: Final = 200

# score or measurement, and what was scored or measured.
Name = tuple[str, str]


class Applications(NamedTuple):
    """The application sessions that began in a time.

    Attributes:
        sessions: How many.
        completed: How many of them are completed by now.
        outcomes: How many have each outcome that is a text, a number, true or false; the most
            frequent first.
    """

    sessions: int
    completed: int
    outcomes: dict[str, int]


class Series(NamedTuple):
    """The scores, or measurements, of one name in a time.

    Attributes:
        unit: Of a measurement, where one is named.
        values: How many numbers there are.
        sessions: Of how many sessions.
        mean: Of all values.
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
    """The application sessions of a time.

    Raises:
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(lambda source: _sessions(source, time))
    outcomes: dict[str, int] = {}
    for outcome, _, count in rows:
        if outcome is not None:
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    return Applications(
        sum(count for *_, count in rows),
        sum(count for _, is_completed, count in rows if is_completed),
        dict(sorted(outcomes.items(), key=lambda one: (-one[1], one[0]))),
    )


async def series(
    reader: Reader, time: Time, limit: int, names: Iterable[Name] | None = None
) -> dict[Name, Series]:
    """The scores and the measurements of a time, those of most values first.

    Args:
        reader: Of `PURPOSES`.
        time: When they were scored or measured.
        limit: At most so many of each kind.
        names: Only these.

    Raises:
        StoreError: As its subclasses say.
    """
    wanted = None if names is None else list(names)
    found: dict[Name, Series] = {}
    for kind, purpose in _SERIES.items():
        own = None if wanted is None else [name for of, name in wanted if of == kind]
        rows = await reader.fetch(partial(_series, purpose, time, limit, own))
        found |= {(kind, row[0]): Series(*row[1:]) for row in rows}
    return found


def _sessions(source: Source, time: Time) -> Statement:
    table = source.tables.get(APPLICATION_SESSIONS.name)
    if table is None:
        return Statement("SELECT NULL, 0, 0 LIMIT 0", [])
    outcome = source.extract("$.outcome")
    said = (
        f"CASE json_type({source.content}, '$.outcome') WHEN 'true' THEN 'true'"
        f" WHEN 'false' THEN 'false' WHEN 'object' THEN NULL WHEN 'array' THEN NULL"
        f" ELSE substr(CAST({outcome} AS TEXT), 1, {_OUTCOME_CHARACTERS}) END"
    )
    at = source.created_at
    return Statement(
        f"SELECT {said} AS outcome, {source.extract('$.status')} IS 'completed' AS completed,"
        f" count(*) FROM {table} WHERE {at} >= ? AND {at} < ? GROUP BY outcome, completed",
        [*time],
    )


def _series(
    purpose: Purpose, time: Time, limit: int, names: Sequence[str] | None, source: Source
) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        return Statement("SELECT 0 LIMIT 0", [])
    at, name, value = source.created_at, source.extract("$.name"), source.extract("$.value")
    unit = source.extract("$.unit")
    # What is infinite would be the mean of all.
    within = f"typeof({value}) IN ('integer', 'real') AND {value} BETWEEN -{LARGEST} AND {LARGEST}"
    among = "" if names is None else f" AND {name} IN (SELECT value FROM json_each(?))"
    return Statement(
        f"SELECT {name} AS name, max(CASE typeof({unit}) WHEN 'text' THEN {unit} END),"
        f" count(*) AS n, count(DISTINCT {source.extract('$.session_id')}), avg({value}),"
        f" min({value}), max({value}) FROM {table} WHERE {at} >= ? AND {at} < ?"
        f" AND typeof({name}) = 'text' AND {name} <> '' AND {within}{among}"
        f" GROUP BY name ORDER BY n DESC, name LIMIT {limit}",
        [*time, *([] if names is None else [codec.dump(list(names))])],
    )
