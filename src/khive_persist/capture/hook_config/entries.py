"""Find and edit our hooks among those of a settings file.

All three tools write them alike: `{"hooks": {EVENT: [{"matcher": …, "hooks": [{"type": "command",
"command": …, "timeout": …}]}]}}`. Ours are known by their command, or by the URL and the header of
an HTTP hook; we give each a group of its own, the last of its event: Codex knows the hooks that its
user trusts by their position.
"""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from khive_persist.capture.hook_config.command import is_ours
from khive_persist.capture.hook_config.http_hook import gets_token, http_hook, is_our_http_hook
from khive_persist.capture.hook_config.json_edit import Container, Item, JsonText, Step
from khive_persist.tools import Hook, Tool

_HOOKS: Final = "hooks"
_COMMAND: Final = "command"
_ARGS: Final = "args"
_URL: Final = "url"
_TIMEOUT: Final = "timeout"
# The first steps of an entry's way: to `hooks`, to the event, to the group.
_TO_GROUP: Final = 3
_EMPTY_FILE: Final = "{\n}\n"


class Target(NamedTuple):
    """The URL or the command that gets an event.

    Attributes:
        url: The URL that it is sent to, or an empty string for a command.
        command: The command that is run, or an empty string for an HTTP hook.
        args: The arguments of a command that is a program, run without a shell.
    """

    url: str = ""
    command: str = ""
    args: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One of our hooks.

    Attributes:
        event: The event that it is registered for.
        target: The URL or command that gets the event.
        is_whole: Whether it has all that this needs.
        way: The steps from the root to it.
    """

    event: str
    target: Target
    is_whole: bool
    way: tuple[Step, ...]


def find_entries(settings: JsonText, tool: Tool) -> list[Entry]:
    """Return our hooks, in the file's order.

    Raises:
        InvalidJsonError: `hooks`, or one of the tool's events in it, is of a shape that the tool
            does not take. Anything else that does not look like a hook is none of ours.
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
                for way, hook in _hooks(settings, event):
                    target = _target(hook, tool)
                    if target is not None:
                        is_whole = not target.url or gets_token(hook)
                        to_hook = (to_hooks, to_event, *way)
                        entries.append(Entry(str(event.key), target, is_whole, to_hook))
            elif event.key in events:
                settings.refuse(f'"{event.key}" in "hooks" is not an array', event.at)
    return entries


def find_alike(settings: JsonText, is_alike: Callable[[object], bool]) -> list[str]:
    """Return the events that have a hook with a command of a kind, in the file's order."""
    return [
        str(to_event.item.key)
        for to_hooks in _steps(settings.root)
        if to_hooks.item.key == _HOOKS and isinstance(to_hooks.item.value, dict)
        for to_event in _steps(settings.container(to_hooks.item))
        if isinstance(to_event.item.value, list)
        for _, hook in _hooks(settings, to_event.item)
        if is_alike(hook.get(_COMMAND))
    ]


def with_entry(settings: JsonText | None, tool: Tool, hook: Hook, target: Target) -> str:
    """Return the text with our hook for one event; None stands for no file."""
    group: dict[str, object] = {"matcher": hook.matcher} if hook.matcher else {}
    name = {"name": tool.registration.entry_name} if tool.registration.entry_name else {}
    group[_HOOKS] = [{**name, **_hook(target, hook.timeout)}]
    text = json.dumps(group, ensure_ascii=False)
    levels = [(_HOOKS, "{}"), (hook.event, "[]")]
    if settings is None:
        # As if its root had come with the item, so that it goes with it.
        new = JsonText(_EMPTY_FILE)
        return new.insert(new.root, text, levels).replace("{", "{\n  ", 1)
    container = settings.root
    while levels and (member := _last(container, levels[0][0])):
        container = settings.container(member)
        levels.pop(0)
    return settings.insert(container, text, levels)


def with_target(settings: JsonText, entry: Entry, target: Target) -> str:
    """Return the text with another target for one of our hooks, at its place with its timeout."""
    item = entry.way[-1].item
    inside = settings.container(item)
    if target.command and entry.target.command and not (target.args or entry.target.args):
        old = _last(inside, _COMMAND)
        assert old is not None  # It is how the entry was found.
        return settings.replace(old.at, old.end, json.dumps(target.command, ensure_ascii=False))
    timeout = _last(inside, _TIMEOUT)
    new = _hook(target, 0)
    if timeout is None:
        del new[_TIMEOUT]
    else:
        new[_TIMEOUT] = json.loads(settings.text[timeout.at : timeout.end])
    return settings.replace(item.at, item.end, json.dumps(new, ensure_ascii=False))


def without_entry(settings: JsonText, entry: Entry, tool: Tool) -> str | None:
    """Return the text without one of our hooks; None where nothing is left of a file of ours."""
    group = entry.way[_TO_GROUP - 1].item.value
    hooks = group.get(_HOOKS) if isinstance(group, dict) else None
    alone = isinstance(hooks, list) and all(
        isinstance(hook, dict) and _target(hook, tool) is not None for hook in hooks
    )
    return settings.remove(entry.way[:_TO_GROUP] if alone else entry.way)


def _hook(target: Target, timeout: int) -> dict[str, object]:
    if target.url:
        return http_hook(target.url, timeout)
    args = {_ARGS: [*target.args]} if target.args else {}
    return {"type": "command", _COMMAND: target.command, **args, _TIMEOUT: timeout}


def _target(hook: Mapping[str, Any], tool: Tool) -> Target | None:
    """Return the target of a hook, if it is ours."""
    command, args = hook.get(_COMMAND), hook.get(_ARGS)
    if isinstance(args, list) and args:
        if isinstance(command, str) and all(isinstance(word, str) for word in args):
            is_program = is_ours(shlex.join([command, *args]), tool.name)
            return Target(command=command, args=tuple(args)) if is_program else None
    elif isinstance(command, str) and is_ours(command, tool.name):
        return Target(command=command)
    return Target(url=hook[_URL]) if is_our_http_hook(hook, tool.name) else None


def _hooks(settings: JsonText, event: Item) -> Iterator[tuple[tuple[Step, ...], Mapping[str, Any]]]:
    """Yield each hook of an event, and the way to it from there."""
    for to_group in _steps(settings.container(event)):
        if not isinstance(to_group.item.value, dict):
            continue
        for to_hooks in _steps(settings.container(to_group.item)):
            if to_hooks.item.key != _HOOKS or not isinstance(to_hooks.item.value, list):
                continue
            for to_hook in _steps(settings.container(to_hooks.item)):
                hook = to_hook.item.value
                if isinstance(hook, dict):
                    yield (to_group, to_hooks, to_hook), hook


def _steps(container: Container) -> Iterator[Step]:
    return (Step(container, index) for index in range(len(container.items)))


def _last(container: Container, key: str) -> Item | None:
    """Return the member of that key; of several the last, as the tools read it."""
    return next((item for item in reversed(container.items) if item.key == key), None)
