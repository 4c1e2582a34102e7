"""Make the row of a to-do list's snapshot from a tool call."""

from typing import Any, Final
from uuid import UUID, uuid5

from khive_persist.capture.todo_lists.tool_calls import ListUpdate
from khive_persist.models.focus_chain import FocusChain
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

_NAMESPACE: Final = UUID("4b0f3c52-8f5e-4d0a-9a55-6d1f0c7e2b94")
_METADATA: Final = codec.dump({"lion_class": FocusChain.lion_class()})


def snapshot_row(
    update: ListUpdate,
    *,
    session_id: str,
    tool: str,
    source: str,
    key: str,
    created_at: str,
    order: tuple[int, ...] = (),
    **ids: Any,
) -> StoredRow:
    """Return the row of a snapshot, for `focus_chains.woven`.

    Args:
        update: The update that the call makes.
        session_id: The session of the call.
        tool: The AI tool.
        source: The source that tells of it.
        key: The source's name for it; a tool's own id of the call is the same from every source,
            and so is the row's id.
        created_at: The instant, as the column has it.
        order: The position among the snapshots of one instant.
        ids: `agent_id`, `turn_id`, `tool_use_id`; what is None or empty is left out.
    """
    metadata: dict[str, Any] = {"told_by": {source: key}}
    if update.alias is not None:
        metadata["alias"] = update.alias
    if order:
        metadata["order"] = list(order)
    if update.change is not None:
        metadata["change"] = update.change
    if update.is_shared and ids.get("agent_id"):
        # Who made the call; the list is not this agent's.
        metadata["by_agent_id"] = ids.pop("agent_id")
    content = {
        "session_id": session_id,
        "tool": tool,
        **{name: value for name, value in ids.items() if isinstance(value, str) and value},
        "items": update.after(()),
        "metadata": metadata,
    }
    if update.explanation is not None:
        content["explanation"] = update.explanation
    id = str(uuid5(_NAMESPACE, f"{tool} {session_id} {key}"))
    return id, codec.dump_lossy(content), _METADATA, created_at, None
