"""Facets: the values by which lists are filtered, and how many rows have each."""

from collections import Counter
from typing import Final, NamedTuple

from khive_persist.models.purposes import EVENT_FILES
from khive_persist.sessions.definitions import event_tables, text_sql
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, union_all

VALUES: Final = 200
# The names of tools have no index: they are those of the latest events.
_LATEST: Final = 2_000
_OF_SESSIONS: Final = ("project", "model", "complexity", "verdict")


class FacetValue(NamedTuple):
    """A value that rows have.

    Attributes:
        value: The value.
        rows: The number of rows that have it; None where they are not counted.
    """

    value: str
    rows: int | None


class Facets(NamedTuple):
    """The values of each filter, the most frequent first.

    Attributes:
        facets: The values, at most 200, by the name of the filter.
    """

    facets: dict[str, list[FacetValue]]


def session_facets(rollup: Rollup) -> Facets:
    """Return the values that sessions have."""
    tools: Counter[str] = Counter()
    for names, count in rollup.query("SELECT tools, count(*) FROM sessions GROUP BY tools"):
        # A session counts for each of its tools, as the filter finds it.
        tools.update(dict.fromkeys(filter(None, (names or "").split(",")), count))
    return Facets(
        {
            "tool": _most_frequent(tools),
            **{name: _of_sessions(rollup, name) for name in _OF_SESSIONS},
        }
    )


async def event_facets(rollup: Rollup, reader: Reader) -> Facets:
    """Return the values that events have; of `tool_name` those of the latest events."""
    files = ", ".join(f"'{purpose.name}'" for purpose in EVENT_FILES.values())
    rows = rollup.query(
        f"SELECT tool, sum(rows) FROM cells WHERE file IN ({files}) AND tool <> '' GROUP BY tool"
    )
    types: Counter[str] = Counter()
    for value, count in await reader.fetch(_types):
        types[value] += count
    names = [FacetValue(name, None) for (name,) in await reader.fetch(_tool_names)]
    return Facets(
        {
            "type": _most_frequent(types),
            "tool": _most_frequent(Counter(dict(rows))),
            "tool_name": names,
        }
    )


def _of_sessions(rollup: Rollup, name: str) -> list[FacetValue]:
    rows = rollup.query(
        f"SELECT {name}, count(*) AS count FROM sessions WHERE {name} <> ''"
        f" GROUP BY {name} ORDER BY count DESC, {name} LIMIT {VALUES}"
    )
    return [FacetValue(*row) for row in rows]


def _most_frequent(counts: Counter[str]) -> list[FacetValue]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [FacetValue(*pair) for pair in ordered[:VALUES]]


def _types(source: Source) -> Statement:
    kind = source.extract("$.event_type")
    return union_all(
        [
            f"SELECT {kind}, count(*) FROM {table} WHERE typeof({kind}) = 'text' GROUP BY {kind}"
            for _, table in event_tables(source)
        ]
    )


def _tool_names(source: Source) -> Statement:
    name = text_sql(source, "tool_name")
    return union_all(
        [
            f"SELECT * FROM (SELECT {name} AS name FROM {table}"
            f" ORDER BY {source.created_at} DESC LIMIT {_LATEST})"
            for _, table in event_tables(source)
        ],
        within="SELECT name FROM ({}) WHERE name <> '' GROUP BY name"
        f" ORDER BY count(*) DESC, name LIMIT {VALUES}",
    )
