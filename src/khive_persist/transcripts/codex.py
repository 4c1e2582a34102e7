"""Codex's transcripts: `$CODEX_HOME/sessions/Y/M/D/rollout-*.jsonl`.

Each item of a response is a line, and so a message here; the tokens of the response come on a line
after them, and count with its last item. A subagent has a file of its own, which names its parent.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from khive_persist.transcripts.piece import Line, Piece, present, text_of

TOOL: Final = "codex"
# Events repeat what items say, for the client's screen; the state of the world is not said.
_OTHER: Final = frozenset({"event_msg", "world_state", "compacted"})
_CALLS: Final = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: What later lines need of earlier ones: the session, its turn and model, and the last
            item of the model.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        """What one line says."""
        kind = str(document.get("type"))
        payload = document.get("payload")
        payload = payload if isinstance(payload, Mapping) else {}
        at = text_of(document.get("timestamp"))
        match kind:
            case "session_meta":
                self._meet(payload)
                return Line(kind)
            case "turn_context":
                self.state |= present(
                    model=payload.get("model"), turn_id=payload.get("turn_id"),
                    cwd=payload.get("cwd"),
                )  # fmt: skip
                return Line(kind)
            case "token_usage_record":
                return Line(kind, self._usage(payload, at))
            case "response_item":
                item = str(payload.get("type"))
                return Line(f"{kind} {item}", self._item(document, payload, item, at))
        return Line(kind, is_known=kind in _OTHER)

    def _meet(self, payload: Mapping[str, Any]) -> None:
        thread = text_of(payload.get("id"))
        session = text_of(payload.get("session_id")) or thread
        parent = text_of(payload.get("parent_thread_id"))
        self.state |= present(
            session_id=session,
            agent_id=thread if thread != session else None,
            parent_agent_id=parent if parent != session else None,
            cwd=payload.get("cwd"),
            forked_from=payload.get("forked_from_id"),
        )

    def _item(
        self, document: Mapping[str, Any], payload: Mapping[str, Any], item: str, at: str | None
    ) -> tuple[Piece, ...]:
        passed = payload.get("internal_chat_message_metadata_passthrough")
        turn = passed.get("turn_id") if isinstance(passed, Mapping) else None
        ordinal = document.get("ordinal")
        thread = self.state.get("agent_id") or self.state.get("session_id")
        key = text_of(payload.get("id")) or f"{thread} {ordinal}"
        fields = self._common(turn) | {"kind": "message", "message_id": key}
        if item == "message":
            role = str(payload.get("role"))
            fields |= present(role=role, text=_text(payload.get("content")))
        elif item == "reasoning":
            fields |= present(role="assistant", thinking=_text(payload.get("summary")))
            fields |= present(text=_text(payload.get("content")))
        elif item in _CALLS:
            fields |= {"role": "assistant", "tool_calls": [_call(payload)]}
        elif item in _RESULTS:
            fields |= {"role": "tool", "tool_results": [_result(payload)]}
        else:
            fields |= {"role": "system", "kind": item, "payload": dict(payload)}
        if fields["role"] == "assistant":
            fields |= present(model=self.state.get("model"))
            self.state["last_item"] = key
        return (Piece(key, key, fields, at, is_whole=False),)

    def _usage(self, payload: Mapping[str, Any], at: str | None) -> tuple[Piece, ...]:
        usage = payload.get("usage")
        response = text_of(payload.get("response_id"))
        if not isinstance(usage, Mapping) or response is None:
            return ()
        # A response without an item of its own still costs.
        key = self.state.pop("last_item", None) or response
        fields = self._common(payload.get("turn_id")) | present(
            kind="message", role="assistant", message_id=key, model=self.state.get("model"),
            request_id=response, usage=dict(usage), tokens=_tokens(usage),
        )  # fmt: skip
        return (Piece(key, response, fields, at),)

    def _common(self, turn: Any) -> dict[str, Any]:
        state = self.state
        return present(
            session_id=state.get("session_id"),
            agent_id=state.get("agent_id"),
            parent_agent_id=state.get("parent_agent_id"),
            turn_id=turn or state.get("turn_id"),
            cwd=state.get("cwd"),
        )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _call(payload: Mapping[str, Any]) -> dict[str, Any]:
    arguments = payload.get("arguments", payload.get("input", payload.get("action")))
    if isinstance(arguments, str):
        # A patch is plain text.
        with suppress(ValueError):
            arguments = json.loads(arguments)
    call = {"tool_use_id": payload.get("call_id"), "name": payload.get("name"), "input": arguments}
    return call | present(namespace=payload.get("namespace"))


def _result(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"tool_use_id": payload.get("call_id"), "output": payload.get("output")}


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    """Codex counts cached tokens as input, too, and reasoning as output."""

    def number(name: str) -> int:
        value = usage.get(name)
        return value if isinstance(value, int) and value > 0 else 0

    read, written = number("cached_input_tokens"), number("cache_write_input_tokens")
    return {
        "input": max(0, number("input_tokens") - read - written),
        "cache_read": read,
        "cache_write": written,
        "output": number("output_tokens"),
        "reasoning": number("reasoning_output_tokens"),
    }
