"""`Message`: one message of a conversation, from a tool's transcript."""

from typing import Annotated, Any, ClassVar, Required

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from khive_persist.models.node import Node
from khive_persist.models.purposes import CONVERSATIONS, Purpose

Count = Annotated[int, Field(ge=0)]


@with_config(ConfigDict(extra="allow"))
class ToolCall(TypedDict, total=False):
    """A tool that the model asked for. `tool_use_id` links it to its hook events and its result.

    `ended_at` is the instant that the tool's transcript has for its end; `spawned_agent_id` the
    subagent that it started.
    """

    tool_use_id: str
    name: str
    input: Any
    ended_at: str
    spawned_agent_id: str


@with_config(ConfigDict(extra="allow"))
class ToolResult(TypedDict, total=False):
    """The answer of a tool."""

    tool_use_id: str
    output: Any
    is_error: bool
    exit_code: int
    spawned_agent_id: str


@with_config(ConfigDict(extra="allow"))
class Tokens(TypedDict, total=False):
    """Tokens by class; no token is in two of them, but for `reasoning`, which `output` includes.

    `usage` of the message has the tool's own numbers, which overlap otherwise in each tool.
    """

    input: Count
    cache_read: Count
    cache_write: Count
    cache_write_1h: Count
    output: Count
    reasoning: Count


@with_config(ConfigDict(extra="allow"))
class MessageContent(TypedDict, total=False):
    """The content of a message. A field that it does not have is absent.

    `role` is user, assistant, tool, system or developer; it is `none` for a line of a kind that is
    not known here, which is no message. `kind` is `message`, or what else the line of the
    transcript was: a prompt is the user's and a `message`, and what the client says in the user's
    name is of another kind. `line` is that of the transcript, from 1. `payload` is the line of
    a kind that has no fields of its own here. `session_kind` is that of a session which is not the
    usual one, as `bg` for one that goes on in the background.

    What tells of lineage: a subagent's messages have its `agent_id`, and as the tool has it its
    parent's (`parent_agent_id`, or `parent_is_session`), the call that started it
    (`parent_tool_use_id`), or its name in a team (`teammate_id`). `forked_from` and
    `parent_session_id` name another session, once a session. `metadata.sessions` lists the other
    sessions whose transcripts repeat the message.
    """

    tool: Required[str]
    role: Required[str]
    kind: str
    session_id: str
    session_kind: str
    message_id: str
    line: Count
    turn_id: str
    text: str
    thinking: str
    tool_calls: list[ToolCall]
    tool_results: list[ToolResult]
    model: str
    tokens: Tokens
    usage: dict[str, Any]
    request_id: str
    stop_reason: str
    parent_id: str
    agent_id: str
    agent_type: str
    parent_agent_id: str
    parent_is_session: bool
    parent_tool_use_id: str
    teammate_id: str
    forked_from: str
    parent_session_id: str
    cwd: str
    git_branch: str
    transcript_path: str
    metadata: dict[str, Any]
    payload: Any


class Message(Node):
    """One message, whatever the number of lines, files and sessions that repeat it."""

    purpose: ClassVar[Purpose] = CONVERSATIONS

    content: MessageContent
