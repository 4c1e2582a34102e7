"""Gemini CLI's transcripts: `~/.gemini/tmp/<project>/chats/session-*.jsonl`.

A header names the session; a message is written again with its tool calls, and the last line of an
id counts. `{"$set": {"messages": …}}` brings the conversation as the model is sent it from then on:
without its tokens, its outputs shortened, and its tool results under another id once more. What
was said before that stays as it was. A subagent has a file of its own in a folder that is named
after its session; the call that started it names it.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.gemini_cli.hooks import SHELL
from khive_persist.tools.gemini_cli.injected import INJECTED
from khive_persist.tools.gemini_cli.shell import shell_end, unwrapped
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

# The id of a message's tool results, where they are said once more.
_RESPONSE: Final = "_response"
# Its words for how a call ended that did not succeed.
FAILED: Final = frozenset({"error", "cancelled"})


def state_of(path: Path) -> dict[str, Any]:
    """Return what a transcript's place tells: whose subagent it is, and of which project."""
    state = {}
    chats = path.parent
    if chats.name != "chats":
        state["parent_session"] = chats.name
        chats = chats.parent
    with suppress(OSError, UnicodeDecodeError):
        state["cwd"] = (chats.parent / ".project_root").read_text("utf-8").strip()
    return state


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The session, and whose subagent it is.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        if "sessionId" in document:
            self._meet(document)
            return Line("header")
        if "$set" in document:
            patch = mapping_of(document["$set"])
            return Line("$set", tuple(self._reminded(patch.get("messages"))))
        if text_of(document.get("id")) and "type" in document:
            return Line(str(document["type"]), tuple(self._messages([document])))
        return Line(",".join(sorted(map(str, document)))[:80], is_known="$rewindTo" in document)

    def _meet(self, header: Mapping[str, Any]) -> None:
        chat_id = text_of(header.get("sessionId"))
        parent = text_of(self.state.get("parent_session"))
        directories = header.get("directories")
        directories = directories if isinstance(directories, list) else []
        is_subagent = header.get("kind") == "subagent" and parent is not None
        self.state |= present(
            session_id=parent if is_subagent else chat_id,
            agent_id=chat_id if is_subagent else None,
            chat_id=chat_id,
            cwd=self.state.get("cwd") or (directories[0] if directories else None),
        )

    def _messages(self, messages: Any) -> Iterator[MessagePart]:
        for message in mappings_in(messages):
            if id := text_of(message.get("id")):
                # The same id stands for the same context in every session.
                key = f"{self.state.get('chat_id', '')} {id}"
                fields = self._fields(message, id)
                yield MessagePart(key, id, fields, text_of(message.get("timestamp")), is_whole=True)

    def _reminded(self, messages: Any) -> Iterator[MessagePart]:
        listed = mappings_in(messages)
        answered_ids = {
            id for message in listed if not _is_response(message) for id in _answered(message)
        }
        for message in listed:
            call_ids = _answered(message)
            if _is_response(message) and call_ids and call_ids <= answered_ids:
                continue
            for part in self._messages([message]):
                yield part._replace(is_whole=False, is_reminder=True)

    def _fields(self, message: Mapping[str, Any], id: str) -> dict[str, Any]:
        kind = str(message.get("type"))
        content = message.get("content")
        results = _results(content)
        roles = {"gemini": "assistant", "user": "tool" if results else "user"}
        usage = message.get("tokens")
        fields = present(
            session_id=self.state.get("session_id"),
            agent_id=self.state.get("agent_id"),
            cwd=self.state.get("cwd"),
            role=roles.get(kind, "system"),
            kind=_kind(kind, content) if kind in roles else kind,
            message_id=id,
            text=_text(content),
            thinking=_thoughts(message.get("thoughts")) or _text(content, is_thought=True),
            tool_calls=_calls(message.get("toolCalls")) or _asked(content),
            tool_results=results,
            model=message.get("model"),
            usage=dict(usage) if isinstance(usage, Mapping) else None,
            tokens=_tokens(usage) if isinstance(usage, Mapping) else None,
        )
        return fields if kind in roles else fields | {"payload": dict(message)}


def _is_response(message: Mapping[str, Any]) -> bool:
    """Return whether the client made it of a message's tool calls, when it went on from a file."""
    return (text_of(message.get("id")) or "").endswith(_RESPONSE)


def _answered(message: Mapping[str, Any]) -> set[str]:
    """Return the ids of the tool calls whose results a message has."""
    return {str(result["tool_use_id"]) for result in _results(message.get("content"))}


def _kind(kind: str, content: Any) -> str:
    if kind != "user":
        return PROMPT
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return kind_of(INJECTED, [text for text in texts if isinstance(text, str)])


def _text(content: Any, *, is_thought: bool = False) -> str:
    if isinstance(content, str):
        return "" if is_thought else content
    parts = content if isinstance(content, list) else [content]
    texts = (
        part.get("text")
        for part in parts
        if isinstance(part, Mapping) and (part.get("thought") is True) is is_thought
    )
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _thoughts(thoughts: Any) -> str:
    words = ("subject", "description")
    return "\n".join(
        " ".join(str(thought[w]) for w in words if w in thought)
        for thought in mappings_in(thoughts)
    )


def _calls(calls: Any) -> list[dict[str, Any]]:
    return [
        {"tool_use_id": call.get("id"), "name": call.get("name"), "input": call.get("args")}
        | present(
            status=call.get("status"),
            result=call.get("result"),
            **_end(call),
            ended_at=text_of(call.get("timestamp")),
            spawned_agent_id=text_of(call.get("agentId")),
        )
        for call in mappings_in(calls)
    ]


def _end(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a call ended, where its status tells less: there a failed command is a success."""
    status = call.get("status")
    if status in FAILED:
        return {"is_error": True}
    if call.get("name") not in SHELL or status != "success":
        return {}
    for part in mappings_in(call.get("result")):
        text = mapping_of(mapping_of(part.get("functionResponse")).get("response")).get("output")
        if isinstance(text, str):
            end = shell_end(unwrapped(text), call.get("resultDisplay"))
            code = {} if end.exit_code is None else {"exit_code": end.exit_code}
            return code | ({} if end.success is None else {"is_error": not end.success})
    return {}


def _asked(content: Any) -> list[dict[str, Any]]:
    """Return the tool calls in a message's content, where no line has them with their results."""
    return [
        {"tool_use_id": call.get("id"), "name": call.get("name"), "input": call.get("args")}
        for part in mappings_in(content)
        if isinstance(call := part.get("functionCall"), Mapping)
    ]


def _results(content: Any) -> list[dict[str, Any]]:
    results = []
    for part in mappings_in(content):
        answer = part.get("functionResponse")
        if isinstance(answer, Mapping):
            response = answer.get("response")
            failed = "error" in mapping_of(response)
            results.append(
                {"tool_use_id": answer.get("id"), "output": response, "is_error": failed}
            )
    return results


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    """Count the tokens of each kind: Gemini's input has the cached ones, its output no thoughts."""
    number = partial(count_in, usage)
    return {
        "input": max(0, number("input") - number("cached")) + number("tool"),
        "cache_read": number("cached"),
        "output": number("output") + number("thoughts"),
        "reasoning": number("thoughts"),
    }
