"""Qwen Code's transcripts: `~/.qwen/projects/<cwd>/chats/<session>.jsonl`.

A line is a message in Gemini's words, with Claude Code's frame. A subagent has a file of its own in
`subagents/<session>`, whose lines have its `agentId`. What the client asks the model besides the
conversation (compaction, memory, suggestions) stands only in lines of telemetry: these tell of
every answer, those of subagents with a file included, and of a message's answer before it.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.tools.injected import PROMPT, kind_of
from khive_persist.tools.message_part import (
    Line,
    MessagePart,
    count_in,
    mapping_of,
    mappings_in,
    present,
    text_of,
)
from khive_persist.tools.qwen_code.hooks import AGENT, SHELL, started_agent
from khive_persist.tools.qwen_code.injected import INJECTED, SUBTYPES
from khive_persist.tools.qwen_code.shell import shell_end
from khive_persist.tools.task_notification import end_in

SUBAGENTS: Final = "subagents"
_AGENT_FILE: Final = "agent-"
_META_BYTES: Final = 1 << 20
# In the id of a prompt, between the session and its number.
_OF_CONVERSATION: Final = "########"
_RESPONSE: Final = "qwen-code.api_response"
# Why a call did not run, as `ending_of` takes a status.
_STATUSES: Final = {
    "execution_denied": "declined",
    "invalid_tool_params": "invalid",
    "tool_not_registered": "invalid",
}
_CANCELLED: Final = "cancelled"
_BACKGROUND: Final = "background"
_TELEMETRY: Final = "ui_telemetry"
_COMPACTION: Final = "chat_compression"
# What the client notes for itself.
_OTHER: Final = frozenset(
    {
        "agent_bootstrap", "agent_launch_prompt", "agent_retry", "agent_session_ready",
        "at_command", "attribution_snapshot", "background_task_completed", "branch_checkpoint",
        "custom_title", "file_history_snapshot", "goal_state", "goal_turn_end", "omni_recall",
        "parent_session", "rewind", "session_artifact_event", "session_artifact_snapshot",
        "session_model", "session_source", "session_sources_snapshot", "slash_command",
        "turn_result", "user_text_elements",
    }
)  # fmt: skip


def state_of(path: Path) -> dict[str, Any]:
    """Return what a transcript's place tells: which agents have a file, and what an agent is."""
    if path.parent.parent.name == SUBAGENTS:
        meta: Any = None
        with suppress(OSError):
            meta = _small_json(path.with_suffix(".meta.json"))
        meta = mapping_of(meta)
        return present(
            agent_type=text_of(meta.get("agentType")),
            parent_tool_use_id=text_of(meta.get("toolUseId")),
            parent_agent_id=text_of(meta.get("parentAgentId")),
            model=text_of(meta.get("model")),
        )
    return {"agents": [agent.stem.removeprefix(_AGENT_FILE) for agent in agents_of(path)]}


