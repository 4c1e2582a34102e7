"""Passages: what a record gives to the index, by kind.

A passage is what a record has of one kind. Of a message that is its text (a prompt, an answer, or a
note where the client speaks), its thinking, what its calls were given and which files they name,
and what came back: outputs, and errors of calls that failed. Of an event the same as far as it has
them. A plan is one passage with its task, phases, evaluations and consensus; of a to-do list only
what is new since the snapshot before; of an own kind of the user's all strings are a note. Of
series, measurements and scores, those with a text beside name and unit are found.

No passage is longer than `MOST_CHARACTERS`; what is beyond is not found.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.prompts import is_typed
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    ASSIGNMENTS,
    CONVERSATIONS,
    EVENT_FILES,
    EXPERIMENTS,
    FOCUS_CHAINS,
    MEASUREMENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    SCORES,
    Purpose,
)
from khive_persist.search_index.result import PassageKind
from khive_persist.search_index.source import SourceRow
from khive_persist.store import codec

MOST_CHARACTERS: Final = 1_000_000
# A value that is nested deeper, or has more strings, is no text for a person.
_MOST_LEVELS: Final = 32
_MOST_STRINGS: Final = 100_000
_CALLS: Final = frozenset((*PRE, *POST))
_ENDS_OF_TURNS: Final = frozenset({"stop", "stop_failure", "subagent_stop"})
_COMMANDS: Final = ("command", "cmd", "script")
_PATHS: Final = (
    "file_path", "notebook_path", "absolute_path", "path", "dir_path", "paths", "file_paths",
)  # fmt: skip
# Of content blocks: what they are, pictures, and what only the model's vendor reads.
_NO_TEXTS: Final = frozenset(
    {"type", "data", "media_type", "mimeType", "mime_type", "signature", "encrypted_content"}
)
_SPELLED_AS_OURS: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", re.ASCII)
_CLIENTS: Final = {file.name: client for client, file in EVENT_FILES.items()}

Content = Mapping[str, Any]


class Passage(NamedTuple):
    """What a record has of one kind.

    Attributes:
        kind: The part of the record that it is.
        text: The text, as it is searched for.
        role: The speaker of a message; an empty string otherwise, as below where none is known.
        client: The client of the session.
        tool_name: The tool of the call.
        agent_id: The subagent.
        failed: Whether it is of a call that failed.
    """

    kind: PassageKind
    text: str
    role: str = ""
    client: str = ""
    tool_name: str = ""
    agent_id: str = ""
    failed: bool = False


class Indexed(NamedTuple):
    """What a record gives to the index.

    Attributes:
        session_id: Its session, of a plan the agent's; an empty string for none.
        created_at: Its time in UTC; an empty string where it cannot be read.
        passages: At most one of a kind.
    """

    session_id: str
    created_at: str
    passages: list[Passage]


def indexed(purpose: Purpose, row: SourceRow) -> Indexed:
    """Return what a row gives to the index, as it is now."""
    content = codec.column(row.content)
    if not isinstance(content, Mapping):
        content = {"text": content} if isinstance(content, str) else {}
    if purpose.name in _CLIENTS:
        of_row = _event(purpose, row, content)
    else:
        of_row = _READERS.get(purpose.name, _own_kind)(content)
    passages = {
        passage.kind: passage._replace(text=passage.text[:MOST_CHARACTERS])
        for passage in of_row
        if passage.text and not passage.text.isspace()
    }
    return Indexed(_session(purpose, content), _instant(row.created_at), list(passages.values()))


def _session(purpose: Purpose, content: Content) -> str:
    # As `sessions/definitions.py` says of plans.
    agent = _text(content, "agent_session_id") if purpose.name == PLANNER_SESSIONS.name else ""
    return agent or _text(content, "session_id")


def _instant(created_at: str | float | None) -> str:
    if isinstance(created_at, str) and _SPELLED_AS_OURS.fullmatch(created_at):
        return created_at
    instant = clock.from_column(created_at)
    return "" if instant is None else clock.to_text(instant)


def _event(purpose: Purpose, row: SourceRow, content: Content) -> Iterator[Passage]:
    event_type = _text(content, "event_type")
    failed = content.get("success") is False or event_type == "permission_denied"
    of_event = Passage(
        "note", "",
        client=_text(content, "tool") or _CLIENTS[purpose.name],
        tool_name=_text(content, "tool_name"),
        agent_id=_text(content, "agent_id"),
        failed=failed,
    )  # fmt: skip
    yield of_event._replace(kind="prompt", text=_prompt(event_type, content))
    yield of_event._replace(kind="command", text=row.command or _text(content, "command"))
    yield of_event._replace(kind="path", text=_lines(_strings(content.get("file_paths"))))
    output, error = row.output or _text(content, "output"), _text(content, "error")
    if event_type in _CALLS:
        yield of_event._replace(kind="output", text=output)
    else:
        is_answer = event_type in _ENDS_OF_TURNS
        yield of_event._replace(kind="answer" if is_answer else "note", text=output)
    yield of_event._replace(kind="error", text=error)


def _prompt(event_type: str, content: Content) -> str:
    payload = content.get("payload")
    if event_type != "prompt_submitted" or not isinstance(payload, Mapping):
        return ""
    prompt = payload.get("prompt")
    if prompt is None and isinstance(event := payload.get("event"), Mapping):
        prompt = event.get("text")
    return _lines(_strings(prompt, _NO_TEXTS))


def _message(content: Content) -> Iterator[Passage]:
    role, text = _text(content, "role"), _text(content, "text")
    client, agent = _text(content, "tool"), _text(content, "agent_id")
    # Most messages have one kind of these, and there are a million of them.
    if text:
        yield Passage(_kind_of_text(role, content, text), text, role, client, "", agent)
    if thinking := _text(content, "thinking"):
        yield Passage("thinking", thinking, role, client, "", agent)
    if calls := _objects(content, "tool_calls"):
        name = next((name for call in calls if (name := _text(call, "name"))), "")
        command = _lines(_command_of(call.get("input")) for call in calls)
        yield Passage("command", command, role, client, name, agent)
        paths = dict.fromkeys(path for call in calls for path in _paths(call.get("input")))
        yield Passage("path", _lines(paths), role, client, name, agent)
    if results := _objects(content, "tool_results"):
        outputs = [_lines(_strings(r.get("output"), _NO_TEXTS)) for r in results if not _failed(r)]
        yield Passage("output", _lines(outputs), role, client, "", agent)
        errors = [_lines(_strings(r.get("output"), _NO_TEXTS)) for r in results if _failed(r)]
        yield Passage("error", _lines(errors), role, client, "", agent, failed=True)


def _kind_of_text(role: str, content: Content, text: str) -> PassageKind:
    if role == "assistant":
        return "answer"
    is_message = (content.get("kind") or "message") == "message"
    return "prompt" if role == "user" and is_message and is_typed(text) else "note"


def _failed(result: Content) -> bool:
    return result.get("is_error") is True or bool(result.get("exit_code"))


def _command_of(value: Any) -> str:
    """Return the command that a call was given, else all its strings but those of paths."""
    if isinstance(value, Mapping):
        for name in _COMMANDS:
            if command := value.get(name):
                return " ".join(_strings(command))
        value = {name: item for name, item in value.items() if name not in _PATHS}
    return _lines(_strings(value, _NO_TEXTS))


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name in _PATHS:
            yield from _strings(value.get(name))


def _plan(content: Content) -> Iterator[Passage]:
    fields = (
        "task_description", "complexity", "workflow_pattern", "execution_plan", "phases",
        "evaluations", "consensus",
    )  # fmt: skip
    yield Passage("plan", _lines(text for name in fields for text in _strings(content.get(name))))


def _todos(content: Content) -> Iterator[Passage]:
    added, position = content.get("added"), content.get("position")
    if isinstance(added, list) and isinstance(position, int) and position > 1:
        # The rest is in the snapshots before.
        renamed = (item for item in _objects(content, "changed") if "was" in item)
        items: Iterable[str] = (*_strings(added), *(_text(item, "text") for item in renamed))
    else:
        items = (_text(item, "text") for item in _objects(content, "items"))
    yield Passage(
        "todo",
        _lines((*items, _text(content, "explanation"))),
        client=_text(content, "tool"),
        agent_id=_text(content, "agent_id"),
    )


def _outcome(content: Content) -> Iterator[Passage]:
    yield Passage("note", _lines((_text(content, "verdict"), _text(content, "note"))))


def _application(content: Content) -> Iterator[Passage]:
    about = ("session_id", "status", "version", "started_at", "updated_at", "completed_at")
    yield Passage("application", _lines(_strings(_without(content, about))))


def _series(content: Content) -> Iterator[Passage]:
    about = ("session_id", "name", "unit", "value", "max_value", "measured_at", "scored_at")
    # Of a million numbers of one name, its name finds nothing.
    if text := _lines(_strings(_without(content, about))):
        yield Passage("application", _lines((_text(content, "name"), text)))


def _experiment(content: Content) -> Iterator[Passage]:
    yield Passage("application", _lines(_strings(content)))


def _nothing(_: Content) -> Iterator[Passage]:
    return iter(())


def _own_kind(content: Content) -> Iterator[Passage]:
    yield Passage("note", _lines(_strings(_without(content, ("session_id",)))))


_READERS: Final[dict[str, Callable[[Content], Iterator[Passage]]]] = {
    CONVERSATIONS.name: _message,
    PLANNER_SESSIONS.name: _plan,
    FOCUS_CHAINS.name: _todos,
    OUTCOMES.name: _outcome,
    APPLICATION_SESSIONS.name: _application,
    MEASUREMENTS.name: _series,
    SCORES.name: _series,
    EXPERIMENTS.name: _experiment,
    ASSIGNMENTS.name: _nothing,
}


def _text(content: Content, name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def _objects(content: Content, name: str) -> list[Content]:
    value = content.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _without(content: Content, names: Iterable[str]) -> Content:
    return {name: value for name, value in content.items() if name not in names}


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(text for text in texts if text)


def _strings(value: Any, skipped: Collection[str] = ()) -> list[str]:
    """Return the strings in a value, in order, but those of some keys."""
    if isinstance(value, str):
        return [value]
    strings: list[str] = []
    pending = [(value, 0)]
    while pending and len(strings) < _MOST_STRINGS:
        item, level = pending.pop()
        if isinstance(item, str):
            strings.append(item)
        elif level < _MOST_LEVELS and isinstance(item, list):
            pending += ((part, level + 1) for part in reversed(item))
        elif level < _MOST_LEVELS and isinstance(item, Mapping):
            parts = [part for name, part in item.items() if name not in skipped]
            pending += ((part, level + 1) for part in reversed(parts))
    return strings
