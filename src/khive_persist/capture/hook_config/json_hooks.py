"""Find and edit our hooks in a settings file of JSON.

The tools write them in three forms. `groups` is `{"hooks": {EVENT: [{"matcher": …, "hooks":
[{"type": "command", "command": …, "timeout": …}]}]}}`, `root groups` the same without the outer
`hooks`, `flat` has the hooks themselves in an event's array. Ours are known by their command, or by
the URL and the header of an HTTP hook; in groups we give each a group of its own, the last of its
event: Codex knows the hooks that its user trusts by their position.

What a new file begins with, as its version, stands behind `hooks` where we add it, and before it
where others wrote it: so it goes with our last hook, and theirs stays.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from khive_persist.capture.hook_config.command import is_ours
from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.capture.hook_config.http_hook import gets_token, http_hook, is_our_http_hook
from khive_persist.capture.hook_config.json_edit import Container, Item, JsonText, Step
from khive_persist.tools import Hook, Registration

_HOOKS: Final = "hooks"
_ARGS: Final = "args"
_URL: Final = "url"
_MATCHER: Final = "matcher"
_EMPTY_FILE: Final = "{\n}\n"


class JsonHooks:
    """The hooks of one text. It does not change: edits return text.

    Args:
        text: The text of the settings file.
        tool: The name of the tool that reads it.
        registration: The form that the tool reads.

    Attributes:
        text: The text.

    Raises:
        InvalidJsonError: It is no JSON object.
    """

    def __init__(self, text: str, tool: str, registration: Registration) -> None:
        self.text = text
        self._tool = tool
        self._registration = registration
        self._settings = JsonText(text, comments=registration.comments)

    @classmethod
    def created(cls, tool: str, registration: Registration, hook: Hook, target: Target) -> str:
        """Return the text of a new file with our hook for one event."""
        # As if its root had come with the item, so that it goes with it.
        text = cls(_EMPTY_FILE, tool, registration).with_entry(hook, target)
        return text.replace("{", "{\n  ", 1)

    def entries(self) -> list[Entry]:
        """Return our hooks, in the file's order.

        Raises:
            InvalidJsonError: `hooks`, or one of the tool's events in it, is of a shape that the
                tool does not take. Anything else that does not look like a hook is none of ours.
        """
        events = {hook.event for hook in self._registration.hooks}
        entries = []
        for way, container in self._event_maps():
            for to_event in _steps(container):
                event = to_event.item
                if isinstance(event.value, list):
                    for rest, hook in self._hooks(event):
                        target = self._target(hook)
                        if target is not None:
                            is_whole = not target.url or gets_token(hook)
                            to_hook = (*way, to_event, *rest)
                            entries.append(Entry(str(event.key), target, is_whole, to_hook))
                elif event.key in events:
                    location = f' in "{_HOOKS}"' if self._has_key else ""
                    self._settings.refuse(f'"{event.key}"{location} is not an array', event.at)
        return entries

    def alike(self, is_alike: Callable[[object], bool]) -> list[str]:
        """Return the events that have a hook with a command of a kind, in the file's order."""
        return [
            str(to_event.item.key)
            for _, container in self._event_maps()
            for to_event in _steps(container)
            if isinstance(to_event.item.value, list)
            for _, hook in self._hooks(to_event.item)
            if is_alike(hook.get(self._registration.command_key))
        ]

    def with_entry(self, hook: Hook, target: Target) -> str:
        """Return the text with our hook for one event."""
        matcher: dict[str, object] = {_MATCHER: hook.matcher} if hook.matcher else {}
        name = {"name": self._registration.entry_name} if self._registration.entry_name else {}
        entry = {**name, **self._hook(target, hook.timeout)}
        item = {**matcher, _HOOKS: [entry]} if self._has_groups else {**entry, **matcher}
        levels = [(_HOOKS, "{}")] if self._has_key else []
        levels.append((hook.event, "[]"))
        settings, container = self._settings, self._settings.root
        is_new = self._has_key and _last(container, _HOOKS) is None
        while levels and (member := _last(container, levels[0][0])):
            container = settings.container(member)
            levels.pop(0)
        text = settings.insert(container, json.dumps(item, ensure_ascii=False), levels)
        return self._with_head(text) if is_new else text

    def with_target(self, entry: Entry, target: Target) -> str:
        """Return the text with another target for one of our hooks, at its place."""
        settings, item = self._settings, entry.way[-1].item
        inside = settings.container(item)
        if target.command and entry.target.command and not (target.args or entry.target.args):
            old = _last(inside, self._registration.command_key)
            assert old is not None  # It is how the entry was found.
            return settings.replace(old.at, old.end, json.dumps(target.command, ensure_ascii=False))
        key = self._registration.timeout_key
        timeout = _last(inside, key)
        new = self._hook(target, 0)
        if timeout is not None:
            new[key] = json.loads(settings.text[timeout.at : timeout.end])
        else:
            new.pop(key, None)
        return settings.replace(item.at, item.end, json.dumps(new, ensure_ascii=False))

    def without_entry(self, entry: Entry) -> str | None:
        """Return the text without one of our hooks; None where nothing is left of a file of ours.

        A group goes with the last of our hooks, where it has no others.
        """
        way = entry.way
        if self._has_groups:
            to_group = way[:-2]
            group = to_group[-1].item.value
            hooks = group.get(_HOOKS) if isinstance(group, dict) else None
            if isinstance(hooks, list) and all(
                isinstance(hook, dict) and self._target(hook) is not None for hook in hooks
            ):
                way = to_group
        text = self._settings.remove(way)
        return text if text is None else self._without_head(text)

    @property
    def _has_key(self) -> bool:
        """Whether the events stand below `hooks`, and not at the top."""
        return self._registration.form != "root groups"

    @property
    def _has_groups(self) -> bool:
        return self._registration.form != "flat"

    def _event_maps(self) -> Iterator[tuple[tuple[Step, ...], Container]]:
        """Yield each object that has events, and the way to it."""
        if not self._has_key:
            yield (), self._settings.root
            return
        for to_hooks in _steps(self._settings.root):
            if to_hooks.item.key == _HOOKS:
                if not isinstance(to_hooks.item.value, dict):
                    self._settings.refuse(f'"{_HOOKS}" is not an object', to_hooks.item.at)
                yield (to_hooks,), self._settings.container(to_hooks.item)

    def _hooks(self, event: Item) -> Iterator[tuple[tuple[Step, ...], Mapping[str, Any]]]:
        """Yield each hook of an event, and the way to it from there."""
        settings = self._settings
        for to_item in _steps(settings.container(event)):
            if not isinstance(to_item.item.value, dict):
                continue
            if not self._has_groups:
                yield (to_item,), to_item.item.value
                continue
            for to_hooks in _steps(settings.container(to_item.item)):
                if to_hooks.item.key != _HOOKS or not isinstance(to_hooks.item.value, list):
                    continue
                for to_hook in _steps(settings.container(to_hooks.item)):
                    hook = to_hook.item.value
                    if isinstance(hook, dict):
                        yield (to_item, to_hooks, to_hook), hook

    def _hook(self, target: Target, timeout: int) -> dict[str, object]:
        if target.url:
            return http_hook(target.url, timeout)
        names = self._registration
        kind = {"type": "command"} if names.has_type else {}
        args = {_ARGS: [*target.args]} if target.args else {}
        limit = {names.timeout_key: timeout} if names.timeout_key else {}
        return {**kind, names.command_key: target.command, **args, **limit}

    def _target(self, hook: Mapping[str, Any]) -> Target | None:
        """Return the target of a hook, if it is ours."""
        command, args = hook.get(self._registration.command_key), hook.get(_ARGS)
        if isinstance(args, list) and args:
            if isinstance(command, str) and all(isinstance(word, str) for word in args):
                is_program = is_ours(shlex.join([command, *args]), self._tool)
                return Target(command=command, args=tuple(args)) if is_program else None
        elif isinstance(command, str) and is_ours(command, self._tool):
            return Target(command=command)
        return Target(url=hook[_URL]) if is_our_http_hook(hook, self._tool) else None

    def _with_head(self, text: str) -> str:
        """Return a text with what a new file begins with, as far as it is not there."""
        for key, value in self._registration.head.items():
            settings = JsonText(text, comments=self._registration.comments)
            if _last(settings.root, key) is None:
                item = f"{json.dumps(key)}: {json.dumps(value)}"
                text = settings.insert(settings.root, item)
        return text

    def _without_head(self, text: str) -> str | None:
        """Return a text that our last hook has left without what `_with_head` added for it."""
        root, left = self._settings.root, JsonText(text, comments=self._registration.comments)
        keys = [item.key for item in root.items]
        if _HOOKS not in keys or _last(left.root, _HOOKS) is not None:
            return text
        position = keys.index(_HOOKS)
        ours = {key: _as_read(value) for key, value in self._registration.head.items()}
        added = [item.key for item in _while_in(root.items[position + 1 :], ours)]
        result: str | None = text
        while added and result is not None:
            left = JsonText(result, comments=self._registration.comments)
            result = left.remove((Step(left.root, position + len(added) - 1),))
            added.pop()
        return result


def _while_in(items: Iterable[Item], members: Mapping[str, object]) -> Iterator[Item]:
    """Yield the first items, as long as each is one of these members."""
    for item in items:
        if item.key is None or item.key not in members or members[item.key] != item.value:
            return
        yield item


def _as_read(value: object) -> object:
    """Return a value as `JsonText` reads it."""
    return JsonText(json.dumps({"value": value})).value["value"]


def _steps(container: Container) -> Iterator[Step]:
    return (Step(container, index) for index in range(len(container.items)))


def _last(container: Container, key: str) -> Item | None:
    """Return the member of that key; of several the last, as the tools read it."""
    return next((item for item in reversed(container.items) if item.key == key), None)
