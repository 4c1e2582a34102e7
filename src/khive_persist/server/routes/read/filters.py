"""The filters of the parameters of a request."""

import anyio.to_thread

from khive_persist.models.query import Filter, column, field
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
    """`since` and `until`."""
    filters: list[Filter] = []
    if query["since"] is not None:
        filters.append(column("created_at") >= query["since"])
    if query["until"] is not None:
        filters.append(column("created_at") < query["until"])
    return filters


def of_plans(query: ReadRequest) -> list[Filter]:
    """`complexity`, `min_confidence` and `max_cost`."""
    filters: list[Filter] = []
    if query["complexity"] is not None:
        filters.append(field("complexity") == query["complexity"])
    if query["min_confidence"] is not None:
        filters.append(field("confidence") >= query["min_confidence"])
    if query["max_cost"] is not None:
        filters.append(field("planning_cost") <= query["max_cost"])
    return filters


def of_type(query: ReadRequest) -> list[Filter]:
    """`type`, of an event."""
    return [] if query["type"] is None else [field("event_type") == query["type"]]
