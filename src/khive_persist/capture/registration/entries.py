"""Our hooks among those of a settings file.

All three tools write them alike: `{"hooks": {EVENT: [{"matcher": …, "hooks": [{"type": "command",
"command": …, "timeout": …}]}]}}`. Ours are known by their command; we give each a group of its own,
the last of its event: Codex knows the hooks that its user trusts by their position.
"""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from khive_persist.capture.registration.command import is_ours
from khive_persist.capture.registration.json_text import Container, Item, JsonText, Step
from khive_persist.capture.tools import Hook, Tool

_HOOKS: Final = "hooks"
_COMMAND: Final = "command"
# The first steps of an entry's way: to `hooks`, to the event, to the group.
_TO_GROUP: Final = 3
_EMPTY_FILE: Final = "{\n}\n"


class Entry(NamedTuple):
    """One of our hooks.

    Attributes:
        event: The event that it is registered for.
        command: What it runs.
        way: From the root to it.
    """

    event: str
    command: str
    way: tuple[Step, ...]


def find_entries(settings: JsonText, tool: Tool) -> list[Entry]:
    """Our hooks, in the file's order.

    Raises:
        InvalidJsonError: `hooks`, or one of the tool's events in it, is of a shape that the tool
            does not take. What else does not look like a hook is none of ours.
    """
    events = {hook.event for hook in tool.registration.hooks}
    entries = []
    for to_hooks in _steps(settings.root):
        if to_hooks.item.key != _HOOKS:
            continue
        if not isinstance(to_hooks.item.value, dict):
            settings.refuse('"hooks" is not an object', to_hooks.item.at)
        for to_event in _steps(settings.container(to_hooks.item)):
            event = to_event.item
            if isinstance(event.value, list):
                for way, command in _commands(settings, event):
                    if is_ours(command, tool.name):
                        entries.append(Entry(str(event.key), command, (to_hooks, to_event, *way)))
            elif event.key in events:
                settings.refuse(f'"{event.key}" in "hooks" is not an array', event.at)
    return entries


def with_entry(settings: JsonText | None, tool: Tool, hook: Hook, command: str) -> str:
    """The text with our hook for one event; None stands for no file."""
    group: dict[str, object] = {"matcher": hook.matcher} if hook.matcher else {}
    name = {"name": tool.registration.entry_name} if tool.registration.entry_name else {}
    group[_HOOKS] = [{**name, "type": "command", _COMMAND: command, "timeout": hook.timeout}]
    text = json.dumps(group, ensure_ascii=False)
    levels = [(_HOOKS, "{}"), (hook.event, "[]")]
    if settings is None:
        # As if its root had come with the item, so that it goes with it.
        new = JsonText(_EMPTY_FILE)
        return new.insert(new.root, text, levels).replace("{", "{\n  ", 1)
    container = settings.root
    while levels and (found := _last(container, levels[0][0])):
        container = settings.container(found)
        levels.pop(0)
    return settings.insert(container, text, levels)


def with_command(settings: JsonText, entry: Entry, command: str) -> str:
    """The text with another command in one of our hooks."""
    old = _last(settings.container(entry.way[-1].item), _COMMAND)
    assert old is not None  # It is how the entry was found.
    return settings.replace(old.at, old.end, json.dumps(command, ensure_ascii=False))


def without_entry(settings: JsonText, entry: Entry, tool: Tool) -> str | None:
    """The text without one of our hooks; None where nothing is left of a file that was ours."""
    group = entry.way[_TO_GROUP - 1].item.value
    hooks = group.get(_HOOKS) if isinstance(group, dict) else None
    alone = isinstance(hooks, list) and all(
        isinstance(hook, dict) and is_ours(hook.get(_COMMAND), tool.name) for hook in hooks
    )
    return settings.remove(entry.way[:_TO_GROUP] if alone else entry.way)


def _commands(settings: JsonText, event: Item) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Each command of an event, and the way to it from there."""
    for to_group in _steps(settings.container(event)):
        if not isinstance(to_group.item.value, dict):
            continue
        for to_hooks in _steps(settings.container(to_group.item)):
            if to_hooks.item.key != _HOOKS or not isinstance(to_hooks.item.value, list):
                continue
            for to_hook in _steps(settings.container(to_hooks.item)):
                hook = to_hook.item.value
                command = hook.get(_COMMAND) if isinstance(hook, dict) else None
                if isinstance(command, str):
                    yield (to_group, to_hooks, to_hook), command


def _steps(container: Container) -> Iterator[Step]:
    return (Step(container, index) for index in range(len(container.items)))


def _last(container: Container, key: str) -> Item | None:
    """The member of that key; of several the last, as the tools read it."""
    return next((item for item in reversed(container.items) if item.key == key), None)
