"""pi's transcripts: `~/.pi/agent/sessions/--<cwd>--/<time>_<id>.jsonl`, version 3.

A header names the session; each line after it is an entry of a tree, by `id` and `parentId`: who
goes back to an earlier entry goes on from there in the same file. A fork is a file of its own that
begins with the entries of the other session, under their ids and times. Every message has its
tokens and what pi says that they cost.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Final

from khive_persist import clock
from khive_persist.tools.injected import COMMAND, PROMPT
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
from khive_persist.tools.pi.hooks import SHELL

# They change what is said next, and say nothing.
_OTHER: Final = frozenset(
    {"model_change", "thinking_level_change", "context_edit", "custom", "label", "session_info"}
)
_SUMMARIES: Final = frozenset({"compaction", "branch_summary"})
_ROLES: Final = {"user": "user", "assistant": "assistant", "toolResult": "tool", "system": "system"}
_EXIT_CODE: Final = re.compile(r"\n\nCommand exited with code (\d{1,10})\Z")
_MAX_COST: Final = 1e12


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The session, when the file began, what it has cost so far, and whether a call has
            said how long it took.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        if kind == "session":
            self._meet(document)
            return Line(kind)
        if kind in _OTHER:
            return Line(kind)
        id = text_of(document.get("id"))
        if id is None:
            return Line(kind, is_known=False)
        at = text_of(document.get("timestamp"))
        # The entry's id is short, and unique in its session only; a fork has it, and its time.
        key = f"{at} {id}" if at else f"{self.state.get('session_id')} {id}"
        is_copy = self._is_copy(at)
        parts = tuple(self._parts(document, kind, key, at))
        if not is_copy:
            parts += tuple(self._reported(parts, at))
        parts = tuple(part._replace(is_copy=is_copy) for part in parts)
        return Line(kind, parts, is_known=bool(parts))

    def _meet(self, header: Mapping[str, Any]) -> None:
        parent = text_of(header.get("parentSession"))
        self.state |= present(
            session_id=text_of(header.get("id")),
            cwd=text_of(header.get("cwd")),
            began_at=text_of(header.get("timestamp")),
            forked_from=None if parent is None else session_in(PurePath(parent).name),
            is_fork=parent is not None or None,
        )

    def _is_copy(self, at: str | None) -> bool:
        """Return whether an entry was said before the file began, to the session it goes on from.

        The times are spelled alike, so that their texts are in order.
        """
        began_at = self.state.get("began_at")
        return bool(self.state.get("is_fork")) and at is not None and at < str(began_at)

    def _parts(
        self, document: Mapping[str, Any], kind: str, key: str, at: str | None
    ) -> Iterator[MessagePart]:
        common = self._common(document)
        if not self._is_copy(at):
            # Once is enough, in what this session said: it is the whole session's.
            common |= present(forked_from=self.state.pop("forked_from", None))
        if kind == "message":
            message = mapping_of(document.get("message"))
            fields = _message_fields(message)
            for result in fields.get("tool_results", ()):
                self._add_status(result)
            yield MessagePart(key, key, common | fields, at, is_whole=True)
            if message.get("role") == "toolResult" and (used := _used(message.get("usage"))):
                # The requests that the tool made of a model are none of the agent's.
                side = common | {"role": "assistant", "kind": "tool", **used}
                yield MessagePart(f"{key} usage", f"{key} usage", side, at, is_whole=True)
        elif kind in _SUMMARIES:
            fields = present(role="system", kind=kind, text=text_of(document.get("summary")))
            fields |= _used(document.get("usage"))
            yield MessagePart(key, key, common | fields, at, is_whole=True)
        elif kind == "usage":
            fields = present(
                role="assistant", kind=text_of(document.get("kind")) or kind,
                model=text_of(document.get("model")), **_used(document.get("usage")),
            )  # fmt: skip
            yield MessagePart(key, key, common | fields, at, is_whole=True)
        elif kind == "custom_message":
            fields = present(role="user", kind=kind, text=_said(document.get("content")))
            yield MessagePart(key, key, common | fields, at, is_whole=True)

    def _add_status(self, result: dict[str, Any]) -> None:
        """Set the status of a call that did not run: only one that ran has a duration.

        Versions before 1.1.0 tell no durations. An extension's reason may be any text.
        """
        if "duration_ms" in result:
            self.state["has_durations"] = True
        elif result.get("is_error") and self.state.get("has_durations"):
            result["status"] = "denied"

    def _reported(self, parts: tuple[MessagePart, ...], at: str | None) -> Iterator[MessagePart]:
        """Yield what the session has cost so far, as pi says, where a message has a cost."""
        costs = [cost for part in parts if (cost := _cost(part.fields.get("usage"))) is not None]
        session = self.state.get("session_id")
        if not costs or session is None:
            return
        self.state["cost"] = float(self.state.get("cost", 0.0)) + sum(costs)
        began_at = clock.from_column(self.state.get("began_at"))
        reported = {
            "cost": self.state["cost"],
            "started_ms": round(began_at.timestamp() * 1000) if began_at else 0,
        }
        key = f"{session} cost"
        fields = {"session_id": session, "role": NO_MESSAGE, "kind": "cost", "message_id": key}
        yield MessagePart(key, key, fields | {"reported": reported}, at, is_whole=True)

    def _common(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return present(
            session_id=self.state.get("session_id"),
            message_id=text_of(document.get("id")),
            parent_id=text_of(document.get("parentId")),
            cwd=self.state.get("cwd"),
        )


def session_in(name: str) -> str | None:
    """Return the session that a transcript's name has, `<time>_<id>.jsonl`."""
    stem, dot, _ = name.rpartition(".jsonl")
    session = stem.partition("_")[2]
    return session if dot and session else None


