"""`HookEvent`: one event of an AI tool's session."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Required, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from khive_persist.errors import InvalidRecordError
from khive_persist.models.active_store import bound
from khive_persist.models.node import Node
from khive_persist.models.purposes import (
    AGENT_HOOKS,
    EVENT_FILES,
    HOOK_EVENTS,
    OTHER_CLIENTS,
    Purpose,
)
from khive_persist.models.query import Filter, field

DEFAULT_TOOL = "claude-code"


@with_config(ConfigDict(extra="allow"))
class HookEventContent(TypedDict, total=False):
    """The content of a hook event. A field that the event does not have is absent.

    `event_type` is the same word for the same thing across tools; `hook_event_name` is the tool's
    own. `output` is a preview, the first 200 characters, and `command` has its first 500; `payload`
    is all that the tool sent, unchanged but for what redaction and limits mark. The view `events`
    gives both texts whole. `metadata` says how it was marked.
    """

    event_type: Required[str]
    tool: str
    hook_event_name: str
    session_id: str
    tool_name: str
    tool_use_id: str
    command: str
    output: str
    file_paths: list[str]
    cwd: str
    transcript_path: str
    agent_id: str
    agent_type: str
    turn_id: str
    prompt_id: str
    model: str
    duration_ms: Annotated[float, Field(allow_inf_nan=False)]
    success: bool
    error: str
    metadata: dict[str, Any]
    payload: Any


class HookEvent(Node):
    """One event. Its `tool` decides the file that it lives in; without one, Claude Code's."""

    content: HookEventContent

    @classmethod
    def purpose_of(cls, content: Any) -> Purpose:
        tool = content.get("tool", DEFAULT_TOOL) if isinstance(content, Mapping) else None
        if isinstance(tool, str) and tool in OTHER_CLIENTS:
            return AGENT_HOOKS
        if not isinstance(tool, str) or tool not in HOOK_EVENTS:
            raise InvalidRecordError(
                f"the tool {tool!r} is not known", hint="one of " + ", ".join(HOOK_EVENTS)
            )
        return HOOK_EVENTS[tool]

    @classmethod
    def purposes(cls) -> Sequence[Purpose]:
        return tuple(EVENT_FILES.values())

    @classmethod
    def purposes_of(cls, tool: str | None) -> Sequence[Purpose]:
        """Return the files that may have events of a tool; None stands for all of them."""
        if tool is None:
            return cls.purposes()
        if tool in EVENT_FILES:
            return (EVENT_FILES[tool],)
        # Up to 0.1 other clients' events were in the file of the tool whose hooks they ran.
        return (AGENT_HOOKS, EVENT_FILES[DEFAULT_TOOL])

    @classmethod
    def filters_of(cls, tool: str | None) -> Sequence[Filter]:
        """Return the filters of a tool's events in `purposes_of`; none for those of all tools.

        A row that names no tool is of the one whose file it lies in.
        """
        if tool is None:
            return ()
        is_named = field("tool") == tool
        return (is_named | field("tool").is_null() if tool in EVENT_FILES else is_named,)

    @classmethod
    async def get_by_type(cls, event_type: str, limit: int | None = None) -> list[Self]:
        """Return the events of one type, newest first."""
        async with bound(cls) as store:
            return await store.get_by_type(event_type, limit)

    @classmethod
    async def get_by_session(cls, session_id: str) -> list[Self]:
        """Return the events of one session, in the order in which they arrived."""
        async with bound(cls) as store:
            return await store.get_by_session(session_id)

    @classmethod
    async def get_since(cls, instant: datetime) -> list[Self]:
        """Return the events that arrived at `instant` or later, in order."""
        async with bound(cls) as store:
            return await store.get_since(instant)
