"""Find the `.khive` to use, and refuse one that is not trusted."""

import os
import pwd
import shlex
import stat
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.capture import spool_writer
from khive_persist.errors import ProjectError, UntrustedError
from khive_persist.hints import command_in
from khive_persist.trust import marks

_HARMLESS: Final = frozenset({"config.toml", ".gitignore"})
_CONTAINER_FILES: Final = ("/.dockerenv", "/run/.containerenv")
_CONTAINER_VARIABLES: Final = ("CI", "KUBERNETES_SERVICE_HOST", "container")


class Search(NamedTuple):
    """The result of a search.

    Attributes:
        root: The directory whose `.khive` takes what is recorded.
        passed: The nearest directory whose `.khive` is this user's and was passed over, as it is
            not trusted, or None.
    """

    root: Path
    passed: Path | None


def meant(directory: Path | str) -> Path:
    """Return a directory that the person meant: named in code, or by KHIVE_DIR.

    Its `.khive` is marked, where there is one and marks can be kept.

    Raises:
        UntrustedError: It is a link or a file, or another user's.
    """
    root = Path(os.path.abspath(directory))
    khive = Path(spool_writer.khive_of(str(root)))
    if os.path.lexists(khive):
        refuse_foreign(khive)
        marks.mark(khive)
    return root


def named(directory: Path | str) -> Path:
    """Return a directory that a command line names.

    Raises:
        UntrustedError: There is a `.khive` that is not trusted, and holds more than settings.
    """
    root = Path(os.path.abspath(directory))
    khive = Path(spool_writer.khive_of(str(root)))
    if os.path.lexists(khive):
        _use(khive)
    return root


def upward(start: Path | str = ".") -> Search:
    """Look upward from a directory.

    Raises:
        ProjectError: None is found, and there is no home directory.
    """
    home = spool_writer.home()
    root, nearest = spool_writer.search(os.path.realpath(start), home)
    if not root and nearest:
        raise untrusted(Path(spool_writer.khive_of(nearest)))
    if not root:
        raise ProjectError("no .khive was found and there is no home", hint="set KHIVE_DIR")
    if nearest == root:
        return Search(Path(root), None)
    passed = Path(nearest)
    if is_bare(Path(spool_writer.khive_of(nearest))):
        return Search(named(passed), None)
    return Search(Path(root), passed)


def by_environment() -> Path | None:
    """Return the directory that KHIVE_DIR names, or None.

    Raises:
        UntrustedError: As for `meant`.
    """
    directory = os.environ.get("KHIVE_DIR")
    return meant(directory) if directory else None


def adopt(khive: Path) -> None:
    """Trust a `.khive` that holds settings alone, or is trusted already; make it where missing.

    Raises:
        UntrustedError: It holds more than that.
        ProjectError: It cannot be made.
    """
    if os.path.lexists(khive):
        _use(khive)
    else:
        marks.make_khive(khive)


def _use(khive: Path) -> None:
    if not may_be_used(khive):
        raise untrusted(khive)
    if is_bare(khive):
        marks.mark(khive)


def may_be_used(khive: Path) -> bool:
    """Return whether it is trusted, or holds nothing but settings.

    Where no state folder can be written, to be the user's own is enough.
    """
    if not marks.is_own(khive):
        return False
    return marks.state_home() is None or marks.is_trusted(khive) or is_bare(khive)


def is_bare(khive: Path) -> bool:
    """Return whether it is this user's and holds settings alone, as a team's repository has them.

    Empty folders hold nothing that could be obeyed.
    """
    try:
        with os.scandir(khive) as entries:
            return marks.is_own(khive) and all(map(_is_harmless, entries))
    except OSError:
        return False


def _is_harmless(entry: "os.DirEntry[str]") -> bool:
    if entry.name in _HARMLESS:
        return entry.is_file(follow_symlinks=False)
    return entry.is_dir(follow_symlinks=False) and not os.listdir(entry.path)


def refuse_foreign(khive: Path) -> None:
    """Raise where a `.khive` is no directory, or another user's.

    Raises:
        UntrustedError: It is one of these.
    """
    if not marks.is_own(khive):
        raise untrusted(khive)


def untrusted(khive: Path) -> UntrustedError:
    """Return the error that names the way out."""
    try:
        status = os.lstat(khive)
    except OSError as error:
        return UntrustedError(f"{khive}: {error.strerror}")
    if stat.S_ISLNK(status.st_mode):
        return UntrustedError(f"{khive} is a symbolic link", hint="move it away")
    if not stat.S_ISDIR(status.st_mode):
        return UntrustedError(f"{khive} is not a directory", hint="move it away")
    if status.st_uid != os.geteuid():
        owner = _name_of(status.st_uid)
        hint = f"sudo -u {owner} khive-persist …" if os.geteuid() == 0 else ""
        return UntrustedError(f"{khive} belongs to {owner}", hint=hint)
    command = command_in(khive.parent, "trust")
    hint = f"{command} --keep if it is yours, else {command}"
    if is_fleeting():
        variable = f"KHIVE_DIR={shlex.quote(str(khive.parent))}"
        hint += f"; here, where the home may end with the machine, set {variable}"
    return UntrustedError(f"{khive} is not trusted, as it may have come from others", hint=hint)


def is_fleeting() -> bool:
    """Return whether this machine, and the home directory with it, is likely to end soon."""
    return any(map(os.path.exists, _CONTAINER_FILES)) or any(
        os.environ.get(name) for name in _CONTAINER_VARIABLES
    )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"
