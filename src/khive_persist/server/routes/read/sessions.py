"""`GET /v1/sessions` and what there is of one session."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from khive_persist import clock
from khive_persist.errors import NotFoundError
from khive_persist.server.context import Serving
from khive_persist.server.routes.read import parameters as given
from khive_persist.server.routes.read.filters import names_session
from khive_persist.server.routes.read.listing import Listing, Page
from khive_persist.server.routes.read.operations import Asked, Operation
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.schemas import FOCUS, LINEAGE, SESSION, STORY
from khive_persist.sessions import todo_history
from khive_persist.sessions.lineage.document import as_document
from khive_persist.sessions.lineage.lineage import read_lineage
from khive_persist.sessions.read import read_session
from khive_persist.sessions.rollup import sessions as asking
from khive_persist.sessions.rollup.sessions import SORTS, SessionItem, SessionsWanted
from khive_persist.sessions.timeline.build import tell
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.todo_history import read_chains
from khive_persist.transfer.writing.csv import line

ID: Final = {"id": "A session's id, or the beginning of one."}
VERDICT: Final = Parameter("verdict", "text", "Whose verdict that counts is this.")
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


def operations(serving: Serving) -> list[Operation]:
    """Return what this group answers."""
    reading = serving.reading

    async def sessions(asked: Asked) -> Listing:
        wanted = SessionsWanted(
            tool=asked["tool"],
            since=None if asked["since"] is None else clock.to_text(asked["since"]),
            until=None if asked["until"] is None else clock.to_text(asked["until"]),
            complexity=asked["complexity"],
            min_confidence=asked["min_confidence"],
            max_cost=asked["max_cost"],
            verdict=asked["verdict"],
            words=(asked["q"] or "").split()[:MAX_WORDS],
            sort=asked["sort"],
            descending=asked["order"] == "desc",
        )

        async def page(after: Sequence[Any] | None, limit: int) -> Page:
            await reading.was_read()
            return Page(
                *await reading.in_thread(asking.sessions, reading.rollup, wanted, after, limit)
            )

        kinds = (str if asked["sort"] in ("last", "started") else (int, float), str)
        return Listing(page, kinds, SessionItem._asdict, partial(line, SessionItem._fields), line)

    async def session(asked: Asked) -> Any:
        return (await _one(serving, asked.path["id"]))._asdict()

    async def story(asked: Asked) -> Any:
        id = (await _one(serving, asked.path["id"])).session_id

        async def read() -> dict[str, Any]:
            told = await read_session(serving.project.root, id)
            entries = tell(told, reading.prices(), thinking=asked["thinking"])
            contents = (one.content for one in (*told.events, *told.messages))
            tools = {str(c["tool"]) for c in contents if isinstance(c, dict) and c.get("tool")}
            return {
                "session_id": id,
                "tools": sorted(tools),
                "entries": [_entry(entry) for entry in entries],
            }

        return await reading.apart(read)

    async def lineage(asked: Asked) -> Any:
        id = (await _one(serving, asked.path["id"])).session_id
        found = await reading.apart(partial(read_lineage, serving.project, id, reading.prices()))
        return as_document(found)

    async def focus(asked: Asked) -> Any:
        id = (await _one(serving, asked.path["id"])).session_id
        read = partial(read_chains, serving.project.root, id, with_events=asked["events"])
        session_id, chains = await reading.apart(read)
        agents = [todo_history.as_document(chain, asked["events"]) for chain in chains]
        return {"session_id": session_id, "agents": agents}

    filters = (
        given.TOOL, given.SINCE, given.UNTIL, given.COMPLEXITY, given.MIN_CONFIDENCE,
        given.MAX_COST, VERDICT, WORDS, SORT, ORDER,
    )  # fmt: skip
    return [
        Operation("/v1/sessions", sessions, "Sessions.", filters, SESSION, True),
        Operation("/v1/sessions/{id}", session, "One session.", (), SESSION, path_words=ID),
        Operation(
            "/v1/sessions/{id}/story",
            story,
            "A session as entries in order of time.",
            (THINKING,),
            STORY,
            path_words=ID,
        ),
        Operation(
            "/v1/sessions/{id}/lineage",
            lineage,
            "Who worked in a session, and where it came from.",
            (),
            LINEAGE,
            path_words=ID,
        ),
        Operation(
            "/v1/sessions/{id}/focus",
            focus,
            "The to-do lists of a session's agents.",
            (EVENTS,),
            FOCUS,
            path_words=ID,
        ),
    ]


async def _one(serving: Serving, begin: str) -> SessionItem:
    rollup = serving.reading.rollup
    await serving.reading.was_read()
    found = await serving.reading.in_thread(asking.session, rollup, begin) if begin else []
    # Where it is a session, of an application, say, that of another id that begins so is not meant.
    if begin and not found and not await names_session(serving, begin):
        found = await serving.reading.in_thread(asking.beginning, rollup, begin)
    if not found:
        hint = ""
        if not serving.reading.follower.progress.is_complete:
            hint = "the server still reads what was recorded before its start: ask again soon"
        raise NotFoundError("there is no session of that id", hint=hint)
    if len(found) > 1:
        some = ", ".join(one.session_id for one in found)
        raise NotFoundError(f"several sessions begin so: {some}", hint="write more of the id")
    return found[0]


def _entry(entry: Entry) -> dict[str, Any]:
    told = entry._asdict()
    return {"at": clock.to_text(told.pop("created_at"))} | told | {"lines": list(entry.lines)}
