"""Our server in a settings file of JSON: a member of the object of servers, as on one line."""

import json
from collections.abc import Sequence
from typing import Final

from khive_persist.capture.hook_config.json_edit import Item, JsonText, Step
from khive_persist.mcp_server.registration.server_command import NAME
from khive_persist.tools import McpSettings

_EMPTY_FILE: Final = "{\n}\n"


class JsonServers:
    """The servers of one text. It does not change: edits return text.

    Args:
        text: The text of the settings file.
        settings: The form that the tool reads.

    Attributes:
        text: The text.

    Raises:
        InvalidJsonError: It is no JSON object, or its servers are none.
    """

    def __init__(self, text: str, settings: McpSettings) -> None:
        self.text = text
        self._settings = settings
        self._json = JsonText(text, comments=settings.comments)
        self._way = self._find()

    @classmethod
    def created(cls, settings: McpSettings, words: Sequence[str]) -> str:
        """Return the text of a new file with our server."""
        # As if its root had come with the item, so that it goes with it.
        text = cls(_EMPTY_FILE, settings).with_server(words)
        return text.replace("{", "{\n  ", 1)

    def words(self) -> list[object] | None:
        """Return the words of the server of our name; None where there is none."""
        if len(self._way) < 2:
            return None
        value = self._way[-1].item.value
        if not isinstance(value, dict):
            return []
        command, arguments = value.get("command"), value.get("args", [])
        if isinstance(command, list):
            return [*command]
        return [command, *(arguments if isinstance(arguments, list) else [None])]

    def with_server(self, words: Sequence[str]) -> str:
        """Return the text with our server, in the place of the one that is there, else last."""
        value = json.dumps(self._value(words), ensure_ascii=False)
        if len(self._way) == 2:
            item = self._way[-1].item
            return self._json.replace(item.at, item.end, value)
        member = f"{json.dumps(NAME)}: {value}"
        if self._way:
            return self._json.insert(self._json.container(self._way[0].item), member)
        return self._json.insert(self._json.root, member, [(self._settings.table, "{}")])

    def without_server(self) -> str | None:
        """Return the text without our server; None where nothing is left of a file of ours."""
        return self._json.remove(self._way)

    def _value(self, words: Sequence[str]) -> dict[str, object]:
        command: dict[str, object] = (
            {"command": [*words]}
            if self._settings.form == "list"
            else {"command": words[0], "args": [*words[1:]]}
        )
        return {**self._settings.before, **command, **self._settings.behind}

    def _find(self) -> list[Step]:
        """Return the steps to the object of servers and to ours, as far as they are there."""
        root = self._json.root
        table = _position(root.items, self._settings.table)
        if table is None:
            return []
        if not isinstance(root.items[table].value, dict):
            self._json.refuse(f'"{self._settings.table}" is not an object', root.items[table].at)
        servers = self._json.container(root.items[table])
        way = [Step(root, table)]
        server = _position(servers.items, NAME)
        return way if server is None else [*way, Step(servers, server)]


def _position(items: Sequence[Item], key: str) -> int | None:
    # Of keys that stand twice the last counts.
    positions = [number for number, item in enumerate(items) if item.key == key]
    return positions[-1] if positions else None
