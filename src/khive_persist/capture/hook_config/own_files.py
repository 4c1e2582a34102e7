"""`OwnHookFiles`: our hooks as files of ours in a folder of the tool, programs or a plugin.

Each begins with two lines of comment, behind that which names its interpreter:

    # Written by khive-persist (hooks install TOOL), which overwrites and removes it.
    # It runs: ["COMMAND", …]

The first tells ours from the user's, of earlier versions too; by the second the commands are known
without a look at the language below. A file without them is the user's own, as is a symbolic link:
it is never overwritten or removed.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.capture.hook_config.command import is_ours
from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.capture.hook_config.hook_files import Plan, Registered, Written
from khive_persist.clock import new_id
from khive_persist.errors import InvalidSettingsError
from khive_persist.files import read_regular, sync_directory
from khive_persist.tools import Hook, OwnFiles

_MARK: Final = "Written by khive-persist (hooks install {tool}), which overwrites and removes it."
_RUNS: Final = "It runs: "
_INTERPRETER: Final = "#!"
_HEAD: Final = re.compile(r"(#|//) (.*)\n(?:#|//) It runs: (.*)\n")
_MOST_BYTES: Final = 1 << 20
_NEW_FILE: Final = 0o666
_PROGRAM: Final = 0o755
_AGAIN: Final = "install the hooks again"


class _Ours(NamedTuple):
    """One of our files: its content, the commands that it runs, and whether it may be started."""

    content: str
    commands: tuple[str, ...]
    is_executable: bool


class OwnHookFiles:
    """Our files in one folder of a tool.

    Args:
        folder: The folder that the tool reads.
        tool: The name of the tool.
        registration: The files that the tool reads.
        inside: The directory that the folder must not leave by a symbolic link, as what comes with
            a clone is not trusted; None where it may.

    Attributes:
        path: The file, or the folder of several.
    """

    def __init__(
        self, folder: Path, tool: str, registration: OwnFiles, *, inside: Path | None
    ) -> None:
        self._folder = folder
        self._tool = tool
        self._registration = registration
        self._inside = inside
        self._names = tuple(registration.contents(lambda _hook: ""))
        self.path = folder / self._names[0] if len(self._names) == 1 else folder

    def registered(self, is_alike: Callable[[object], bool] = lambda _command: False) -> Registered:
        """Return our hooks in the folder, as `HookFiles.registered` does."""
        self._check_folder()
        entries: list[Entry] = []
        problems, occupied, alike = [], [], []
        for name in self._names:
            path = self._folder / name
            if not os.path.lexists(path):
                continue
            ours = self._read(path)
            if ours is None:
                occupied.append(path)
                if self._lines_alike(path, is_alike):
                    alike += [hook.event for hook in self._hooks_of(name)]
                continue
            entries += self._entries(name, ours)
            if self._registration.is_program and not ours.is_executable:
                problems.append(f"{path} cannot be started, as it is no program: {_AGAIN}")
            elif self._outdated(name, ours):
                problems.append(f"{path} is that of an earlier version: {_AGAIN}")
        return Registered(tuple(entries), tuple(alike), tuple(problems), tuple(occupied))

    def install(self, plan: Plan) -> Written:
        """Write our files, as `HookFiles.install` does.

        A file of the user's own in the place of one of ours stays.
        """
        self._check_folder()
        changed: list[str] = []
        occupied = []
        for name, content in self._contents(lambda hook: plan.target_of(hook.event).command):
            path = self._folder / name
            ours = self._read(path)
            if ours is None and os.path.lexists(path):
                occupied.append(path)
                continue
            events = [hook.event for hook in self._hooks_of(name)]
            if not any(plan.is_due(hook) for hook in self._hooks_of(name)):
                if ours is not None and all(map(plan.is_unknown, events)):
                    self._remove(path)
                    changed += events
            elif ours is None or ours.content != content or self._lacks_mode(ours):
                self._write(path, content)
                changed += [hook.event for hook in self._hooks_of(name) if plan.is_due(hook)]
        return Written(bool(changed), tuple(dict.fromkeys(changed)), tuple(occupied))

    def uninstall(self) -> Written:
        """Remove our files, as `HookFiles.uninstall` does; their folder stays."""
        self._check_folder()
        removed: list[str] = []
        for name in self._names:
            path = self._folder / name
            if self._read(path) is not None:
                self._remove(path)
                removed += [hook.event for hook in self._hooks_of(name)]
        return Written(bool(removed), tuple(dict.fromkeys(removed)))

    def changed_at(self) -> float:
        """Return the time of the newest file's last change, as `HookFiles.changed_at` does."""
        paths = [self._folder / name for name in self._names]
        return max(os.lstat(path).st_mtime for path in paths if self._read(path) is not None)

    def _hooks_of(self, name: str) -> list[Hook]:
        """Return the hooks of a file: that of its name, or all of a plugin."""
        hooks = self._registration.hooks
        return [hook for hook in hooks if hook.event == name] or [*hooks]

    def _entries(self, name: str, ours: _Ours) -> Iterator[Entry]:
        for hook in self._hooks_of(name):
            yield Entry(hook.event, Target(command=_command_of(ours, hook)))

    def _contents(self, command_of: Callable[[Hook], str]) -> Iterator[tuple[str, str]]:
        """Yield the name of each file and what is to be in it."""
        commands: dict[str, None] = {}

        def noted(hook: Hook) -> str:
            commands[command_of(hook)] = None
            return command_of(hook)

        for name in self._names:
            commands.clear()
            # Anew for each, so that its own commands are noted, and of a plugin all.
            for hook in self._hooks_of(name):
                noted(hook)
            own = [*commands]
            yield name, self._marked(self._registration.contents(noted)[name], own)

    def _marked(self, content: str, commands: list[str]) -> str:
        """Return a content with our two lines, in the comments of its language."""
        first, rest = "", content
        if content.startswith(_INTERPRETER):
            first, _, rest = content.partition("\n")
            first += "\n"
        sign = "#" if first else "//"
        mark = _MARK.format(tool=self._tool)
        # In ASCII: JavaScript knows line ends beyond it, which would end the comment.
        return f"{first}{sign} {mark}\n{sign} {_RUNS}{json.dumps(commands)}\n{rest}"

    def _outdated(self, name: str, ours: _Ours) -> bool:
        """Return whether this version would write a file otherwise, for the same commands."""
        wanted = dict(self._contents(lambda hook: _command_of(ours, hook)))
        return wanted[name] != ours.content

    def _lacks_mode(self, ours: _Ours) -> bool:
        return self._registration.is_program and not ours.is_executable

    def _read(self, path: Path) -> _Ours | None:
        """Return one of our files; None where it is not there, or is the user's own.

        Raises:
            InvalidSettingsError: It cannot be read.
        """
        try:
            content = read_regular(path, _MOST_BYTES).decode()
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.ENXIO, errno.EISDIR):
                # A link, a folder, a pipe: nothing that we made.
                return None
            raise InvalidSettingsError(f"{path} cannot be read ({error.strerror})") from error
        head = content.partition("\n")[2] if content.startswith(_INTERPRETER) else content
        match = _HEAD.match(head)
        if match is None or match[2] != _MARK.format(tool=self._tool):
            return None
        try:
            commands = json.loads(match[3])
        except (ValueError, RecursionError):
            return None
        if not isinstance(commands, list) or not commands:
            return None
        if not all(is_ours(command, self._tool) for command in commands):
            return None
        return _Ours(content, tuple(commands), bool(mode & stat.S_IXUSR))

    def _lines_alike(self, path: Path, is_alike: Callable[[object], bool]) -> bool:
        """Return whether a file of the user's own runs our hook."""
        try:
            text = read_regular(path, _MOST_BYTES, follows=True).decode(errors="replace")
        except OSError:
            return False
        return any(is_alike(line) for line in text.splitlines())

    def _check_folder(self) -> None:
        """Raise where the folder lies elsewhere, by a symbolic link of the project's."""
        if self._inside is None:
            return
        real, root = os.path.realpath(self._folder), os.path.realpath(self._inside)
        if os.path.commonpath((real, root)) != root:
            raise InvalidSettingsError(
                f"{self._folder} leads out of the project, to {real}",
                hint="remove the symbolic link, or use --scope user",
            )

    def _write(self, path: Path, content: str) -> None:
        mode = _PROGRAM if self._registration.is_program else _NEW_FILE
        temporary = path.with_name(f".{path.name}.{new_id()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode
            )
            try:
                with open(descriptor, "wb") as file:
                    if self._registration.is_program:
                        os.fchmod(descriptor, mode)
                    file.write(content.encode())
                    file.flush()
                    os.fsync(descriptor)
                os.replace(temporary, path)
            except BaseException:  # Ctrl-C, too: its part goes.
                temporary.unlink(missing_ok=True)
                raise
            sync_directory(path.parent)
        except OSError as error:
            raise _refused(path, error) from error

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            sync_directory(path.parent)
        except OSError as error:
            raise _refused(path, error) from error


def _command_of(ours: _Ours, hook: Hook) -> str:
    """Return the command of a file that is for events like that of a hook."""
    blocking = [command for command in ours.commands if command.endswith("|| exit 0")]
    others = [command for command in ours.commands if command not in blocking]
    preferred = (blocking or others) if hook.blocks else (others or blocking)
    return preferred[0]


def _refused(path: Path, error: OSError) -> InvalidSettingsError:
    return InvalidSettingsError(
        f"{path} cannot be written ({error.strerror})", hint="it was left as it is"
    )
