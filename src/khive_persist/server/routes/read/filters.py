"""The filters of the parameters of a request."""

import anyio.to_thread

from khive_persist.models.criteria import OF_PLANS, TIMES, filters_of
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import Filter, field
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read.operations import ReadRequest
from khive_persist.sessions.read import SESSION_FILES, begins, is_session, other_purposes


async def of_session(project: Project, readers: ReaderPool, query: ReadRequest) -> list[Filter]:
    """`session`, an id or the beginning of one."""
    id = query["session"]
    return [] if id is None else [session_filter(id, await names_session(project, readers, id))]


def session_filter(id: str, is_exact: bool) -> Filter:
    """Return one session, or those whose ids begin so."""
    return field("session_id") == id if is_exact else begins(id)


async def names_session(project: Project, readers: ReaderPool, id: str) -> bool:
    """Return whether it is a session's id, and not the beginning of some."""
    async with readers.reader(*SESSION_FILES) as reader:
        if await is_session(reader, id):
            return True
    for other in await anyio.to_thread.run_sync(other_purposes, project):
        async with readers.reader(other) as reader:
            if await is_session(reader, id):
                return True
    return False


def of_times(query: ReadRequest) -> list[Filter]:
    """Return the filters of `since` and `until`."""
    return filters_of(**{name: query[name] for name in TIMES})


def of_plans(query: ReadRequest) -> list[Filter]:
    """Return the filters of `complexity`, `min_confidence` and `max_cost`."""
    return filters_of(**{name: query[name] for name in OF_PLANS})


def of_tool(query: ReadRequest) -> list[Filter]:
    """Return the filter of an event's `tool`."""
    return [*HookEvent.filters_of(query["tool"])]


def of_type(query: ReadRequest) -> list[Filter]:
    """Return the filter of an event's `type`."""
    return filters_of(type=query["type"])
