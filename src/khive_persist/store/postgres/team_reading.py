"""`TeamReading`: sums, sessions and names of a team, by SQL over its sums by the hour."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from khive_persist.errors import InvalidQueryError
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.team_row import Counts

Grouping = Literal["hour", "day", "person", "machine", "project", "tool", "model"]

_TABLE: Final = "khive.team_session_hours"
_PLACE: Final = "session, person, machine, project"
# What a sender says is unbounded: sums beyond 64 bits are cut, so that no record stops the others'.
_LARGEST: Final = 2**63 - 1
_SUMS: Final = ", ".join(
    f"least(coalesce(sum({name}), 0), {_LARGEST})::bigint AS {name}" for name in Counts._fields
)
# As on a machine, a session is what has events or messages.
_IS_SESSION: Final = "session <> '' AND events + messages > 0"
_SESSIONS: Final = "count(*) FILTER (WHERE is_session) AS sessions"
_NEWEST: Final = ", ".join(f"{name} DESC" for name in ("hour", *_PLACE.split(", ")))
_SAME_PLACE: Final = " AND ".join(
    f"team_session_hours.{name} = place.{name}" for name in _PLACE.split(", ")
)
# Sums by session first: to count the different ones of all rows means to sort them.
_OF_PLACES: Final = (
    f"{_PLACE}, max(hour) AS last_hour, bool_or({_IS_SESSION}) AS is_session, "
    + ", ".join(f"sum({name}) AS {name}" for name in Counts._fields)
)
_GROUPINGS: Final[dict[Grouping, str]] = {
    "hour": "hour",
    "day": "date_trunc('day', hour, 'UTC')",
    "person": "person",
    "machine": "machine",
    "project": "project",
    "tool": "tool",
    "model": "model",
}
_HOURS: Final[dict[Grouping, int]] = {"hour": 1, "day": 24}
# Sums by session fit into it, and are not sorted on the disk.
_WORK_MEGABYTES: Final = 32


class TeamFilter(NamedTuple):
    """The part of a team that is looked at; None is all.

    Attributes:
        since: The first hour that may have some of it.
        until: The time before which an hour begins.
        person: A person.
        machine: A machine.
        project: A project.
        tool: A client.
    """

    since: datetime | None = None
    until: datetime | None = None
    person: str | None = None
    machine: str | None = None
    project: str | None = None
    tool: str | None = None


class TeamSums(NamedTuple):
    """Sums: the number of sessions that have any, and the counts of their records."""

    sessions: int
    counts: Counts


class TeamTotals(NamedTuple):
    """The sums of all that is looked at.

    Attributes:
        sums: The sums.
        people: The number of persons.
        machines: The number of machines, each of a person.
        projects: The number of projects, each of a machine.
        last_hour: The hour of the latest record; None where there is none.
    """

    sums: TeamSums
    people: int
    machines: int
    projects: int
    last_hour: datetime | None


class SessionKey(NamedTuple):
    """The place of a session in the list of sessions, the newest first."""

    last_hour: datetime
    session: str
    person: str
    machine: str
    project: str


class TeamSession(NamedTuple):
    """A session of a team.

    Attributes:
        key: Its place in the list, which names it.
        first_hour: The first hour with a record of it.
        tool: Its client; empty where none is known.
        models: The models that its messages name.
        counts: The counts of its records.
    """

    key: SessionKey
    first_hour: datetime
    tool: str
    models: list[str]
    counts: Counts


class TeamProject(NamedTuple):
    """A project of one person on one machine, and the number of its records."""

    person: str
    machine: str
    project: str
    records: int


class TeamReading:
    """Reads what a team has, through connections that cannot write.

    What it raises is a StoreError, as its subclasses say.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Prepare to connect.

        Args:
            url: `postgresql://…`, as libpq takes it.
            timeout_seconds: The longest time of a statement, and of a wait for a connection.
        """
        self.database = Database(
            url, timeout_seconds, read_only=True, work_megabytes=_WORK_MEGABYTES
        )

    async def totals(self, part: TeamFilter) -> TeamTotals:
        """Return the sums of a part of the team, and how many have any of it."""
        condition, values = _condition(part)
        rows = await self._fetch(
            f"WITH places AS (SELECT {_OF_PLACES} FROM {_TABLE} WHERE {condition}"
            f" GROUP BY {_PLACE}) SELECT {_SESSIONS}, {_SUMS}, count(DISTINCT person),"
            " (SELECT count(*) FROM (SELECT DISTINCT person, machine FROM places) AS machines),"
            " (SELECT count(*) FROM (SELECT DISTINCT person, machine, project FROM places)"
            " AS projects), max(last_hour) FROM places",
            values,
        )
        *sums, people, machines, projects, last_hour = rows[0]
        return TeamTotals(_sums(sums), people, machines, projects, last_hour)

    async def sums(
        self, grouping: Grouping, part: TeamFilter, limit: int
    ) -> list[tuple[Any, TeamSums]]:
        """Return the sums by what `grouping` says.

        By time, the latest so many in ascending order; others by cost, then events, descending.
        """
        condition, values = _condition(part)
        order = "picodollars DESC, events DESC, records DESC, 1"
        if hours := _HOURS.get(grouping):
            order = "1 DESC"
            # So many days have no more hours than these; the index has them in this order.
            condition += (
                f" AND hour >= (SELECT min(hour) FROM (SELECT DISTINCT hour FROM {_TABLE}"
                f" WHERE {condition} ORDER BY hour DESC LIMIT {limit * hours:d}) AS latest)"
            )
        rows = await self._fetch(
            f"SELECT name, {_SESSIONS}, {_SUMS} FROM (SELECT {_GROUPINGS[grouping]} AS name,"
            f" {_OF_PLACES} FROM {_TABLE} WHERE {condition} GROUP BY 1, {_PLACE}) AS places"
            f" GROUP BY name ORDER BY {order} LIMIT {limit:d}",
            values,
        )
        of_groups = [(row[0], _sums(row[1:])) for row in rows]
        return of_groups[::-1] if grouping in _HOURS else of_groups

    async def sessions(
        self, part: TeamFilter, limit: int, previous: SessionKey | None = None
    ) -> list[TeamSession]:
        """Return sessions, those with the newest records first, after one of them."""
        condition, values = _condition(part)
        before = ""
        if previous is not None:
            places = ", ".join(f"${len(values) + n}" for n in range(1, len(previous) + 1))
            before = f" AND (hour, {_PLACE}) < ({places})"
            values = [*values, *previous]
        # By the index of places: of each, whether its hour is the last one of its session.
        rows = await self._fetch(
            f"SELECT place.*, of_session.* FROM (SELECT DISTINCT hour, {_PLACE} FROM {_TABLE}"
            f" WHERE {condition} AND session <> ''{before} ORDER BY {_NEWEST}) AS place"
            " CROSS JOIN LATERAL (SELECT max(hour) AS last_hour, min(hour),"
            f" coalesce(max(tool), ''), array_remove(array_agg(DISTINCT model), ''), {_SUMS}"
            f" FROM {_TABLE} WHERE {condition} AND {_SAME_PLACE}) AS of_session"
            " WHERE last_hour = place.hour AND events + messages > 0"
            f" ORDER BY {_NEWEST} LIMIT {limit:d}",
            values,
        )
        return [
            TeamSession(SessionKey(*row[:5]), row[6], row[7], row[8], Counts(*row[9:]))
            for row in rows
        ]

    async def projects(self, person: str | None) -> list[TeamProject]:
        """Return the projects of a person, or of all."""
        condition, values = _condition(TeamFilter(person=person))
        rows = await self._fetch(
            f"SELECT person, machine, project, least(sum(records), {_LARGEST})::bigint"
            f" FROM {_TABLE} WHERE {condition} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            values,
        )
        return [TeamProject(*row) for row in rows]

    async def tools(self, person: str | None) -> list[str]:
        """Return the clients that sums of a person, or of all, name."""
        condition, values = _condition(TeamFilter(person=person))
        rows = await self._fetch(
            f"SELECT DISTINCT tool FROM {_TABLE} WHERE {condition} AND tool <> '' ORDER BY 1",
            values,
        )
        return [tool for (tool,) in rows]

    async def check(self) -> None:
        """Raise where the database does not answer."""
        await self._fetch("SELECT", [])

    async def _fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        if any(isinstance(value, str) and "\0" in value for value in values):
            raise InvalidQueryError("a name has a character that no name has")

        async def once() -> list[Any]:
            async with self.database.connection() as connection:
                return list(await connection.fetch(sql, *values))

        return await self.database.attempt(once)


def _condition(part: TeamFilter) -> tuple[str, list[Any]]:
    operators = ("hour >=", "hour <", "person =", "machine =", "project =", "tool =")
    conditions, values = ["true"], []
    for operator, value in zip(operators, part, strict=True):
        if value is not None:
            values.append(value)
            conditions.append(f"{operator} ${len(values)}")
    return " AND ".join(conditions), values


def _sums(row: Sequence[Any]) -> TeamSums:
    return TeamSums(row[0], Counts(*row[1:]))
