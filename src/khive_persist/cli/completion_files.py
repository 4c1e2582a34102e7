"""The files that complete `khive-persist` in a shell: a script, and the line that reads it."""

import os
import shlex
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from khive_persist.capture.hook_config.settings_file import SettingsFile
from khive_persist.cli.root import root
from khive_persist.errors import InvalidSettingsError

Shell = Literal["bash", "zsh", "fish"]

SHELLS: Final = get_args(Shell)
PROGRAM: Final = "khive-persist"
_VARIABLE: Final = "_KHIVE_PERSIST_COMPLETE"
_MARK: Final = f"# {PROGRAM}: completion"
# What the start file was before, where that is not to be seen any more: it is put back.
_NEW_FILE: Final = ", in a new file"
_UNENDED: Final = ", behind a line without an end"
# Where this is, and read by the shell's own start, scripts in its folder of a user are found.
_BASH_COMPLETION: Final = (
    "/usr/share/bash-completion/bash_completion",
    "/etc/bash_completion",
    "/usr/local/etc/profile.d/bash_completion.sh",
    "/opt/homebrew/etc/profile.d/bash_completion.sh",
)


class CompletionFiles(NamedTuple):
    """The files of one shell.

    Attributes:
        script: The script of the completion.
        start_file: The file that the shell reads when it starts, to which a line is added; None
            where the shell finds the script by itself.
        line: That line.
    """

    script: Path
    start_file: Path | None
    line: str

    def is_named(self) -> bool:
        """Return whether the shell's start file has the line."""
        if self.start_file is None or not self.start_file.exists():
            return False
        lines = self.start_file.read_text(errors="replace").splitlines()
        return any(_command_of(start_line) == self.line for start_line in lines)


def completion_files(shell: Shell) -> CompletionFiles:
    """Return the files of a shell of this user."""
    data = _folder("XDG_DATA_HOME", ".local/share")
    if shell == "fish":
        folder = _folder("XDG_CONFIG_HOME", ".config") / "fish" / "completions"
        return CompletionFiles(folder / f"{PROGRAM}.fish", None, "")
    if shell == "bash":
        script = data / "bash-completion" / "completions" / PROGRAM
        quoted = shlex.quote(str(script))
        line = f"[ -r {quoted} ] && . {quoted}  {_MARK}"
        is_found = any(map(os.path.exists, _BASH_COMPLETION))
        return CompletionFiles(script, None if is_found else _start_file(shell), line)
    script = data / "zsh" / "site-functions" / f"_{PROGRAM}"
    quoted = shlex.quote(str(script))
    prelude = "(( ${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }"
    line = f"[[ -r {quoted} ]] && {{ {prelude}; . {quoted}; }}  {_MARK}"
    return CompletionFiles(script, _start_file(shell), line)


def script_of(shell: Shell) -> str:
    """Return the script that completes the command in a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    source = kind(root, {}, PROGRAM, _VARIABLE).source()
    # Click's script for fish keeps nothing of what comes behind a comma in an id or in a sentence.
    return source.replace('string split ","', 'string split --max 1 ","')


def install(shell: Shell) -> list[Path]:
    """Write the files of a shell, and return those that were not so already.

    Raises:
        InvalidSettingsError: One cannot be written.
    """
    files = completion_files(shell)
    paths = [files.script] if _write(files.script, script_of(shell)) else []
    start_file = files.start_file
    if start_file is not None and _edit_start(start_file, files.line):
        paths.append(start_file)
    return paths


def installed_files(shell: Shell) -> list[Path]:
    """Return the files of a shell that `uninstall` would change or remove."""
    files = completion_files(shell)
    paths = [files.script] if os.path.lexists(files.script) else []
    start_file = _start_file(shell)
    if start_file is not None and start_file.is_file():
        lines = start_file.read_text(errors="replace").splitlines()
        paths += [start_file] if any(map(_command_of, lines)) else []
    return paths


def uninstall(shell: Shell) -> list[Path]:
    """Remove what `install` wrote, and return the files that are changed or gone.

    The file that the shell reads when it starts is as it was before, byte for byte.

    Raises:
        InvalidSettingsError: One cannot be read, written or removed.
    """
    paths = installed_files(shell)
    script, start_file = completion_files(shell).script, _start_file(shell)
    for path in paths:
        if path == start_file:
            _edit_start(path, None)
        else:
            try:
                script.unlink(missing_ok=True)
            except OSError as error:
                reason = error.strerror
                raise InvalidSettingsError(f"{path} cannot be removed ({reason})") from error
    return paths


def shell_in_use() -> Shell | None:
    """Return the shell of this user's logins, if it is one of those."""
    name = os.path.basename(os.environ.get("SHELL", ""))
    return next((shell for shell in SHELLS if shell == name), None)


def _start_file(shell: Shell) -> Path | None:
    if shell == "fish":
        return None
    return _folder("ZDOTDIR", "") / ".zshrc" if shell == "zsh" else Path.home() / ".bashrc"


def _write(path: Path, text: str) -> bool:
    try:
        if path.exists() and path.read_text() == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise InvalidSettingsError(f"{path} cannot be written ({error.strerror})") from error
    return True


def _edit_start(path: Path, line: str | None) -> bool:
    """Put our line into a file that a shell reads when it starts, or take it out."""

    def change(text: str | None) -> str | None:
        lines = (text or "").splitlines(keepends=True)
        places = [at for at, start_line in enumerate(lines) if _command_of(start_line)]
        if line is None:
            return _without_ours(lines, places)
        if places:
            at = places[-1]
            origin = next(filter(lines[at].rstrip().endswith, (_NEW_FILE, _UNENDED)), "")
            lines[at] = f"{line}{origin}\n"
            return "".join(start_line for i, start_line in enumerate(lines) if i not in places[:-1])
        if text is None:
            return f"{line}{_NEW_FILE}\n"
        if lines and not lines[-1].endswith("\n"):
            return f"{text}\n{line}{_UNENDED}\n"
        return f"{text}{line}\n"

    return SettingsFile(path, str).edit(change)


def _without_ours(lines: list[str], places: list[int]) -> str | None:
    """Return the text of a start file before our line came into it; None for no file."""
    kept_lines = [start_line for at, start_line in enumerate(lines) if at not in places]
    our_lines = [lines[at].rstrip() for at in places]
    if not kept_lines and any(start_line.endswith(_NEW_FILE) for start_line in our_lines):
        return None
    # Where more was written behind it since, that line is to end.
    is_last = places and places[-1] == len(lines) - 1
    if kept_lines and is_last and our_lines[-1].endswith(_UNENDED):
        kept_lines[-1] = kept_lines[-1].removesuffix("\n")
    return "".join(kept_lines)


def _command_of(line: str) -> str | None:
    """Return our line of a start file without what it says of the file before; None for others."""
    command = line.rstrip().removesuffix(_NEW_FILE).removesuffix(_UNENDED)
    return command if command.endswith(_MARK) else None


def _folder(variable: str, below_home: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if os.path.isabs(value) else Path.home() / below_home
