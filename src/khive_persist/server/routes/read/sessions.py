"""`GET /v1/sessions` and what there is of one session."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from anyio import to_thread

from khive_persist import clock
from khive_persist.errors import NotFoundError
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.filters import names_session
from khive_persist.server.routes.read.listing import Listing, Page
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.sessions.lineage.lineage import Lineage, read_lineage
from khive_persist.sessions.read import read_session
from khive_persist.sessions.rollup import sessions as rollup_sessions
from khive_persist.sessions.rollup.session_item import KEYS, SORTS, SessionItem
from khive_persist.sessions.rollup.sessions import SessionQuery
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.todo_history import Focus, focus_of, read_chains

ID: Final = {"id": "A session's id, or the beginning of one."}
OF_PROJECT: Final = Parameter("project", "text", "That began in this directory.")
MODEL: Final = Parameter("model", "text", "Whose model that used most tokens is this.")
FAILED: Final = Parameter(
    "failed", "boolean", "true: in which a tool call failed. false: in which none did."
)
WORDS: Final = Parameter(
    "q", "text", "Words in the title, the task or the project, or the beginning of the id."
)
SORT: Final = Parameter("sort", "word", "What they are ordered by.", SORTS, default="last")
ORDER: Final = Parameter(
    "order", "word", "The largest first, or the smallest.", ("desc", "asc"), default="desc"
)
THINKING: Final = Parameter("thinking", "boolean", "Also what the model thought.", default=False)
EVENTS: Final = Parameter("events", "boolean", "Also what happened meanwhile.", default=False)
MAX_WORDS: Final = 20
_PLAIN: Final = (
    "tool", "project", "model", "complexity", "min_confidence", "max_cost", "verdict", "failed",
    "sort",
)  # fmt: skip


class Story(NamedTuple):
    """A session as entries in order of time."""

    session_id: str
    tools: list[str]
    entries: list[Entry]


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def sessions(query: ReadRequest) -> Listing:
        filters = SessionQuery(
            since=None if query["since"] is None else clock.to_text(query["since"]),
            until=None if query["until"] is None else clock.to_text(query["until"]),
            words=(query["q"] or "").split()[:MAX_WORDS],
            descending=query["order"] == "desc",
            **{name: query[name] for name in _PLAIN},
        )

        async def page(position: Sequence[Any] | None, limit: int) -> Page:
            await readers.wait_until_read()
            return Page(
                *await to_thread.run_sync(
                    rollup_sessions.sessions, readers.rollup, filters, position, limit
                )
            )

        kinds = (str if KEYS[query["sort"]].null == "" else (int, float), str)
        columns = SessionItem._fields
        return Listing(page, kinds, SessionItem._asdict, columns, tuple, name="sessions")

    async def session(query: ReadRequest) -> Any:
        return await find_session(project, readers, query.path["id"])

    async def story(query: ReadRequest) -> Any:
        id = (await find_session(project, readers, query.path["id"])).session_id

        async def read() -> Story:
            session = await read_session(project.root, id)
            entries = build_timeline(session, readers.prices(), thinking=query["thinking"])
            contents = (record.content for record in (*session.events, *session.messages))
            tools = {str(c["tool"]) for c in contents if isinstance(c, dict) and c.get("tool")}
            return Story(id, sorted(tools), entries)

        return await readers.run_heavy(read)

    async def lineage(query: ReadRequest) -> Any:
        id = (await find_session(project, readers, query.path["id"])).session_id
        return await readers.run_heavy(partial(read_lineage, project, id, readers.prices()))

    async def focus(query: ReadRequest) -> Any:
        id = (await find_session(project, readers, query.path["id"])).session_id
        read = partial(read_chains, project.root, id, with_events=query["events"])
        session_id, chains = await readers.run_heavy(read)
        return focus_of(session_id, chains, query["events"])

    filters = (
        parameters.TOOL, OF_PROJECT, MODEL, parameters.SINCE, parameters.UNTIL,
        parameters.COMPLEXITY, parameters.MIN_CONFIDENCE, parameters.MAX_COST, parameters.VERDICT,
        FAILED, WORDS, SORT, ORDER,
    )  # fmt: skip
    of_one = partial(Operation, path_words=ID)
    story_summary = "A session as entries in order of time."
    lineage_summary = "Who worked in a session, and where it came from."
    focus_summary = "The to-do lists of a session's agents."
    return [
        Operation("/v1/sessions", sessions, "Sessions.", filters, SessionItem, True),
        of_one("/v1/sessions/{id}", session, "One session.", (), SessionItem),
        of_one("/v1/sessions/{id}/story", story, story_summary, (THINKING,), Story),
        of_one("/v1/sessions/{id}/lineage", lineage, lineage_summary, (), Lineage),
        of_one("/v1/sessions/{id}/focus", focus, focus_summary, (EVENTS,), Focus),
    ]


async def find_session(project: Project, readers: ReaderPool, prefix: str) -> SessionItem:
    """Return the session whose id is this, or begins so.

    Raises:
        NotFoundError: There is none, or several begin so.
    """
    rollup, run = readers.rollup, to_thread.run_sync
    await readers.wait_until_read()
    sessions = await run(rollup_sessions.session, rollup, prefix) if prefix else []
    # Where it is a session, of an application, say, that of another id that begins so is not meant.
    if prefix and not sessions and not await names_session(project, readers, prefix):
        sessions = await run(rollup_sessions.sessions_beginning, rollup, prefix)
    if not sessions:
        hint = ""
        if not readers.follower.progress.is_complete:
            hint = "the server still reads what was recorded before its start: ask again soon"
        raise NotFoundError("there is no session of that id", hint=hint)
    if len(sessions) > 1:
        ids = ", ".join(session.session_id for session in sessions)
        raise NotFoundError(f"several sessions begin so: {ids}", hint="write more of the id")
    return sessions[0]
