"""Our server in a settings file of TOML: a table `[mcp_servers.khive-persist]`.

It is inserted behind the last character that is no white space, two line ends before it; to remove
it is to cut both, and what others put into tables below it. Each edit is read once more: one that
changed anything else is refused, never written.
"""

import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from khive_persist.capture.hook_config.toml_edit import (
    InvalidTomlError,
    Statement,
    read,
    statements,
    written,
)
from khive_persist.mcp_server.registration.server_command import NAME
from khive_persist.tools import McpSettings

_WHITE_SPACE: Final = " \t\r\n"
_LINE_ENDS_BEFORE: Final = re.compile(r"(?:\r?\n[ \t]*){0,2}\Z")
_LINE_ENDS_BEHIND: Final = re.compile(r"(?:[ \t]*\r?\n){0,2}")


class TomlServers:
    """The servers of one text, as `JsonServers` has them.

    Raises:
        InvalidTomlError: It is no TOML, or its servers are no table.
    """

    def __init__(self, text: str, settings: McpSettings) -> None:
        self.text = text
        self._settings = settings
        self._value = read(text)
        servers = self._value.get(settings.table, {})
        if not isinstance(servers, dict):
            raise InvalidTomlError(f'"{settings.table}" is no table', text, 0)
        self._server: Any = servers.get(NAME)

    @classmethod
    def created(cls, settings: McpSettings, words: Sequence[str]) -> str:
        """Return the text of a new file with our server."""
        return cls("", settings).with_server(words) + "\n"

    def words(self) -> list[object] | None:
        """Return the words of the server of our name; None where there is none."""
        if self._server is None:
            return None
        if not isinstance(self._server, dict):
            return []
        arguments = self._server.get("args", [])
        return [
            self._server.get("command"),
            *(arguments if isinstance(arguments, list) else [None]),
        ]

    def with_server(self, words: Sequence[str]) -> str:
        """Return the text with our server, in the place of the one that is there, else last."""
        members = {"command": words[0], "args": [*words[1:]]}
        if self._server is not None:
            return self._updated(members)
        newline = "\r\n" if "\r\n" in self.text else "\n"
        lines = [f"[{self._settings.table}.{NAME}]"]
        lines += [f"{key} = {written(value)}" for key, value in members.items()]
        at = len(self.text.rstrip(_WHITE_SPACE))
        new = newline * 2 + newline.join(lines)
        if not at:
            at, new = len(self.text), new.lstrip()
        return self._checked(self.text[:at] + new + self.text[at:], members)

    def without_server(self) -> str | None:
        """Return the text without our server; None where nothing is left of a file of ours."""
        text = self.text
        for part in reversed(self._parts()):
            start, end = part[0].start, part[-1].end
            if text[:start].strip():
                match = _LINE_ENDS_BEFORE.search(text, 0, start)
                start = match.start() if match else start
            elif text[end:].strip() and (match := _LINE_ENDS_BEHIND.match(text, end)):
                end = match.end()
            text = text[:start] + text[end:]
        if text in ("\n", "\r\n") and not text.strip():
            return None
        return self._checked(text, None)

    def _parts(self) -> list[list[Statement]]:
        """Return our table and those below it, each its header and its members."""
        parts: list[list[Statement]] = []
        is_inside = False
        for statement in statements(self.text):
            if statement.is_header(self.text):
                table = statement.value.get(self._settings.table)
                is_inside = isinstance(table, dict) and list(table) == [NAME]
                if is_inside:
                    parts.append([statement])
            elif is_inside:
                parts[-1].append(statement)
        if not parts:
            self._refuse()
        return parts

    def _updated(self, members: dict[str, Any]) -> str:
        text = self.text
        members_of_ours = [statement for part in self._parts() for statement in part[1:]]
        table = self._parts()[0]
        present = {key: s for s in reversed(members_of_ours) for key in s.value if key in members}
        if any(statement not in table for statement in present.values()):
            self._refuse()
        additions = [f"{key} = {written(v)}" for key, v in members.items() if key not in present]
        end = table[-1].end
        text = text[:end] + "".join(f"\n{line}" for line in additions) + text[end:]
        for key, statement in sorted(present.items(), key=lambda p: p[1].start, reverse=True):
            start, stop = statement.value_start, statement.end
            text = text[:start] + written(members[key]) + text[stop:]
        return self._checked(text, self._server | members)

    def _checked(self, text: str, server: dict[str, Any] | None) -> str:
        """Return a text that differs from this one in our server alone, which is this one.

        Raises:
            InvalidTomlError: It does not: the user's servers are written in a way of their own.
        """
        table = self._settings.table
        expected = {key: value for key, value in self._value.items() if key != table}
        others = {k: v for k, v in self._value.get(table, {}).items() if k != NAME}
        try:
            result = tomllib.loads(text)
        except ValueError:
            self._refuse()
        servers = result.pop(table, {})
        present = servers.pop(NAME, None)
        # As text: a value that is not a number equals nothing, and dates need no care.
        if repr((present, servers, result)) != repr((server, others, expected)):
            self._refuse()
        return text

    def _refuse(self) -> NoReturn:
        raise InvalidTomlError(
            f'"{self._settings.table}" is written so that it is not edited', self.text, 0
        )
