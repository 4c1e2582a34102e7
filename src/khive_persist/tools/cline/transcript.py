"""Cline's transcripts: `~/.cline/data/sessions/<id>/<id>.messages.json`.

One JSON document an agent, rewritten as a whole each time: its head, and then the messages. Results
of tools are messages of the user's. A subagent has a file of its own in its session's folder. What
is beside it, `<id>.json`, has the working directory.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from khive_persist import clock
from khive_persist.tools.cline.results import result_of
from khive_persist.tools.injected import kind_of
from khive_persist.tools.message_part import (
    NO_MESSAGE,
    Line,
    MessagePart,
    count_in,
    mapping_of,
    mappings_in,
    present,
    text_of,
)

SUFFIX: Final = ".messages.json"
_LEAD: Final = "lead"
# What it puts around a prompt: in which mode the person was.
_WRAPPER: Final = re.compile(r"\A<user_input mode=\"[^\"]*\">(.*)</user_input>\Z", re.DOTALL)
_INJECTED: Final = {
    "<mode_notice>": "context",
    "<environment_details>": "context",
    "<context_summary>": "compaction",
}
_MOST_BYTES: Final = 1 << 20
_MAX_COST: Final = 1e12


def state_of(path: Path) -> dict[str, Any]:
    """Return what lies beside a transcript: the session's working directory and start."""
    session = path.parent.name
    try:
        with (path.parent / f"{session}.json").open("rb") as file:
            beside = mapping_of(json.loads(file.read(_MOST_BYTES)))
    except (OSError, ValueError, RecursionError):
        return {}
    return present(
        folder_session=text_of(beside.get("session_id")),
        cwd=text_of(beside.get("cwd")) or text_of(beside.get("workspace_root")),
        started_at=text_of(beside.get("started_at")),
    )


class Reader:
    """Reads the head and the messages of one transcript.

    Attributes:
        state: The session, whose agent it is, and what it has cost so far.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        if "role" in document:
            return Line("message", tuple(self._message(document)))
        if "sessionId" in document:
            self._meet(document)
            return Line("head")
        return Line(",".join(sorted(map(str, document)))[:80], is_known=False)

    def _meet(self, head: Mapping[str, Any]) -> None:
        own = text_of(head.get("sessionId"))
        origin = mapping_of(head.get("origin"))
        parent = text_of(origin.get("parentThreadId"))
        agent = text_of(origin.get("subagent"))
        is_agent = parent is not None and (agent is not None or head.get("agent") != _LEAD)
        self.state |= present(
            session_id=parent if is_agent else own,
            agent_id=(agent or own) if is_agent else None,
            agent_type=text_of(head.get("agent")) if is_agent else None,
            parent_is_session=is_agent or None,
        )

    def _message(self, message: Mapping[str, Any]) -> Iterator[MessagePart]:
        id = text_of(message.get("id"))
        role = text_of(message.get("role"))
        if id is None or role is None:
            return
        at = _instant(message.get("ts"))
        blocks = message.get("content")
        results = _results(blocks)
        texts = _texts(blocks)
        is_users = role == "user"
        metrics = mapping_of(message.get("metrics"))
        fields = self._common() | present(
            role="tool" if is_users and results and not texts else role,
            kind=kind_of(_INJECTED, texts) if is_users else "message",
            message_id=id,
            text="\n".join(texts),
            thinking=_thoughts(blocks),
            tool_calls=_calls(blocks),
            tool_results=results,
            model=text_of(mapping_of(message.get("modelInfo")).get("id")),
            **_used(metrics),
        )
        key = f"{self.state.get('session_id')} {self.state.get('agent_id', '')} {id}"
        yield MessagePart(key, id, fields, at, is_whole=True)
        yield from self._reported(metrics, at)

    def _reported(self, metrics: Mapping[str, Any], at: str | None) -> Iterator[MessagePart]:
        """Yield what the session has cost so far, as Cline says, where a message has a cost."""
        cost, session = metrics.get("cost"), self.state.get("session_id")
        if not isinstance(cost, int | float) or not 0 < cost < _MAX_COST or session is None:
            return
        agent = self.state.get("agent_id")
        self.state["cost"] = float(self.state.get("cost", 0.0)) + cost
        if agent is not None:
            # The total is of the session's own messages: the client has one for each agent.
            return
        started_at = clock.from_column(self.state.get("started_at"))
        reported = {
            "cost": self.state["cost"],
            "started_ms": round(started_at.timestamp() * 1000) if started_at else 0,
        }
        key = f"{session} cost"
        fields = {"session_id": session, "role": NO_MESSAGE, "kind": "cost", "message_id": key}
        yield MessagePart(key, key, fields | {"reported": reported}, at, is_whole=True)

    def _common(self) -> dict[str, Any]:
        names = ("session_id", "agent_id", "agent_type", "parent_is_session", "cwd")
        return {name: self.state[name] for name in names if name in self.state}


def _instant(milliseconds: Any) -> str | None:
    if not isinstance(milliseconds, int) or not 0 < milliseconds < 1 << 46:
        return None
    return clock.to_text(clock.from_ns(milliseconds * 1_000_000))


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [_unwrapped(content)]
    texts = (block.get("text") for block in mappings_in(content) if block.get("type") == "text")
    return [_unwrapped(text) for text in texts if isinstance(text, str) and text]


def _unwrapped(text: str) -> str:
    match = _WRAPPER.match(text)
    return match[1] if match else text


def _thoughts(content: Any) -> str:
    texts = (
        block.get("thinking") or block.get("text")
        for block in mappings_in(content)
        if block.get("type") in ("thinking", "reasoning")
    )
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _calls(content: Any) -> list[dict[str, Any]]:
    return [
        {"tool_use_id": block.get("id"), "name": block.get("name"), "input": block.get("input")}
        for block in mappings_in(content)
        if block.get("type") == "tool_use"
    ]


def _results(content: Any) -> list[dict[str, Any]]:
    results = []
    for block in mappings_in(content):
        if block.get("type") != "tool_result":
            continue
        output, is_error = block.get("content"), block.get("is_error") is True
        read = result_of(str(block.get("name")), output, is_error=is_error or None)
        end = {"is_error": not read.success} if read.success is not None else {}
        code = {"exit_code": read.exit_code} if read.exit_code is not None else {}
        results.append({"tool_use_id": block.get("tool_use_id"), "output": output} | end | code)
    return results


def _used(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a message that say what it used: Cline's input has the cached ones."""
    number = partial(count_in, metrics)
    cache_read, cache_write = number("cacheReadTokens"), number("cacheWriteTokens")
    tokens = {
        "input": max(0, number("inputTokens") - cache_read - cache_write),
        "cache_read": cache_read,
        "cache_write": cache_write,
        "output": number("outputTokens"),
    }
    return {"usage": dict(metrics), "tokens": tokens} if any(tokens.values()) else {}
