"""Install our server in a tool's settings, take it out again, and say what is there.

What is there alone tells what is installed: nothing is remembered elsewhere.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, get_args

from khive_persist.capture.hook_config.settings_file import SettingsFile
from khive_persist.errors import InvalidSettingsError
from khive_persist.mcp_server.registration.json_servers import JsonServers
from khive_persist.mcp_server.registration.server_command import (
    NAME,
    is_ours,
    missing_program,
    server_words,
)
from khive_persist.mcp_server.registration.toml_servers import TomlServers
from khive_persist.tools import TOOLS, McpSettings

McpScope = Literal["project", "user"]
State = Literal["installed", "absent", "outdated", "other"]

SCOPES: Final[tuple[McpScope, ...]] = get_args(McpScope)
_EMPTY_JSON: Final = "{}\n"


class ServerText(Protocol):
    """The text of a settings file with servers: `JsonServers`, `TomlServers`."""

    text: str

    def words(self) -> list[object] | None:
        """Return the words of the server of our name; None where there is none."""

    def with_server(self, words: Sequence[str]) -> str:
        """Return the text with our server."""

    def without_server(self) -> str | None:
        """Return the text without our server; None where nothing is left of a file of ours."""


class RegistrationChange(NamedTuple):
    """The change of a settings file by an install or an uninstall.

    Attributes:
        path: The settings file.
        is_written: Whether it was written or deleted; if not, it was as wanted already.
        command: The words that start the server; none after an uninstall.
        by_hand: The steps that the user must take in the tool, as whole sentences.
        occupied: Whether a server of the user's own has our name: it stays as it is.
    """

    path: Path
    is_written: bool
    command: tuple[str, ...]
    by_hand: tuple[str, ...]
    occupied: bool = False


class Registered(NamedTuple):
    """The state of a settings file.

    Attributes:
        path: The settings file.
        state: `installed`; `absent`; `outdated` where an install would write it anew; `other`
            where a server of the user's own has our name.
        command: The words that start the server; none where it is absent.
        problem: The problem that keeps it from being started; an empty string for none.
    """

    path: Path
    state: State
    command: tuple[str, ...]
    problem: str = ""


def supporting_tools() -> list[str]:
    """Return the tools that start servers, by the names of `TOOLS`."""
    return [name for name, tool in TOOLS.items() if tool.mcp is not None]


def settings_path(tool: str, scope: McpScope, project_root: Path) -> Path:
    """Return the settings file of a tool's servers in a scope; HOME or its variable says where.

    Raises:
        InvalidSettingsError: The tool starts no servers.
    """
    settings = _settings_of(tool)
    if scope == "project":
        return project_root / settings.project_file
    moved = os.environ.get(settings.user_variable) if settings.user_variable else None
    if moved:
        return Path(moved) / settings.user_variable_file
    return Path.home() / settings.user_file


def install(
    tool: str, scope: McpScope, project_root: Path, *, directory: Path | None = None
) -> RegistrationChange:
    """Register our server; what else is there stays, byte for byte. Twice changes nothing.

    Args:
        tool: The name of one of `supporting_tools`.
        scope: The project's settings, which others may share, or the user's.
        project_root: The project's directory.
        directory: The directory that holds `.khive`; None for that of the working directory.

    Raises:
        InvalidSettingsError: The tool starts no servers, or the file is not valid or cannot be
            written; it is as it was.
    """
    settings = _settings_of(tool)
    words = server_words(is_shared=scope == "project", directory=directory)
    file = _file(settings, settings_path(tool, scope, project_root))
    if not _is_free(file.read(lambda servers: None if servers is None else servers.words())):
        return RegistrationChange(file.path, False, (), (), occupied=True)

    def with_server(servers: ServerText | None) -> str:
        if servers is None:
            return _kind(settings).created(settings, words)
        return servers.text if servers.words() == words else servers.with_server(words)

    is_written = file.edit(with_server)
    by_hand = settings.by_hand if scope == "project" else ()
    if scope == "project" and missing_program(words):
        by_hand += (f"{NAME} is not on PATH here: put it there, or use --scope user.",)
    return RegistrationChange(file.path, is_written, tuple(words), by_hand)


def uninstall(tool: str, scope: McpScope, project_root: Path) -> RegistrationChange:
    """Take our server out: after `install` alone, all is as it was before, byte for byte.

    A server of the user's own that has our name stays. A file that `install` made, and that has
    nothing else, is deleted; the directory that it is in stays.

    Raises:
        InvalidSettingsError: As for `install`.
    """
    settings = _settings_of(tool)
    file = _file(settings, settings_path(tool, scope, project_root))
    words = file.read(lambda servers: None if servers is None else servers.words())
    if words is None or not _is_free(words):
        return RegistrationChange(file.path, False, (), (), occupied=words is not None)

    def without_server(servers: ServerText | None) -> str | None:
        if servers is None:
            return None
        return servers.text if servers.words() is None else servers.without_server()

    return RegistrationChange(file.path, file.edit(without_server), (), ())


def registered(tool: str, scope: McpScope, project_root: Path) -> Registered:
    """Return the state of our server in a scope.

    Raises:
        InvalidSettingsError: As for `install`.
    """
    settings = _settings_of(tool)
    file = _file(settings, settings_path(tool, scope, project_root))
    words = file.read(lambda servers: None if servers is None else servers.words())
    if words is None:
        return Registered(file.path, "absent", ())
    command = tuple(map(str, words))
    if not is_ours(words):
        return Registered(file.path, "other", command)
    directory = Path(command[command.index("--dir") + 1]) if "--dir" in command else None
    current = server_words(is_shared=scope == "project", directory=directory)
    program = missing_program(command)
    problem = f"{program}, which {file.path} names, is not there" if program else ""
    state: State = "installed" if list(command) == current else "outdated"
    return Registered(file.path, state, command, problem)


def _settings_of(tool: str) -> McpSettings:
    settings = TOOLS[tool].mcp
    if settings is None:
        raise InvalidSettingsError(
            f"{TOOLS[tool].title} has no settings of servers that we know",
            hint="one of " + ", ".join(supporting_tools()),
        )
    return settings


def _is_free(words: list[object] | None) -> bool:
    return words is None or is_ours(words)


def _kind(settings: McpSettings) -> type[JsonServers] | type[TomlServers]:
    return TomlServers if settings.form == "toml" else JsonServers


def _file(settings: McpSettings, path: Path) -> SettingsFile[ServerText]:
    def parse(text: str) -> ServerText:
        return _kind(settings)(text, settings)

    return SettingsFile(path, parse, empty="" if settings.form == "toml" else _EMPTY_JSON)