def agents_of(path: Path) -> list[Path]:
    """List the transcripts of a session's subagents; none where their folder cannot be read."""
    with suppress(OSError):
        return sorted((path.parent.parent / SUBAGENTS / path.stem).glob(f"{_AGENT_FILE}*.jsonl"))
    return []


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The session, and of a subagent's transcript what it is and its model.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        # Agents may get a file at any time: what is known of them is not kept.
        self._agents = frozenset(map(str, state.pop("agents", ())))
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        if session := text_of(document.get("sessionId")):
            self.state["session_id"] = session
        uuid = text_of(_origin(document).get("messageUuid")) or text_of(document.get("uuid"))
        if uuid is None:
            return Line(kind, is_known=False)
        if kind == "system":
            return self._system(document, uuid)
        readers = {"user": self._user, "assistant": self._assistant, "tool_result": self._result}
        if kind not in readers:
            return Line(kind, (self._part(document, uuid, self._other(document)),), is_known=False)
        fields = readers[kind](document)
        return Line(kind, (self._part(document, uuid, fields),))

    def _part(self, document: Mapping[str, Any], uuid: str, fields: dict[str, Any]) -> MessagePart:
        fields = self._common(document) | {"message_id": uuid} | fields
        at = text_of(document.get("timestamp"))
        return MessagePart(uuid, uuid, fields, at, is_whole=True, is_copy=bool(_origin(document)))

    def _system(self, document: Mapping[str, Any], uuid: str) -> Line:
        kind = str(document.get("subtype"))
        payload = mapping_of(document.get("systemPayload"))
        if kind == _TELEMETRY:
            fields = self._side_request(mapping_of(payload.get("uiEvent")))
            return Line(kind, () if fields is None else (self._part(document, uuid, fields),))
        if kind == "parent_session" and (parent := text_of(payload.get("parentSessionId"))):
            self.state["parent_session_id"] = parent
        if kind == _COMPACTION:
            return Line(kind, (self._part(document, uuid, _compaction(payload)),))
        if kind in _OTHER:
            return Line(kind)
        part = self._part(document, uuid, self._other(document))
        return Line(kind, (part,), is_known=False)

    def _side_request(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return an answer of the model that no message is of; None for any other telemetry."""
        prompt = text_of(event.get("prompt_id")) or ""
        agent = text_of(event.get("subagent_id"))
        if event.get("event.name") != _RESPONSE or (
            agent in self._agents if agent else _OF_CONVERSATION in prompt
        ):
            return None
        number = partial(count_in, event)
        return present(
            role="assistant",
            kind="side_request",
            request_id=text_of(event.get("response_id")),
            agent_id=agent,
            agent_type=text_of(event.get("subagent_type")) if agent else None,
            model=text_of(event.get("model")),
            tokens=_tokens(
                number("input_token_count"),
                number("cached_content_token_count"),
                number("output_token_count"),
                number("thoughts_token_count"),
                number("total_token_count"),
            ),
        )

    def _user(self, document: Mapping[str, Any]) -> dict[str, Any]:
        parts = _parts_of(document)
        texts = list(_texts(parts))
        subtype = text_of(document.get("subtype"))
        end = end_in("\n".join(texts)) if subtype == "notification" else None
        return present(
            role="user",
            kind=SUBTYPES.get(subtype or "", kind_of(INJECTED, texts)),
            text="\n".join(filter(None, texts)),
            tool_results=[end] if end else None,
            blocks=_blocks(parts),
        )

    def _assistant(self, document: Mapping[str, Any]) -> dict[str, Any]:
        parts = _parts_of(document)
        usage = document.get("usageMetadata")
        usage = usage if isinstance(usage, Mapping) else None
        return present(
            role="assistant",
            kind=PROMPT,
            text="\n".join(filter(None, _texts(parts))),
            thinking="\n".join(filter(None, _texts(parts, is_thought=True))),
            tool_calls=_calls(parts),
            blocks=_blocks(parts),
            # A subagent's lines do not say it.
            model=text_of(document.get("model")) or self.state.get("model"),
            usage=dict(usage) if usage is not None else None,
            tokens=_usage_tokens(usage) if usage is not None else None,
        )

    def _result(self, document: Mapping[str, Any]) -> dict[str, Any]:
        parts = _parts_of(document)
        facts = mapping_of(document.get("toolCallResult"))
        answers = [mapping_of(part.get("functionResponse")) for part in parts]
        results = [_result_of(answer, facts) for answer in answers if answer]
        # A message that the user sent meanwhile goes to the model with the results.
        return present(
            role="tool",
            kind=PROMPT,
            text="\n".join(filter(None, _texts(parts))),
            tool_results=results,
        )

    def _other(self, document: Mapping[str, Any]) -> dict[str, Any]:
        kind = text_of(document.get("subtype")) or str(document.get("type"))
        return {"role": "system", "kind": kind, "payload": dict(document)}

    def _common(self, document: Mapping[str, Any]) -> dict[str, Any]:
        agent = text_of(document.get("agentId"))
        beside = ("agent_type", "parent_tool_use_id", "parent_agent_id") if agent else ()
        fields = {name: self.state[name] for name in beside if name in self.state}
        # Once is enough: it is the whole session's.
        fields |= {n: self.state.pop(n) for n in ("parent_session_id",) if n in self.state}
        return fields | present(
            session_id=document.get("sessionId"),
            agent_id=agent,
            forked_from=text_of(_origin(document).get("sessionId")),
            parent_id=text_of(document.get("parentUuid")),
            cwd=text_of(document.get("cwd")),
            git_branch=text_of(document.get("gitBranch")),
        )


def _origin(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the session and the line that a line of a branch repeats."""
    return mapping_of(document.get("forkedFrom"))


def _parts_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return mappings_in(mapping_of(document.get("message")).get("parts"))


def _texts(parts: list[Mapping[str, Any]], *, is_thought: bool = False) -> Iterator[str]:
    for part in parts:
        text = part.get("text")
        if isinstance(text, str) and (part.get("thought") is True) is is_thought:
            yield text


def _blocks(parts: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is neither text nor a call: pictures and the like."""
    known = ("text", "functionCall", "functionResponse")
    return [dict(part) for part in parts if not any(name in part for name in known)]


def _calls(parts: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    calls = (mapping_of(part.get("functionCall")) for part in parts)
    return [
        {"tool_use_id": call.get("id"), "name": call.get("name"), "input": call.get("args")}
        for call in calls
        if call
    ]


def _result_of(answer: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a call; `facts` is what the client knows of it besides."""
    response = mapping_of(answer.get("response"))
    name = answer.get("name")
    output = response.get("error") if "error" in response else response.get("output")
    shown = mapping_of(facts.get("resultDisplay"))
    status = text_of(facts.get("status"))
    reason = _STATUSES.get(str(facts.get("errorType")))
    result: dict[str, Any] = {
        "tool_use_id": answer.get("id"),
        "name": name,
        "output": output if output is not None else answer.get("response"),
    } | present(status=_CANCELLED if status == _CANCELLED else reason)
    if isinstance(facts.get("durationMs"), int):
        result["duration_ms"] = facts["durationMs"]
    if name in AGENT and shown.get("status") == _BACKGROUND:
        agent = started_agent(output) if isinstance(output, str) else ""
        return result | present(is_running=True, spawned_agent_id=agent)
    is_error = "error" in response or status in ("error", _CANCELLED)
    if name in SHELL and isinstance(output, str):
        end = shell_end(output)
        if end.is_background:
            return result | {"is_running": True}
        if end.exit_code is not None:
            result["exit_code"] = end.exit_code
        is_error = is_error or end.success is False
    return result | {"is_error": is_error}


def _compaction(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary that stands for what was said before."""
    for message in mappings_in(payload.get("compressedHistory")):
        texts = list(_texts(mappings_in(message.get("parts"))))
        if text := "\n".join(filter(None, texts)):
            return {"role": "user", "kind": "compaction", "text": text}
    return {"role": "system", "kind": "compaction", "payload": dict(payload)}


def _usage_tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    number = partial(count_in, usage)
    return _tokens(
        number("promptTokenCount") + number("toolUsePromptTokenCount"),
        number("cachedContentTokenCount"),
        number("candidatesTokenCount"),
        number("thoughtsTokenCount"),
        number("totalTokenCount"),
    )


def _tokens(prompt: int, cached: int, answer: int, thoughts: int, total: int) -> dict[str, int]:
    """Count the tokens of each kind.

    The prompt has the cached ones. Whether the answer has the thoughts is different by provider:
    with them apart the total is larger.
    """
    is_apart = thoughts > 0 and total >= prompt + answer + thoughts
    return {
        "input": max(0, prompt - cached),
        "cache_read": cached,
        "output": answer + thoughts if is_apart else answer,
        "reasoning": thoughts,
    }


def _small_json(path: Path) -> Any:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return codec.column(file.read(_META_BYTES))
