"""`GET /v1/team…`: sums of a team, its sessions and its names."""

from datetime import datetime
from typing import Any, Final, NamedTuple, get_args

from khive_persist.clock import InstantText, to_text
from khive_persist.prices import PICODOLLARS
from khive_persist.server.http.tokens import Role
from khive_persist.server.routes.read import cursors
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import CURSOR, LIMIT, Parameter
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.server.team.role import (
    FILTERS,
    credential_of,
    part_of_sessions,
    part_of_sums,
)
from khive_persist.store.postgres.team_reading import (
    Grouping,
    SessionKey,
    TeamReading,
    TeamSession,
)
from khive_persist.store.postgres.team_row import Counts

_TIMES: Final = ("hour", "day")
_NAMES_PEOPLE: Final = ("person", "machine")
_PAGE: Final = LIMIT._replace(default=50)


class TeamCounts(NamedTuple):
    """Sums over records of a team.

    Attributes:
        sessions: The number of sessions with any of them.
        cost_usd: The cost of what has a price; None where nothing has one.
        unpriced: The number of messages that used something and have no price.
    """

    sessions: int
    records: int
    events: int
    calls: int
    failures: int
    messages: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_usd: float | None
    unpriced: int


class TeamOverview(NamedTuple):
    """A team in short.

    Attributes:
        role: The role of who asks.
        person: The person that they are; None where they see all.
        totals: The sums of all that is asked for.
        people: The number of persons with any of it.
        machines: The number of machines.
        projects: The number of projects, each of a machine.
        last_hour: The hour of the latest record.
    """

    role: Role
    person: str | None
    totals: TeamCounts
    people: int
    machines: int
    projects: int
    last_hour: InstantText | None


class TeamGroup(NamedTuple):
    """The sums of an hour, a day, a person, a machine, a project, a client or a model."""

    name: str
    totals: TeamCounts


class TeamGroups(NamedTuple):
    """Sums by what was asked for.

    Attributes:
        groups: By time in ascending order, others by cost, then events, descending.
        is_cut: Whether there are more: earlier ones, or smaller ones.
    """

    groups: list[TeamGroup]
    is_cut: bool


class TeamSessionRow(NamedTuple):
    """A session of a team.

    Attributes:
        key: The project's name in the paths below `/team/`.
        tool: Its client; empty where none is known.
        models: The models that its messages name.
        first_hour: The hour of its first record.
        last_hour: The hour of its last one.
    """

    session: str
    person: str
    machine: str
    project: str
    key: str
    tool: str
    models: list[str]
    first_hour: InstantText
    last_hour: InstantText
    totals: TeamCounts


class TeamSessions(NamedTuple):
    """Sessions, those with the latest records first; `next` is where the next page begins."""

    sessions: list[TeamSessionRow]
    next: str | None


class TeamProjectRow(NamedTuple):
    """A project of one person on one machine.

    Attributes:
        key: Its name in the paths below `/team/`.
        records: The number of its records.
    """

    person: str
    machine: str
    project: str
    key: str
    records: int


class TeamNames(NamedTuple):
    """The names that who asks may see, for filters."""

    people: list[str]
    machines: list[str]
    projects: list[TeamProjectRow]
    tools: list[str]


def operations(reading: TeamReading) -> list[Operation]:
    """Return what this group answers."""

    async def overview(query: ReadRequest) -> Any:
        token, part = credential_of(query.request), part_of_sums(query)
        totals = await reading.totals(part)
        return TeamOverview(
            token.role,
            token.person,
            _totals(totals.sums.sessions, totals.sums.counts),
            totals.people,
            totals.machines,
            totals.projects,
            None if totals.last_hour is None else to_text(totals.last_hour),
        )

    async def sums(query: ReadRequest) -> Any:
        grouping: Grouping = query["by"]
        part = part_of_sums(query, names_people=grouping in _NAMES_PEOPLE)
        rows = await reading.sums(grouping, part, query["limit"] + 1)
        is_cut = len(rows) > query["limit"]
        if is_cut:
            rows = rows[1:] if grouping in _TIMES else rows[:-1]
        groups = [TeamGroup(_name(name), _totals(*of_group)) for name, of_group in rows]
        return TeamGroups(groups, is_cut)

    async def sessions(query: ReadRequest) -> Any:
        part, limit = part_of_sessions(query), query["limit"]
        rows = await reading.sessions(part, limit + 1, _after(query["cursor"]))
        page = rows[:limit]
        next_page = cursors.to_text(_place(page[-1].key)) if len(rows) > limit else None
        return TeamSessions([_session(row) for row in page], next_page)

    async def names(query: ReadRequest) -> Any:
        person = credential_of(query.request).person
        projects = await reading.projects(person)
        return TeamNames(
            sorted({row.person for row in projects}),
            sorted({row.machine for row in projects}),
            [TeamProjectRow(*row[:3], ProjectKey(*row[:3]).text, row.records) for row in projects],
            await reading.tools(person),
        )

    by = Parameter(
        "by", "word", "What the sums are by; of a member, not by person or machine of others.",
        get_args(Grouping), default="day",
    )  # fmt: skip
    most = LIMIT._replace(about="At most so many; by time the latest.", default=100)
    return [
        Operation("/v1/team", overview, "A team in short.", FILTERS, TeamOverview),
        Operation("/v1/team/sums", sums, "Sums of a team.", (by, *FILTERS, most), TeamGroups),
        Operation(
            "/v1/team/sessions",
            sessions,
            "Sessions of a team, those with the latest records first; of a member, their person.",
            (*FILTERS, _PAGE, CURSOR),
            TeamSessions,
        ),
        Operation("/v1/team/names", names, "The names in a team.", (), TeamNames),
    ]


def _totals(sessions: int, counts: Counts) -> TeamCounts:
    fields = counts._asdict()
    picodollars, priced = fields.pop("picodollars"), fields.pop("priced")
    cost = picodollars / PICODOLLARS if priced else None
    return TeamCounts(sessions=sessions, cost_usd=cost, **fields)


def _session(row: TeamSession) -> TeamSessionRow:
    key = row.key
    name = ProjectKey(key.person, key.machine, key.project)
    return TeamSessionRow(
        session=key.session,
        person=key.person,
        machine=key.machine,
        project=key.project,
        key=name.text,
        tool=row.tool,
        models=row.models,
        first_hour=to_text(row.first_hour),
        last_hour=to_text(key.last_hour),
        totals=_totals(1, row.counts),
    )


def _name(name: str | datetime) -> str:
    return to_text(name) if isinstance(name, datetime) else name


def _place(key: SessionKey) -> list[Any]:
    return [key.last_hour.timestamp(), *key[1:]]


def _after(cursor: str | None) -> SessionKey | None:
    if cursor is None:
        return None
    seconds, *names = cursors.from_text(cursor, (int, float), str, str, str, str)
    return SessionKey(cursors.instant(seconds), *names)
