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
        return self.line in self.start_file.read_text(errors="replace").splitlines()


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
    return kind(root, {}, PROGRAM, _VARIABLE).source()


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


def uninstall(shell: Shell) -> list[Path]:
    """Remove what `install` wrote, and return the files that are changed or gone.

    Raises:
        InvalidSettingsError: One cannot be written.
    """
    files = completion_files(shell)
    paths = []
    if files.script.exists():
        files.script.unlink()
        paths.append(files.script)
    start_file = _start_file(shell)
    if start_file is not None and start_file.exists() and _edit_start(start_file, None):
        paths.append(start_file)
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
        others = "".join(each for each in lines if not each.rstrip().endswith(_MARK))
        if line is None:
            return others
        if line in (each.rstrip() for each in lines):
            return text
        ends = "" if not others or others.endswith("\n") else "\n"
        return f"{others}{ends}{line}\n"

    return SettingsFile(path, str).edit(change)


def _folder(variable: str, below_home: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if os.path.isabs(value) else Path.home() / below_home
