"""Find and edit our hooks in a settings file of TOML, where each is a table `[[hooks]]`.

A hook's table is inserted behind the last character that is no white space, two line ends before
it, so that what white space the file ends in follows it; to remove it is to cut both. Ours stand
alone in a file that we made: it ends in a line end, where a file of white space alone that was
there has its own. Where the user wrote `hooks = […]` ours are items of that array.

Each edit is read once more: one that changed anything else is refused, never written.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from khive_persist.capture.hook_config.command import is_ours
from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.capture.hook_config.toml_edit import (
    InvalidTomlError,
    inline_array,
    read,
    tables,
    written,
)
from khive_persist.tools import Hook, Registration

_HOOKS: Final = "hooks"
_EVENT: Final = "event"
_MATCHER: Final = "matcher"
_WHITE_SPACE: Final = " \t\r\n"
_LINE_ENDS_BEFORE: Final = re.compile(r"(?:\r?\n[ \t]*){0,2}\Z")
_LINE_ENDS_BEHIND: Final = re.compile(r"(?:[ \t]*\r?\n){0,2}")


class TomlHooks:
    """The hooks of one text. It does not change: edits return text.

    Args:
        text: The text of the settings file.
        tool: The name of the tool that reads it.
        registration: The form that the tool reads.

    Attributes:
        text: The text.

    Raises:
        InvalidTomlError: It is not TOML.
    """

    def __init__(self, text: str, tool: str, registration: Registration) -> None:
        self.text = text
        self._tool = tool
        self._registration = registration
        self._value = read(text)

    @classmethod
    def created(cls, tool: str, registration: Registration, hook: Hook, target: Target) -> str:
        """Return the text of a new file with our hook for one event."""
        return cls("", tool, registration).with_entry(hook, target) + "\n"

    def entries(self) -> list[Entry]:
        """Return our hooks, in the file's order.

        Raises:
            InvalidTomlError: `hooks` is no array of tables.
        """
        return [
            Entry(hook[_EVENT], Target(command=hook[self._command]), position=position)
            for position, hook in enumerate(self._hooks())
            if isinstance(hook.get(_EVENT), str) and is_ours(hook.get(self._command), self._tool)
        ]

    def alike(self, is_alike: Callable[[object], bool]) -> list[str]:
        """Return the events that have a hook with a command of a kind, in the file's order."""
        return [
            str(hook.get(_EVENT)) for hook in self._hooks() if is_alike(hook.get(self._command))
        ]

    def with_entry(self, hook: Hook, target: Target) -> str:
        """Return the text with our hook for one event."""
        matcher: dict[str, object] = {_MATCHER: hook.matcher} if hook.matcher else {}
        members = {
            _EVENT: hook.event,
            **matcher,
            self._command: target.command,
            self._registration.timeout_key: hook.timeout,
        }
        array = inline_array(self.text, _HOOKS)
        if array is not None:
            span, items = array
            at = items[-1].end if items else span.start + 1
            new = (", " if items else "") + _inline_table(members)
        else:
            at = len(self.text.rstrip(_WHITE_SPACE))
            newline = "\r\n" if "\r\n" in self.text else "\n"
            lines = [f"[[{_HOOKS}]]", *(f"{k} = {written(v)}" for k, v in members.items())]
            new = newline * 2 + newline.join(lines)
            if not at:
                at, new = len(self.text), new.lstrip()
        return self._checked(self.text[:at] + new + self.text[at:], [*self._hooks(), members])

    def with_target(self, entry: Entry, target: Target) -> str:
        """Return the text with another target for one of our hooks, at its place."""
        hooks = self._hooks()
        hooks[entry.position] = hooks[entry.position] | {self._command: target.command}
        array = inline_array(self.text, _HOOKS)
        if array is not None:
            start, end = array[1][entry.position]
            try:
                new = _inline_table(hooks[entry.position])
            except TypeError:
                # A date, which nobody needs there.
                self._refuse()
        else:
            table = tables(self.text, _HOOKS)[entry.position]
            member = next(m for m in table.members if self._command in m.value)
            start, end = member.value_start, member.end
            new = written(target.command)
        return self._checked(self.text[:start] + new + self.text[end:], hooks)

    def without_entry(self, entry: Entry) -> str | None:
        """Return the text without one of our hooks; None where nothing is left of a file of ours.

        Comments stay, but those between the lines of the hook.
        """
        text, hooks = self.text, self._hooks()
        del hooks[entry.position]
        array = inline_array(text, _HOOKS)
        if array is not None:
            items = array[1]
            start, end = items[entry.position]
            if entry.position:
                start = items[entry.position - 1].end
            elif len(items) > 1:
                end = items[1].start
            elif text[end:].lstrip().startswith(","):
                end = text.index(",", end) + 1
            return self._checked(text[:start] + text[end:], hooks)
        table = tables(text, _HOOKS)[entry.position]
        start, end = table.header.start, table.end
        if text[:start].strip():
            start = _match_start(text, start)
        elif text[end:].strip() and (match := _LINE_ENDS_BEHIND.match(text, end)):
            end = match.end()
        left = text[:start] + text[end:]
        if start == 0 and left in ("\n", "\r\n"):
            return None
        return self._checked(left, hooks)

    @property
    def _command(self) -> str:
        return self._registration.command_key

    def _hooks(self) -> list[dict[str, Any]]:
        hooks = self._value.get(_HOOKS, [])
        if not isinstance(hooks, list) or not all(isinstance(hook, dict) for hook in hooks):
            raise InvalidTomlError(f'"{_HOOKS}" is not an array of tables', self.text, 0)
        return [*hooks]

    def _checked(self, text: str, hooks: list[dict[str, Any]]) -> str:
        """Return a text that differs from this one in the hooks alone, which are these.

        Raises:
            InvalidTomlError: It does not: the user's `hooks` are written in a way of their own.
        """
        wanted = {key: value for key, value in self._value.items() if key != _HOOKS}
        found = read(text)
        # As text: a value that is not a number equals nothing, and dates need no care.
        if repr((found.pop(_HOOKS, []), found)) != repr((hooks, wanted)):
            self._refuse()
        return text

    def _refuse(self) -> NoReturn:
        raise InvalidTomlError(f'"{_HOOKS}" is written so that it is not edited', self.text, 0)


def _match_start(text: str, end: int) -> int:
    match = _LINE_ENDS_BEFORE.search(text, 0, end)
    return match.start() if match else end


def _inline_table(members: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{key} = {written(value)}" for key, value in members.items()) + " }"
