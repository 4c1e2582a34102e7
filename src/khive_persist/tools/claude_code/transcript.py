"""Claude Code's transcripts: `~/.claude/projects/<cwd>/<session>.jsonl`, subagents beneath.

An assistant's message stands on several lines, one a block, that repeat its usage; a session that
is a fork repeats lines of the other in a file of its own. Beside a subagent's transcript lies a
file that says which tool call started it.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.claude_code.answers import Answers
from khive_persist.tools.claude_code.background import background_end
from khive_persist.tools.claude_code.hooks import is_launch
from khive_persist.tools.claude_code.inheritance import end_of_original, session_transcript
from khive_persist.tools.claude_code.injected import INJECTED
from khive_persist.tools.claude_code.queue import Queue, digest_of
from khive_persist.tools.claude_code.usage import (
    COST_STATE,
    reported_cost,
    side_requests,
    usage_fields,
)
from khive_persist.tools.injected import PROMPT, kind_of
from khive_persist.tools.message_part import (
    NO_MESSAGE,
    Line,
    MessagePart,
    mapping_of,
    mappings_in,
    present,
    text_of,
)

# Bookkeeping of the client, which says nothing of the conversation.
_OTHER: Final = frozenset(
    [
        "agent-name", "ai-title", "custom-title", "file-history-snapshot", "last-prompt", "mode",
        "permission-mode", "pr-link", "progress", "relocated", "summary", "worktree-state",
        "api-request", "api-request-blob", "api-request-shape", "atis-latch", "tools-used",
    ]
)  # fmt: skip
# What follows an agent's answer, in the result of the call that started it.
_SPAWNED: Final = re.compile(r"agentId: ([A-Za-z0-9_-]+) \(use SendMessage ")
_HUMAN: Final = "human"
_TYPED: Final = "prompt"
# What the client says in the place of a model.
_NO_MODEL: Final = "<synthetic>"
# A file is written in another order than its lines' instants, but by less than this.
_OUT_OF_ORDER: Final = timedelta(seconds=2)


def state_of(path: Path) -> dict[str, Any]:
    """Return what lies beside a subagent's transcript: its type, and the call that started it.

    `teammate_id` is how that call's result names an agent of a team.
    """
    beside: Mapping[str, Any] = {}
    session = session_transcript(path)
    if path.name.startswith("agent-"):
        with suppress(OSError, ValueError):
            beside = mapping_of(json.loads(path.with_suffix(".meta.json").read_bytes()))
    name, team = text_of(beside.get("name")), text_of(beside.get("teamName"))
    return present(
        agent_type=text_of(beside.get("agentType")),
        parent_tool_use_id=text_of(beside.get("toolUseId")),
        teammate_id=f"{name}@{team}" if name and team else None,
        session_transcript=None if session is None else str(session),
    )


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The session, when the file began, and what lies beside it.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self._answers = Answers(state)
        self._queue = Queue(state)

    def read(self, document: Mapping[str, Any]) -> Line:
        self.state |= present(session_id=text_of(document.get("sessionId")))
        if self._is_inherited(document):
            return Line(str(document.get("type")))
        line = self._line(document)
        at = text_of(document.get("timestamp"))
        if began_at := at or text_of(mapping_of(document.get("snapshot")).get("timestamp")):
            self.state.setdefault("began_at", began_at)
        if at:
            self.state["last_at"] = at
        if line.parts and self._is_copy(document, at):
            line = line._replace(parts=tuple(p._replace(is_copy=True) for p in line.parts))
        return line

    def _is_inherited(self, document: Mapping[str, Any]) -> bool:
        """Return whether an agent's file begins with this line of its session's transcript."""
        session = self.state.get("session_transcript")
        if session is None or self.state.get("has_begun"):
            return False
        search_start = self.state.get("inherited_until", 0)
        end = end_of_original(Path(session), search_start, document)
        if end is None:
            self.state["has_begun"] = True
            return False
        self.state["inherited_until"] = end
        return True

    def _is_copy(self, document: Mapping[str, Any], at: str | None) -> bool:
        """Return whether it was said before the file began: to the session that it is a fork of."""
        if _origin(document):
            return True
        began_at = self.state.get("began_at")
        if at is None or not isinstance(began_at, str) or at >= began_at:
            return False
        try:
            return datetime.fromisoformat(began_at) - datetime.fromisoformat(at) > _OUT_OF_ORDER
        except (ValueError, TypeError):
            return False

    def _line(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        if kind in _OTHER:
            return Line(kind)
        if kind == COST_STATE:
            return Line(kind, self._cost_state(document))
        uuid = text_of(_origin(document).get("messageUuid")) or text_of(document.get("uuid"))
        if kind == "queue-operation":
            return Line(kind, self._queued(document))
        if kind == "assistant":
            return Line(kind, self._assistant(document, uuid))
        if uuid is None:
            return Line(kind, is_known=False)
        if kind == "user":
            return Line(kind, (self._user(document, uuid),))
        if kind in ("system", "attachment"):
            return Line(kind, (self._other(document, uuid, kind),))
        return Line(kind, (self._other(document, uuid, kind),), is_known=False)

    def _assistant(self, document: Mapping[str, Any], uuid: str | None) -> tuple[MessagePart, ...]:
        message = mapping_of(document.get("message"))
        message_id = text_of(message.get("id"))
        request_id = text_of(document.get("requestId"))
        at = text_of(document.get("timestamp"))
        key = uuid
        if message_id is not None:
            key = self._answers.key_of(document, message_id, request_id or "", at)
        if key is None:
            return ()
        is_models = message.get("model") != _NO_MODEL
        usage = mapping_of(message.get("usage")) if is_models else {}
        fields = self._common(document) | present(
            role="assistant",
            kind="message",
            message_id=message_id or uuid,
            request_id=request_id,
            model=message.get("model") if is_models else None,
            stop_reason=message.get("stop_reason"),
            usage=dict(usage),
            is_api_error=document.get("isApiErrorMessage"),
            **usage_fields(usage),
            **_blocks(message.get("content")),
        )
        parts = [MessagePart(key, uuid or key, fields, at)]
        for number, side in enumerate(side_requests(usage)):
            model = text_of(side.get("model")) or message.get("model")
            side_fields = present(
                role="assistant", kind=str(side["type"]), message_id=message_id or uuid,
                request_id=request_id, model=model, usage=dict(side), **usage_fields(side),
            )  # fmt: skip
            side_key = f"{key} {side['type']} {number}"
            parts.append(MessagePart(side_key, side_key, self._common(document) | side_fields, at))
        return tuple(parts)

    def _cost_state(self, document: Mapping[str, Any]) -> tuple[MessagePart, ...]:
        """Keep what the client says that the session has cost so far."""
        session, reported = text_of(document.get("sessionId")), reported_cost(document)
        if session is None or reported is None:
            return ()
        reported |= present(began_at=self.state.get("began_at"))
        key = f"{session} cost {reported['started_ms']} {reported['duration_ms']}"
        fields = {"session_id": session, "role": NO_MESSAGE, "kind": COST_STATE, "message_id": key}
        at = text_of(self.state.get("last_at"))
        return (MessagePart(key, key, fields | {"reported": reported}, at, is_whole=True),)

    def _user(self, document: Mapping[str, Any], uuid: str) -> MessagePart:
        blocks = _blocks(mapping_of(document.get("message")).get("content"))
        role = "tool" if "tool_results" in blocks and "text" not in blocks else "user"
        self._answers.see_user(is_result="tool_results" in blocks)
        origin = text_of(mapping_of(document.get("origin")).get("kind"))
        if document.get("isMeta"):
            kind = "meta"
        elif document.get("isCompactSummary"):
            kind = "compaction"
        elif role == "user" and origin not in (None, _HUMAN):
            kind = str(origin).replace("-", "_")
        else:
            kind = kind_of(INJECTED, _texts(mapping_of(document.get("message")).get("content")))
        fields = self._common(document) | present(
            role=role,
            kind=kind,
            message_id=uuid,
            tool_use_result=document.get("toolUseResult"),
            **blocks,
        )
        _note_spawned(fields)
        if (
            is_launch(mapping_of(fields.get("tool_use_result")))
            and len(fields.get("tool_results", ())) == 1
        ):
            fields["tool_results"][0]["is_running"] = True
        if (end := background_end(document)) is not None:
            fields["tool_results"] = [*fields.get("tool_results", ()), end]
        return MessagePart(uuid, uuid, fields, text_of(document.get("timestamp")), is_whole=True)

    def _queued(self, document: Mapping[str, Any]) -> tuple[MessagePart, ...]:
        """Return the prompt that the agent took while it worked."""
        prompt = self._queue.absorbed(document)
        if prompt is None:
            return ()
        text, at = prompt
        digest = digest_of(text)
        key = f"{self.state.get('session_id')} queued {at} {digest}"
        fields = self._common(document) | present(
            role="user", kind=kind_of(INJECTED, [text]), message_id=digest, text=text
        )
        return (MessagePart(key, key, fields, at, is_whole=True),)

    def _attached_prompt(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a prompt that the agent took while it worked."""
        attachment = mapping_of(document.get("attachment"))
        if attachment.get("type") != "queued_command":
            return {}
        texts = _texts(attachment.get("prompt"))
        text = "\n".join(texts)
        mode = text_of(attachment.get("commandMode")) or _TYPED
        kind = kind_of(INJECTED, texts) if mode == _TYPED else mode.replace("-", "_")
        if not text or (kind == PROMPT and not self._queue.attached(text)):
            return {}
        return {"role": "user", "kind": kind, "text": text}

    def _other(self, document: Mapping[str, Any], uuid: str, kind: str) -> MessagePart:
        text = text_of(document.get("content"))
        fields = self._common(document) | present(
            role="system", kind=document.get("subtype") or kind, message_id=uuid, text=text
        )
        fields |= {"payload": dict(document)} | self._attached_prompt(document)
        return MessagePart(uuid, uuid, fields, text_of(document.get("timestamp")), is_whole=True)

    def _common(self, document: Mapping[str, Any]) -> dict[str, Any]:
        agent = text_of(document.get("agentId"))
        beside = ("agent_type", "parent_tool_use_id", "teammate_id") if agent else ()
        fields = {name: self.state[name] for name in beside if name in self.state}
        return fields | present(
            session_id=document.get("sessionId"),
            session_kind=text_of(document.get("sessionKind")),
            forked_from=text_of(_origin(document).get("sessionId")),
            turn_id=document.get("promptId"),
            parent_id=document.get("parentUuid") or document.get("logicalParentUuid"),
            agent_id=agent,
            agent_type=document.get("attributionAgent"),
            cwd=document.get("cwd"),
            git_branch=document.get("gitBranch"),
        )


