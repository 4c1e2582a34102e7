"""Droid's transcripts: `~/.factory/sessions/<cwd>/<session>.jsonl`.

The first line names the session, and the one that started it or that it goes on from. Messages are
as Anthropic has them. Each run of a hook is a message without content, of which nothing is kept.
No line has tokens: what the session used in sum, `<session>.settings.json` beside it says. A
session that goes on from another begins with that one's sum, which is taken off.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.droid.hooks import AGENT, LAUNCHED, SHELL
from khive_persist.tools.droid.injected import INJECTED
from khive_persist.tools.droid.shell import shell_end
from khive_persist.tools.droid.usage import custom_models, provider_name, usage_of, without
from khive_persist.tools.head import documents
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

START: Final = "session_start"
_USAGE: Final = "usage"
_MODELS: Final = "models"
# What the client shows the model alone, or the user alone, no user typed.
_HIDDEN: Final = ("llm_only", "user_only")
_TASK_ENDED: Final = "Background task "
_COMPLETED: Final = "completed"
_PENDING: Final = "__TOOL_RESULT_PENDING__"
_READ: Final = frozenset({"text", "thinking", "tool_use", "tool_result"})
_OTHER: Final = frozenset({"agent_turn_outcome", "session_end", "todo_state"})
# Calls that have no result yet, and tasks that run; more would be of a damaged file.
_MAX_WAITING: Final = 1_000
# Both results of a call come one after the other, but for those of calls beside it.
_MAX_ANSWERED: Final = 100


def state_of(path: Path) -> dict[str, Any]:
    """Return what lies beside a transcript: what its session used, and the user's own models."""
    state: dict[str, Any] = {}
    with suppress(OSError):
        state[_MODELS] = custom_models(path)
        usage = usage_of(path)
        if usage is not None:
            tokens = without(usage.tokens, _tokens_before(path))
            state[_USAGE] = present(tokens=tokens, model=usage.model, at=usage.at)
    return state


