"""A snapshot of a to-do list as a row, from what a tool call told."""

from typing import Any, Final
from uuid import UUID, uuid5

from khive_persist.capture.todo_lists.tool_calls import Told
from khive_persist.models.focus_chain import FocusChain
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

_NAMESPACE: Final = UUID("4b0f3c52-8f5e-4d0a-9a55-6d1f0c7e2b94")
_METADATA: Final = codec.dump({"lion_class": FocusChain.lion_class()})


def snapshot_row(
    told: Told,
    *,
    session_id: str,
    tool: str,
    source: str,
    key: str,
    created_at: str,
    order: tuple[int, ...] = (),
    **named: Any,
) -> StoredRow:
    """The row of a snapshot, for `focus_chains.woven`.

    Args:
        told: What the call said.
        session_id: Its session.
        tool: The AI tool.
        source: Who tells of it.
        key: What that source calls it; a tool's own id of the call is the same from every source,
            and so is the row's id.
        created_at: The instant, as the column has it.
        order: Its place among those of one instant.
        named: `agent_id`, `turn_id`, `tool_use_id`; what is None or empty is left out.
    """
    metadata: dict[str, Any] = {"told_by": {source: key}}
    if told.alias is not None:
        metadata["alias"] = told.alias
    if order:
        metadata["order"] = list(order)
    if told.change is not None:
        metadata["change"] = told.change
    if told.is_shared and named.get("agent_id"):
        # Who made the call; the list is not this agent's.
        metadata["by_agent_id"] = named.pop("agent_id")
    content = {
        "session_id": session_id,
        "tool": tool,
        **{name: value for name, value in named.items() if isinstance(value, str) and value},
        "items": told.after(()),
        "metadata": metadata,
    }
    if told.explanation is not None:
        content["explanation"] = told.explanation
    id = str(uuid5(_NAMESPACE, f"{tool} {session_id} {key}"))
    return id, codec.dump_lossy(content), _METADATA, created_at, None
