"""`GET /v1/team/reads`: the list of who was shown texts of whom."""

from typing import Any, NamedTuple

from starlette.routing import BaseRoute

from khive_persist.clock import InstantText, to_text
from khive_persist.server.request.access import Access
from khive_persist.server.routes.read import cursors
from khive_persist.server.routes.read.operations import Operation, ReadRequest, routes_of
from khive_persist.server.routes.read.parameters import CURSOR, LIMIT
from khive_persist.store.postgres.team_audit import AuditedRead, TeamAudit, TeamRead


class TeamReadRow(NamedTuple):
    """An answer that may have had texts of a person.

    Attributes:
        read_at: The minute of it.
        reader: The name of the reader's token.
        role: Their role.
        person: The person whose records it was of.
        route: The path of the route, with its parameters in braces.
        session: The session that the request named; empty for none.
    """

    read_at: InstantText
    reader: str
    role: str
    person: str
    machine: str
    project: str
    route: str
    session: str


class TeamReads(NamedTuple):
    """Reads, the latest first; `next` is where the next page begins."""

    reads: list[TeamReadRow]
    next: str | None


def routes(access: Access, audit: TeamAudit) -> list[BaseRoute]:
    """Return the route of this group, which takes the right of an admin."""

    async def reads(query: ReadRequest) -> Any:
        limit = query["limit"]
        rows = await audit.reads(limit + 1, _before(query["cursor"]))
        page = rows[:limit]
        next_page = cursors.to_text(_place(page[-1])) if len(rows) > limit else None
        return TeamReads([TeamReadRow(to_text(row.minute), *row.read) for row in page], next_page)

    operation = Operation(
        "/v1/team/reads",
        reads,
        "Who was shown texts of whom, the latest first; for an admin.",
        (LIMIT._replace(default=50), CURSOR),
        TeamReads,
    )
    return routes_of(access, [operation], right="admin")


def _place(row: AuditedRead) -> list[Any]:
    return [row.minute.timestamp(), *row.read]


def _before(cursor: str | None) -> AuditedRead | None:
    if cursor is None:
        return None
    seconds, *names = cursors.from_text(cursor, (int, float), *[str] * 7)
    return AuditedRead(cursors.instant(seconds), TeamRead(*names))