def _message_fields(message: Mapping[str, Any]) -> dict[str, Any]:
    role = str(message.get("role"))
    content = message.get("content")
    if role == "bashExecution":
        # A command that the person typed behind `!`.
        command = text_of(message.get("command"))
        return present(role="user", kind=COMMAND, text=command, payload=dict(message))
    if role not in _ROLES:
        text = _said(content) or text_of(message.get("summary"))
        return present(role="user", kind=role, text=text, payload=dict(message))
    fields = present(role=_ROLES[role], kind=PROMPT, text=_said(content))
    if role == "assistant":
        fields |= present(
            thinking=_thoughts(content),
            tool_calls=_calls(content),
            model=text_of(message.get("model")),
            request_id=text_of(message.get("responseId")),
            stop_reason=text_of(message.get("stopReason")),
            error=text_of(message.get("errorMessage")),
            is_api_error=message.get("stopReason") == "error" or None,
            **_used(message.get("usage")),
        )
    elif role == "toolResult":
        fields.pop("text", None)
        fields["tool_results"] = [_result(message)]
    elif role == "system":
        fields |= present(text=_sections(message))
    return fields


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = (block.get("text") for block in mappings_in(content) if block.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _thoughts(content: Any) -> str:
    texts = (block.get("thinking") for block in mappings_in(content))
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _sections(message: Mapping[str, Any]) -> str:
    """Return a system prompt, which is in sections that later ones replace by their names."""
    texts = [_said(message.get("content")), *mapping_of(message.get("sections")).values()]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)


def _calls(content: Any) -> list[dict[str, Any]]:
    return [
        {"tool_use_id": b.get("id"), "name": b.get("name"), "input": b.get("arguments")}
        for b in mappings_in(content)
        if b.get("type") == "toolCall"
    ]


def _result(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    output = _said(content)
    is_error = message.get("isError")
    result = {"tool_use_id": message.get("toolCallId"), "output": output or content}
    duration = message.get("durationMs")
    code = _EXIT_CODE.search(output) if message.get("toolName") in SHELL else None
    return result | present(
        is_error=is_error if isinstance(is_error, bool) else None,
        exit_code=int(code[1]) if code and is_error is True else None,
        duration_ms=duration if _is_number(duration) else None,
    )


def _used(usage: Any) -> dict[str, Any]:
    """Return the fields of a message that say what it used: pi's input has no cached tokens."""
    if not isinstance(usage, Mapping):
        return {}
    number = partial(count_in, usage)
    hour = min(number("cacheWrite1h"), number("cacheWrite"))
    tokens = {
        "input": number("input"),
        "cache_read": number("cacheRead"),
        "cache_write": number("cacheWrite") - hour,
        "cache_write_1h": hour,
        "output": number("output"),
        "reasoning": number("reasoning"),
    }
    return {"usage": dict(usage), "tokens": tokens} if any(tokens.values()) else {}


def _cost(usage: Any) -> float | None:
    total: Any = mapping_of(mapping_of(usage).get("cost")).get("total")
    return float(total) if _is_number(total) and 0 < total < _MAX_COST else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
