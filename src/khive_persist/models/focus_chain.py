"""`FocusChain`: one snapshot of an agent's to-do list."""

from typing import Annotated, Any, ClassVar, Required, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from khive_persist.models.active_store import bound
from khive_persist.models.node import Node
from khive_persist.models.purposes import FOCUS_CHAINS, Purpose


@with_config(ConfigDict(extra="allow"))
class FocusItem(TypedDict, total=False):
    """One item. `status` is pending, in_progress or completed by custom; others are kept."""

    id: str
    text: Required[str]
    status: Required[str]


@with_config(ConfigDict(extra="allow"))
class FocusChainContent(TypedDict, total=False):
    """The content of a snapshot: the whole list, in its order. Unknown fields are kept.

    `position` counts the snapshots of one agent in one session, from 1. The lists say what changed
    since the snapshot before, as `todo_list.Changes` does. A store fills in both when it saves.
    """

    session_id: Required[str]
    items: Required[list[FocusItem]]
    tool: str
    agent_id: str
    position: Annotated[int, Field(ge=1)]
    added: list[str]
    started: list[str]
    completed: list[str]
    dropped: list[str]
    changed: list[dict[str, str]]
    turn_id: str
    tool_use_id: str
    explanation: str
    metadata: dict[str, Any]


class FocusChain(Node):
    """One snapshot of a to-do list."""

    purpose: ClassVar[Purpose] = FOCUS_CHAINS

    content: FocusChainContent

    @classmethod
    async def get_history(cls, session_id: str) -> list[Self]:
        """Return every snapshot of a session, of all its agents, oldest first."""
        async with bound(cls) as store:
            return await store.get_history(session_id)

    @classmethod
    async def get_current(cls, session_id: str, agent_id: str | None = None) -> Self | None:
        """Return the last snapshot of an agent, or None; without an id, of the main agent."""
        async with bound(cls) as store:
            return await store.get_current(session_id, agent_id)
