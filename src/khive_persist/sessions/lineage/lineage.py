"""`Lineage`: the agents of a session, and the sessions that it came from or that came from it."""

from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from khive_persist import clock
from khive_persist.errors import NotFoundError
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.models.query import field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.lineage.agents import Agent, Agents
from khive_persist.sessions.lineage.links import Links, find_links
from khive_persist.sessions.read import whole_id
from khive_persist.store import codec
from khive_persist.store.source import Source, Statement, select
from khive_persist.tools.message_part import mapping_of


class Start(NamedTuple):
    """A start of a session, and how its tool names it: startup, resume, clear, compact, fork."""

    at: datetime
    source: str


class Lineage(NamedTuple):
    """The origin of a session, and the agents that worked in it.

    Attributes:
        session_id: The session.
        tool: The AI tool.
        starts: Its begin and its resumptions, from hook events; a session that is resumed under its
            own id starts again.
        agents: Its own agent first, each followed by those that it started: see `Agents.tree`.
        links: Other sessions that it came from, or that came from it.
    """

    session_id: str
    tool: str | None
    starts: tuple[Start, ...]
    agents: list[Agent]
    links: Links


async def read_lineage(project: Project, session_id: str, prices: PriceTable) -> Lineage:
    """Return the lineage of the session whose id is this, or begins so.

    Its sources are the tools' transcripts, as `sync` read them, and hook events, or the one of the
    two that is there. Memory holds nothing but counts.

    Raises:
        NotFoundError: No session, or several, begin so; or it has neither messages nor events.
    """
    session_id = await whole_id(project, session_id)
    # A reader makes one table of all its files: messages and events are of two.
    async with reading(project, CONVERSATIONS) as messages:
        async with reading(project, *EVENT_FILES.values()) as events:
            agents, is_told = Agents(prices), False
            async with aclosing(messages.stream(partial(_contents, session_id))) as rows:
                async for text, created_at in rows:
                    agents.see_message(mapping_of(codec.column(text)), _instant(created_at))
                    is_told = True
            starts = []
            async with aclosing(events.stream(partial(_contents, session_id))) as rows:
                async for text, created_at in rows:
                    content, at = mapping_of(codec.column(text)), _instant(created_at)
                    agents.see_event(content, at)
                    is_told = True
                    if content.get("event_type") == "session_start":
                        payload = mapping_of(content.get("payload"))
                        starts.append(Start(at, str(payload.get("source") or "")))
        links = await find_links(messages, session_id)
    if not is_told:
        raise NotFoundError(
            f"no message and no event of the session {session_id} is recorded",
            hint="khive-persist show tells what is",
        )
    return Lineage(
        session_id, next(iter(agents.tools), None), tuple(sorted(starts)), agents.tree(), links
    )


def _contents(session_id: str, source: Source) -> Statement:
    columns = f"{source.content}, {source.created_at}"
    return select(source, [field("session_id") == session_id], columns=columns)


def _instant(created_at: Any) -> datetime:
    return clock.from_column(created_at) or clock.unreadable()
