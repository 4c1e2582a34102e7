"""`FocusChain`: one snapshot of an agent's to-do list."""

from typing import Annotated, Any, ClassVar, Required

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from khive_persist.purposes import FOCUS_CHAINS, Purpose
from khive_persist.records.node import Node


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
    since the snapshot before, as texts of items.
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
    turn_id: str
    tool_use_id: str
    explanation: str
    metadata: dict[str, Any]


class FocusChain(Node):
    """One snapshot of a to-do list."""

    purpose: ClassVar[Purpose] = FOCUS_CHAINS

    content: FocusChainContent
