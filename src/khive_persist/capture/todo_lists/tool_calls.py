"""Read what a tool call says of a to-do list: all of it, or a change of one item.

Claude Code writes the whole list with TodoWrite, and one task at a time with TaskCreate and
TaskUpdate; Codex writes its plan with update_plan, Gemini CLI its to-dos with write_todos, OpenCode
and Kilo theirs with todowrite, Qwen Code with todo_write, Droid with TodoWrite, as lines of text,
and Kimi Code with TodoList, by which it also reads them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from khive_persist.models.todo_list import COMPLETED, DELETED, status_of, updated
from khive_persist.store import codec

# The list's name in the input, by tool.
_LISTS: Final = {
    "TodoWrite": "todos",
    "update_plan": "plan",
    "write_todos": "todos",
    "todowrite": "todos",
    "todo_write": "todos",
    "TodoList": "todos",
}
# Droid's item: `2. [in_progress] the text`.
_LINE: Final = re.compile(r"\s*(?:\d+[.)]|[-*])?\s*\[([^\]\n]*)\]\s*(\S.*?)\s*")
_TASKS: Final = ("TaskCreate", "TaskUpdate")
TOOLS: Final = (*_LISTS, *_TASKS)
_TEXTS: Final = ("content", "step", "description", "text", "title")
_CREATED: Final = re.compile(r"Task #(\S+) created")
# What Claude Code answers for an update that it made; for one that it refused, the reason alone.
_UPDATED: Final = re.compile(r"Updated task #")
# Codex does not mark a call that it refused, as it does in Plan mode and where the tool is off.
_REFUSED: Final = re.compile(
    r"^(?:failed to parse function arguments: |unsupported call: update_plan$"
    r"|update_plan is a TODO/checklist tool and is not allowed in Plan mode$"
    r"|update_plan handler received unsupported payload)"
)


class ListUpdate(NamedTuple):
    """The update of a to-do list that a call makes.

    Attributes:
        items: The whole list, where the call writes it.
        change: Else one item: `id`, `text`, `status`, as `todo_list.updated` takes it.
        explanation: The reason, in the agent's words.
        alias: The key that a record of the same update from elsewhere would have; it knows no id
            of the call.
        is_shared: Whether the list is the session's, whichever of its agents made the call.
    """

    items: list[dict[str, Any]] | None = None
    change: dict[str, Any] | None = None
    explanation: str | None = None
    alias: str | None = None
    is_shared: bool = False

    def after(self, previous: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the list after the update."""
        return updated(previous, self.change or {}) if self.items is None else self.items


def list_update(name: str, arguments: Any, result: Any) -> ListUpdate | None:
    """Return the update that a call makes; None where it makes none, or failed.

    `result` is its text, or its object, as hooks and transcripts give it.
    """
    if not isinstance(arguments, Mapping) or _failed(name, result):
        return None
    if name in _LISTS:
        return _list(name, arguments)
    if name == "TaskCreate":
        id = _task_id(result)
        return None if _id(id) is None else created(id, arguments.get("subject"))
    if name == "TaskUpdate":
        return _task_update(arguments)
    return None


def created(id: object, subject: object) -> ListUpdate | None:
    """Return the update of a new task."""
    if not isinstance(subject, str):
        return None
    if (task_id := _id(id)) is None:
        return ListUpdate(change={"text": subject}, is_shared=True)
    change = {"id": task_id, "text": subject}
    return ListUpdate(change=change, alias=f"created {task_id}", is_shared=True)


def completed(id: object, subject: object) -> ListUpdate | None:
    """Return the update of a completed task."""
    if (task_id := _id(id)) is None:
        return None
    fields = {"text": subject} if isinstance(subject, str) else {}
    change = {"id": task_id, **fields, "status": COMPLETED}
    return ListUpdate(change=change, alias=f"{COMPLETED} {task_id}", is_shared=True)


def _list(name: str, arguments: Mapping[str, Any]) -> ListUpdate | None:
    listed = arguments.get(_LISTS[name])
    is_text = isinstance(listed, str)
    if isinstance(listed, str):
        listed = _lines(listed)
    if not isinstance(listed, list):
        return None
    items = [item for entry in listed if (item := _item(entry)) is not None]
    if len(items) < len(listed):
        return None
    explanation = arguments.get("explanation")
    # The hooks of Gemini and Droid know no id of the call.
    alias = f"list {_digest(items)}" if name == "write_todos" or is_text else None
    return ListUpdate(
        items, None, explanation if isinstance(explanation, str) and explanation else None, alias
    )


def _lines(text: str) -> list[dict[str, str]] | None:
    """Return the items of a list that is written as lines; None where one is no item."""
    items = []
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        items.append({"text": match[2], "status": match[1].strip()})
    return items or None


def _item(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, Mapping):
        return None
    key = next((key for key in _TEXTS if isinstance(entry.get(key), str)), None)
    if key is None:
        return None
    # An id here is a number in the list, which the next list gives to another item.
    others = {n: v for n, v in entry.items() if n not in (key, "status", "id", "text")}
    return {"text": entry[key], "status": status_of(entry.get("status"))} | others


def _task_update(arguments: Mapping[str, Any]) -> ListUpdate | None:
    if (id := _id(arguments.get("taskId"))) is None:
        return None
    change = {"id": id}
    if isinstance(arguments.get("subject"), str):
        change["text"] = arguments["subject"]
    if isinstance(arguments.get("status"), str):
        word = arguments["status"]
        change["status"] = DELETED if word == DELETED else status_of(word)
    if len(change) == 1:
        return None
    is_completed = change.get("status") == COMPLETED
    alias = f"{COMPLETED} {id}" if is_completed else None
    return ListUpdate(change=change, alias=alias, is_shared=True)


def _task_id(result: Any) -> object:
    if isinstance(result, Mapping):
        task = result.get("task")
        return task.get("id") if isinstance(task, Mapping) else None
    match = _CREATED.search(_text(result))
    return match[1] if match else None


def _failed(name: str, result: Any) -> bool:
    if isinstance(result, Mapping):
        return result.get("success") is False or bool(result.get("error"))
    if name == "TaskUpdate":
        text = _text(result)
        return bool(text) and _UPDATED.match(text) is None
    return name == "update_plan" and _REFUSED.search(_text(result)) is not None


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    parts = result if isinstance(result, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def _id(value: object) -> str | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or (isinstance(value, str) and value) else None


def _digest(items: list[dict[str, Any]]) -> str:
    text = codec.dump_lossy([[item["text"], item["status"]] for item in items])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
