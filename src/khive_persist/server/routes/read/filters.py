"""What the parameters of a request mean as filters."""

import anyio.to_thread

from khive_persist.models.query import Filter, column, field
from khive_persist.server.context import Serving
from khive_persist.server.routes.read.operations import Asked
from khive_persist.sessions.read import SESSION_FILES, begins, is_session, other_purposes


async def of_session(serving: Serving, asked: Asked) -> list[Filter]:
    """`session`, an id or the beginning of one."""
    if asked["session"] is None:
        return []
    return [session_filter(asked["session"], await names_session(serving, asked["session"]))]


def session_filter(id: str, is_exact: bool) -> Filter:
    """One session, or those whose ids begin so."""
    return field("session_id") == id if is_exact else begins(id)


async def names_session(serving: Serving, id: str) -> bool:
    """Return whether it is a session's id, and not the beginning of some."""
    async with serving.reading.reader(*SESSION_FILES) as reader:
        if await is_session(reader, id):
            return True
    for other in await anyio.to_thread.run_sync(other_purposes, serving.project):
        async with serving.reading.reader(other) as reader:
            if await is_session(reader, id):
                return True
    return False


def of_times(asked: Asked) -> list[Filter]:
    """`since` and `until`."""
    found: list[Filter] = []
    if asked["since"] is not None:
        found.append(column("created_at") >= asked["since"])
    if asked["until"] is not None:
        found.append(column("created_at") < asked["until"])
    return found


def of_plans(asked: Asked) -> list[Filter]:
    """`complexity`, `min_confidence` and `max_cost`."""
    found: list[Filter] = []
    if asked["complexity"] is not None:
        found.append(field("complexity") == asked["complexity"])
    if asked["min_confidence"] is not None:
        found.append(field("confidence") >= asked["min_confidence"])
    if asked["max_cost"] is not None:
        found.append(field("planning_cost") <= asked["max_cost"])
    return found


def of_type(asked: Asked) -> list[Filter]:
    """`type`, of an event."""
    return [] if asked["type"] is None else [field("event_type") == asked["type"]]
