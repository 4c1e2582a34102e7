"""Take snapshots from a session's hook events, for where there is no transcript."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio.to_thread

from khive_persist import clock
from khive_persist.capture.client_recognition import in_our_words
from khive_persist.capture.todo_lists.snapshot_rows import snapshot_row
from khive_persist.capture.todo_lists.tool_calls import (
    TOOLS,
    completed,
    created,
    list_update,
)
from khive_persist.models.purposes import EVENT_FILES, FOCUS_CHAINS
from khive_persist.models.query import Filter, column, field
from khive_persist.project import Project
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.focus_chains import HOOKS, TASK_EVENTS, weave_in
from khive_persist.store.reader import Reader
from khive_persist.store.source import select
from khive_persist.store.sqlite.mirror_progress import Mirroring
from khive_persist.tombstones import Tombstones

_TASKS: Final = {"task_created": created, "task_completed": completed}
# The events that tell of a to-do list.
TELLING: Final[Filter] = (
    (field("event_type") == "post_tool_use") & field("tool_name").in_(TOOLS)
) | field("event_type").in_(tuple(_TASKS))


async def gather(
    project: Project,
    session_id: str,
    *,
    busy_timeout_seconds: float,
    redact: Callable[[StoredRow], StoredRow] | None = None,
    mirror: Mirroring = None,
) -> int:
    """Save the snapshots that a session's events tell of: committed, synced and copied on return.

    What a transcript told of already is not saved again, nor what was pruned; where nothing is new
    nothing is written. `redact` is given each row, and returns the one to write.

    Returns:
        How many snapshots are new, or told anew.

    Raises:
        StoreError: As its subclasses say.
        MirrorError: The second copy cannot be written.
    """
    reader = Reader([(project.database(purpose.file), purpose) for purpose in EVENT_FILES.values()])
    filters = (field("session_id") == session_id, TELLING)
    # `post_tool_use` is before `task_…`: so a call names the row, and its task's event joins it.
    order = (field("event_type"), column("created_at"))
    try:
        events = await reader.fetch(partial(select, filters=filters, order_by=order))
    finally:
        await reader.close()
    new = [row for event in events if (row := _row(session_id, event)) is not None]
    if redact is not None:
        new = [redact(row) for row in new]
    tombstones = await anyio.to_thread.run_sync(Tombstones.load, project)
    new = [row for row in new if not tombstones.is_pruned(FOCUS_CHAINS.name, row)]
    if not new:
        return 0
    path = project.database(FOCUS_CHAINS.file)
    return await anyio.to_thread.run_sync(weave_in, path, new, busy_timeout_seconds, mirror)


def _row(session_id: str, event: Any) -> StoredRow | None:
    id, content, _, created_at, _ = codec.as_text(event)
    fields = codec.column(content)
    at = clock.from_column(created_at)
    payload = fields.get("payload")
    if at is None or not isinstance(payload, dict):
        return None
    kind = fields["event_type"]
    is_call = kind not in _TASKS
    if not is_call:
        update = _TASKS[kind](payload.get("task_id"), payload.get("task_subject"))
    elif fields.get("success") is False:
        return None
    else:
        payload = in_our_words(payload)
        update = list_update(
            fields["tool_name"], payload.get("tool_input"), payload.get("tool_response")
        )
    if update is None:
        return None
    use_id = fields.get("tool_use_id") if is_call else None
    return snapshot_row(
        update,
        session_id=session_id,
        tool=str(fields.get("tool")),
        source=HOOKS if is_call else TASK_EVENTS,
        key=use_id or f"event {id}",
        created_at=clock.to_text(at),
        agent_id=fields.get("agent_id"),
        turn_id=fields.get("turn_id") or fields.get("prompt_id"),
        tool_use_id=use_id,
    )
