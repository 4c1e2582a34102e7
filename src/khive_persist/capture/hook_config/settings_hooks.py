"""`SettingsHooks`: our hooks as entries of a tool's settings file, in the form of that tool."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.capture.hook_config.hook_files import Plan, Registered, Written
from khive_persist.capture.hook_config.json_hooks import JsonHooks
from khive_persist.capture.hook_config.settings_file import SettingsFile
from khive_persist.capture.hook_config.toml_hooks import TomlHooks
from khive_persist.tools import Hook, Registration

_EMPTY_JSON: Final = "{}\n"


class HookText(Protocol):
    """The text of a settings file with hooks: `JsonHooks`, `TomlHooks`."""

    text: str

    def entries(self) -> list[Entry]:
        """Return our hooks, in the file's order."""

    def alike(self, is_alike: Callable[[object], bool]) -> list[str]:
        """Return the events that have a hook with a command of a kind, in the file's order."""

    def with_entry(self, hook: Hook, target: Target) -> str:
        """Return the text with our hook for one event."""

    def with_target(self, entry: Entry, target: Target) -> str:
        """Return the text with another target for one of our hooks, at its place."""

    def without_entry(self, entry: Entry) -> str | None:
        """Return the text without one of our hooks; None where nothing is left of our file."""


Kind: TypeAlias = type[JsonHooks] | type[TomlHooks]


class SettingsHooks:
    """Our hooks in one settings file.

    Args:
        path: The settings file.
        tool: The name of the tool that reads it.
        registration: The form that the tool reads.

    Attributes:
        path: The settings file.
    """

    def __init__(self, path: Path, tool: str, registration: Registration) -> None:
        self.path = path
        self._tool = tool
        self._registration = registration
        self._kind: Kind = TomlHooks if registration.form == "toml" else JsonHooks
        empty = "" if registration.form == "toml" else _EMPTY_JSON
        self._file: SettingsFile[HookText] = SettingsFile(path, self._parsed, empty=empty)

    def registered(self, is_alike: Callable[[object], bool] = lambda _command: False) -> Registered:
        """Return our hooks in the file, as `HookFiles.registered` does."""
        return self._file.read(
            lambda hooks: (
                Registered()
                if hooks is None
                else Registered(tuple(hooks.entries()), tuple(hooks.alike(is_alike)))
            )
        )

    def install(self, plan: Plan) -> Written:
        """Register our hook for what is due, as `HookFiles.install` does."""
        changed: list[str] = []

        def with_hooks(hooks: HookText | None) -> str | None:
            changed.clear()
            hooks = self._without(hooks, lambda entry: plan.is_unknown(entry.event), changed)
            for hook in self._registration.hooks:
                registered = {entry.event for entry in _entries(hooks)}
                if hook.event not in registered and plan.is_due(hook):
                    hooks = self._parsed(self._with(hooks, hook, plan.target_of(hook.event)))
                    changed.append(hook.event)
            while hooks is not None:
                old = next((e for e in _entries(hooks) if _is_outdated(e, plan)), None)
                if old is None:
                    return hooks.text
                hooks = self._parsed(hooks.with_target(old, plan.target_of(old.event)))
                changed.append(old.event)
            return None

        was_written = self._file.edit(with_hooks)
        return Written(was_written, tuple(changed))

    def uninstall(self) -> Written:
        """Take our hooks out, as `HookFiles.uninstall` does."""
        removed: list[str] = []

        def without_hooks(hooks: HookText | None) -> str | None:
            removed.clear()
            hooks = self._without(hooks, lambda _entry: True, removed)
            return None if hooks is None else hooks.text

        was_written = self._file.edit(without_hooks)
        return Written(was_written, tuple(dict.fromkeys(removed)))

    def changed_at(self) -> float:
        """Return the time of the file's last change, as `HookFiles.changed_at` does."""
        return os.stat(self.path).st_mtime

    def _parsed(self, text: str) -> HookText:
        return self._kind(text, self._tool, self._registration)

    def _with(self, hooks: HookText | None, hook: Hook, target: Target) -> str:
        if hooks is None:
            return self._kind.created(self._tool, self._registration, hook, target)
        return hooks.with_entry(hook, target)

    def _without(
        self, hooks: HookText | None, goes: Callable[[Entry], bool], removed: list[str]
    ) -> HookText | None:
        """Return the text without those of our hooks that go."""
        while hooks is not None:
            entry = next(filter(goes, hooks.entries()), None)
            if entry is None:
                return hooks
            text = hooks.without_entry(entry)
            hooks = None if text is None else self._parsed(text)
            removed.append(entry.event)
        return None


def _entries(hooks: HookText | None) -> list[Entry]:
    return [] if hooks is None else hooks.entries()


def _is_outdated(entry: Entry, plan: Plan) -> bool:
    return entry.target != plan.target_of(entry.event) or not entry.is_whole
