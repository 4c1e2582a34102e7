"""Claude Code's transcripts: `~/.claude/projects/<cwd>/<session>.jsonl`, subagents beneath.

An assistant's message stands on several lines, one a block, that repeat its usage; a resumed
session repeats lines in a file of its own.
"""

from collections.abc import Mapping
from typing import Any, Final

from khive_persist.transcripts.piece import Line, Piece, present, text_of

TOOL: Final = "claude-code"
# Bookkeeping of the client, which says nothing of the conversation.
_OTHER: Final = frozenset(
    [
        "agent-name", "ai-title", "custom-title", "file-history-snapshot", "last-prompt", "mode",
        "permission-mode", "pr-link", "progress", "queue-operation", "summary",
    ]
)  # fmt: skip


class Reader:
    """Reads lines of one transcript. It needs to remember nothing between them."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        """What one line says."""
        kind = str(document.get("type"))
        if kind in _OTHER:
            return Line(kind)
        uuid = text_of(document.get("uuid"))
        if kind == "assistant":
            return Line(kind, self._assistant(document, uuid))
        if uuid is None:
            return Line(kind, is_known=False)
        if kind == "user":
            return Line(kind, (self._user(document, uuid),))
        if kind in ("system", "attachment"):
            return Line(kind, (self._other(document, uuid, kind),))
        return Line(kind, (self._other(document, uuid, kind),), is_known=False)

    def _assistant(self, document: Mapping[str, Any], uuid: str | None) -> tuple[Piece, ...]:
        message = _mapping(document.get("message"))
        message_id = text_of(message.get("id"))
        request_id = text_of(document.get("requestId"))
        key = f"{message_id} {request_id or ''}" if message_id else uuid
        if key is None:
            return ()
        usage = _mapping(message.get("usage"))
        fields = _common(document) | present(
            role="assistant",
            kind="message",
            message_id=message_id or uuid,
            request_id=request_id,
            model=message.get("model"),
            stop_reason=message.get("stop_reason"),
            usage=dict(usage),
            tokens=_tokens(usage),
            is_api_error=document.get("isApiErrorMessage"),
            **_blocks(message.get("content")),
        )
        return (Piece(key, uuid or key, fields, text_of(document.get("timestamp"))),)

    def _user(self, document: Mapping[str, Any], uuid: str) -> Piece:
        blocks = _blocks(_mapping(document.get("message")).get("content"))
        role = "tool" if "tool_results" in blocks and "text" not in blocks else "user"
        kind = "message"
        if document.get("isMeta"):
            kind = "meta"
        elif document.get("isCompactSummary"):
            kind = "compaction"
        fields = _common(document) | present(
            role=role,
            kind=kind,
            message_id=uuid,
            tool_use_result=document.get("toolUseResult"),
            **blocks,
        )
        return Piece(uuid, uuid, fields, text_of(document.get("timestamp")), is_whole=True)

    def _other(self, document: Mapping[str, Any], uuid: str, kind: str) -> Piece:
        said = text_of(document.get("content"))
        fields = _common(document) | present(
            role="system", kind=document.get("subtype") or kind, message_id=uuid, text=said
        )
        fields["payload"] = dict(document)
        return Piece(uuid, uuid, fields, text_of(document.get("timestamp")), is_whole=True)


def _common(document: Mapping[str, Any]) -> dict[str, Any]:
    return present(
        session_id=document.get("sessionId"),
        turn_id=document.get("promptId"),
        parent_id=document.get("parentUuid") or document.get("logicalParentUuid"),
        agent_id=document.get("agentId"),
        agent_type=document.get("attributionAgent"),
        cwd=document.get("cwd"),
        git_branch=document.get("gitBranch"),
    )


def _blocks(content: Any) -> dict[str, Any]:
    """Text, thinking, tool calls and results of a message's content."""
    if isinstance(content, str):
        return present(text=content)
    texts, thoughts, calls, results, others = [], [], [], [], []
    for block in content if isinstance(content, list) else []:
        block = _mapping(block)
        match block.get("type"):
            case "text":
                texts.append(str(block.get("text", "")))
            case "thinking" | "redacted_thinking":
                thoughts.append(str(block.get("thinking", "")))
            case "tool_use" | "server_tool_use":
                calls.append(
                    {"tool_use_id": block.get("id"), "name": block.get("name")}
                    | {"input": block.get("input")}
                )
            case "tool_result" | "web_search_tool_result":
                results.append(
                    {"tool_use_id": block.get("tool_use_id"), "output": block.get("content")}
                    | {"is_error": block.get("is_error") is True}
                )
            case _:
                others.append(dict(block))
    return present(
        text="\n".join(filter(None, texts)),
        thinking="\n".join(filter(None, thoughts)),
        tool_calls=calls,
        tool_results=results,
        blocks=others,
    )


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    named = {
        "input": "input_tokens",
        "cache_read": "cache_read_input_tokens",
        "cache_write": "cache_creation_input_tokens",
        "output": "output_tokens",
    }
    tokens = {
        name: usage[given]
        for name, given in named.items()
        if isinstance(usage.get(given), int) and usage[given] >= 0
    }
    longer = _mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")
    if isinstance(longer, int) and 0 < longer <= tokens.get("cache_write", 0):
        # An hour in the cache costs more than five minutes.
        tokens |= {"cache_write": tokens["cache_write"] - longer, "cache_write_1h": longer}
    return tokens


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