def _tokens_before(path: Path) -> Mapping[str, int]:
    """Return what the session that a session goes on from used; nothing where there is none."""
    start = next(documents(path), {})
    parent = text_of(start.get("parent")) if start.get("type") == START else None
    if parent is None or Path(parent).name != parent:
        return {}
    usage = usage_of(path.with_name(f"{parent}.jsonl"))
    return {} if usage is None else usage.tokens


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The session, the tools of its open calls, and the calls of its running tasks.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        # They are others each time.
        self._usage = mapping_of(state.pop(_USAGE, None))
        self._models = mapping_of(state.pop(_MODELS, None))
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        if kind == START:
            self._meet(document)
            return Line(kind, self._used())
        id = text_of(document.get("id"))
        if kind == "message" and id is not None:
            message = mapping_of(document.get("message"))
            if "hookEventName" in message:
                return Line("hook", self._used())
            fields = self._message(message)
            parts = (self._part(document, id, fields),) if fields else ()
            return Line(kind, (*self._used(), *parts))
        if kind == "compaction_state" and id is not None:
            fields = present(role="user", kind="compaction", text=document.get("summaryText"))
            return Line(kind, (*self._used(), self._part(document, id, fields)))
        return Line(kind, self._used(), is_known=kind in _OTHER)

    def _meet(self, start: Mapping[str, Any]) -> None:
        self.state |= present(
            session_id=text_of(start.get("id")),
            cwd=text_of(start.get("cwd")),
            forked_from=text_of(start.get("parent")),
            parent_session_id=text_of(start.get("callingSessionId")),
            parent_tool_use_id=text_of(start.get("callingToolUseId")),
        )

    def _used(self) -> tuple[MessagePart, ...]:
        """Return what the session used, once for all lines that are read together."""
        session, usage = text_of(self.state.get("session_id")), self._usage
        if session is None or not usage:
            return ()
        self._usage = {}
        key = f"{session} {_USAGE}"
        fields = {"session_id": session, "role": NO_MESSAGE, "kind": _USAGE, "message_id": key}
        fields |= present(
            tokens=usage.get("tokens"),
            model=self._model(usage.get("model")),
            cwd=self.state.get("cwd"),
        )
        return (MessagePart(key, key, fields, text_of(usage.get("at")), is_whole=True),)

    def _part(self, document: Mapping[str, Any], id: str, fields: dict[str, Any]) -> MessagePart:
        # Once is enough: they are the whole session's.
        once = ("forked_from", "parent_session_id", "parent_tool_use_id")
        links = {name: self.state.pop(name) for name in once if name in self.state}
        common = present(
            session_id=self.state.get("session_id"),
            parent_id=text_of(document.get("parentId")),
            cwd=self.state.get("cwd"),
        )
        at = text_of(document.get("timestamp"))
        return MessagePart(id, id, links | common | {"message_id": id} | fields, at, is_whole=True)

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        blocks = mappings_in(content)
        texts = [content] if isinstance(content, str) else _texts(blocks, "text")
        calls = [
            {"tool_use_id": block.get("id"), "name": block.get("name"), "input": block.get("input")}
            for block in blocks
            if block.get("type") == "tool_use"
        ]
        self._note(calls)
        answers = [block for block in blocks if block.get("type") == "tool_result"]
        results = [self._result(answer) for answer in answers if self._is_first(answer)]
        role = str(message.get("role"))
        if answers and not results and not texts:
            return {}
        if end := self._task_end("\n".join(texts)) if role == "user" else None:
            results.append(end)
        is_result = bool(results) and not texts
        return present(
            role="tool" if is_result else role,
            kind=_kind(message, texts) if role == "user" and not is_result else PROMPT,
            text="\n".join(filter(None, texts)),
            thinking="\n".join(filter(None, _texts(blocks, "thinking"))),
            tool_calls=calls,
            tool_results=results,
            blocks=[dict(block) for block in blocks if block.get("type") not in _READ],
            model=self._model(message.get("modelId")),
        )

    def _model(self, name: Any) -> str | None:
        return provider_name(name, self._models) if isinstance(name, str) and name else None

    def _note(self, calls: list[dict[str, Any]]) -> None:
        tools: dict[str, Any] = self.state.setdefault("tools", {})
        for call in calls:
            if isinstance(call["tool_use_id"], str) and isinstance(call["name"], str):
                tools[call["tool_use_id"]] = call["name"]
        _limit(tools)

    def _is_first(self, answer: Mapping[str, Any]) -> bool:
        """Return whether a call has no result yet: one that is interrupted gets it twice."""
        call = answer.get("tool_use_id")
        if not isinstance(call, str):
            return True
        answered: list[Any] = self.state.setdefault("answered", [])
        if call in answered:
            return False
        answered.append(call)
        del answered[:-_MAX_ANSWERED]
        return True

    def _result(self, block: Mapping[str, Any]) -> dict[str, Any]:
        call = block.get("tool_use_id")
        name = self.state.get("tools", {}).pop(call, None) if isinstance(call, str) else None
        output = block.get("content")
        text = output if isinstance(output, str) else "\n".join(_texts(mappings_in(output), "text"))
        result = {"tool_use_id": call, "output": output} | present(name=name)
        if text == _PENDING:
            return result | {"is_running": True}
        if name in AGENT and text.startswith(LAUNCHED):
            tasks: dict[str, Any] = self.state.setdefault("tasks", {})
            if task := _field(text, "task_id"):
                tasks[task] = call
            _limit(tasks)
            return result | {"is_running": True}
        is_error = block.get("is_error") is True
        if name in SHELL:
            end = shell_end(text)
            if end.is_running:
                return result | {"is_running": True}
            if end.exit_code is not None:
                return result | {"exit_code": end.exit_code, "is_error": end.exit_code != 0}
        return result | {"is_error": is_error}

    def _task_end(self, text: str) -> dict[str, Any] | None:
        """Return the end of a call that went on in the background; None for any other text."""
        if not text.startswith(_TASK_ENDED):
            return None
        call = self.state.get("tasks", {}).pop(_field(text, "task_id") or "", None)
        if not isinstance(call, str):
            return None
        reason = _field(text, "reason")
        return {"tool_use_id": call, "is_error": reason != _COMPLETED} | present(
            output=_field(text, "output"), status=reason
        )


def _texts(blocks: list[Mapping[str, Any]], kind: str) -> list[str]:
    texts = (block.get(kind) for block in blocks if block.get("type") == kind)
    return [text for text in texts if isinstance(text, str)]


def _kind(message: Mapping[str, Any], texts: list[str]) -> str:
    kind = kind_of(INJECTED, texts)
    is_hidden = message.get("visibility") in _HIDDEN
    return "meta" if is_hidden and kind == PROMPT else kind


def _field(text: str, name: str) -> str | None:
    """Return what a line of a notice says, which has its name before it."""
    for line in text.splitlines()[:10]:
        if line.startswith(f"{name}: "):
            return line[len(name) + 2 :].strip()
    return None


def _limit(waiting: dict[str, Any]) -> None:
    while len(waiting) > _MAX_WAITING:
        waiting.pop(next(iter(waiting)))