def _origin(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the session and the line that a line of a branch repeats."""
    return mapping_of(document.get("forkedFrom"))


def _note_spawned(fields: dict[str, Any]) -> None:
    """Put into the result of a call which agent it started, where it says so.

    A subagent's transcript says it in the text only, which is read for calls that start agents.
    """
    results = fields.get("tool_results", ())
    tool_use_result = mapping_of(fields.get("tool_use_result"))
    agent = text_of(tool_use_result.get("agentId")) or text_of(tool_use_result.get("agent_id"))
    for result in results:
        spawned_id = agent if len(results) == 1 else None
        for block in mappings_in(result["output"]) if spawned_id is None else ():
            match = _SPAWNED.match(str(block.get("text", "")))
            spawned_id = match[1] if match else spawned_id
        if spawned_id is not None:
            result["spawned_agent_id"] = spawned_id


def _blocks(content: Any) -> dict[str, Any]:
    """Return the text, thinking, tool calls and results of a message's content."""
    if isinstance(content, str):
        return present(text=content)
    texts, thoughts, calls, results, others = [], [], [], [], []
    for block in map(mapping_of, content if isinstance(content, list) else ()):
        match block.get("type"):
            case "text":
                texts.append(str(block.get("text", "")))
            case "thinking" | "redacted_thinking":
                thoughts.append(str(block.get("thinking", "")))
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                calls.append(
                    {"tool_use_id": block.get("id"), "name": block.get("name")}
                    | {"input": block.get("input")}
                )
            case str(kind) if kind == "tool_result" or kind.endswith("_tool_result"):
                results.append(_result(block))
            case _:
                others.append(dict(block))
    return present(
        text="\n".join(filter(None, texts)),
        thinking="\n".join(filter(None, thoughts)),
        tool_calls=calls,
        tool_results=results,
        blocks=others,
    )


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a call; that of a server's tool is an error by its kind."""
    output = block.get("content")
    is_error = str(mapping_of(output).get("type")).endswith("_tool_result_error")
    return {"tool_use_id": block.get("tool_use_id"), "output": output} | {
        "is_error": block.get("is_error") is True or is_error
    }


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    texts = (block.get("text") for block in mappings_in(content))
    return [text for text in texts if isinstance(text, str)]
