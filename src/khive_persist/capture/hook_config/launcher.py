"""Keep the hook's copy in the state folder's `bin`, so that hooks outlive the environment.

`khive-hook` is the hook itself, with a real interpreter in its first line, never that of a virtual
environment: that one goes when a cache is cleared, a tool upgraded, a project moved.
`spool_writer.py` stands beside it, compiled, and the link `python` says which interpreter has
khive-persist, for the drainer alone. Where that one is gone events wait in the spool: nothing is
lost.
"""

import functools
import importlib.util
import marshal
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from khive_persist.capture import hook_path
from khive_persist.errors import ProjectError
from khive_persist.files import make_directory, write_private
from khive_persist.trust import marks

NAME: Final = "khive-hook"
FOLDER: Final = "bin"
_ENVIRONMENT: Final = "python"
_SCRIPT: Final = "hook.py"
_MODULE: Final = "spool_writer.py"
_START: Final = b"#!"
PROGRAM_MODE: Final = 0o700
# The kernel reads so much of a first line.
_MOST_START: Final = 127
_TRY_SECONDS: Final = 10.0
_VERSION: Final = re.compile(rb"^# khive-persist (\S+)$", re.MULTILINE)


def launcher_path() -> Path | None:
    """Return the path of the copy, which may be missing; None without a state folder."""
    folder = marks.state_folder()
    return None if folder is None else folder / FOLDER / NAME


def is_below_home() -> bool:
    """Return whether the copy is in `~/.khive/bin`, for a file that several machines share."""
    home, state = os.environ.get("HOME", ""), marks.state_home()
    return bool(home) and state is not None and os.path.realpath(home) == os.path.realpath(state)


def project_launcher() -> list[str]:
    """Put the copy there, where it is missing, damaged or of an older version.

    Returns:
        The words that start the hook: the copy, or the package's own file where none can be made.
    """
    path = launcher_path()
    if path is None:
        return package_words()
    with suppress(OSError, ProjectError):
        make_directory(path.parent.parent)
        make_directory(path.parent)
        if not (is_current(path) and was_tried(path)):
            _write(path)
            if not was_tried(path):
                # On a file system that lets nothing be run from it.
                return [real_interpreter(), "-I", "-S", str(path.with_name(_SCRIPT))]
        _name_environment(path.parent)
        return [str(path)]
    return package_words()


def package_words() -> list[str]:
    """Return the words that start the hook in the package itself."""
    return [interpreter(), "-I", "-S", os.path.abspath(hook_path())]


def interpreter() -> str:
    """Return this Python, as a file that starts it without looking anything up.

    In a virtual environment it is the environment's own, which finds what is installed there. It is
    never a shim of a version manager, a script that would decide anew in each directory.
    """
    return _first_program(sys.executable, getattr(sys, "_base_executable", ""))


def real_interpreter() -> str:
    """Return the Python that an environment was made from, which stays when that one goes."""
    base = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    return _first_program(base, sys.executable)


def problem_of(path: Path) -> str:
    """Return the problem that keeps the copy from recording, or its events from being stored.

    It is an empty string where there is none.
    """
    if not os.path.lexists(path):
        return f"{path} is not there"
    program = _interpreter_of(path)
    if program and not os.path.isfile(program):
        return f"{path} runs {program}, which is not there"
    if not was_tried(path):
        return f"{path} cannot be run"
    if not is_current(path):
        return f"{path} is that of an earlier version"
    return problem_of_environment(path.parent)


def problem_of_environment(folder: Path) -> str:
    """Return the problem that keeps the events of a folder's copies from being stored, or ''."""
    try:
        environment = os.readlink(folder / _ENVIRONMENT)
    except OSError:
        environment = ""
    if not os.access(environment, os.X_OK):
        missing = environment or "the interpreter of khive-persist"
        return f"{missing} is not there: events wait in the spool until a command reads it"
    return ""


def runs(path: Path) -> bool:
    """Return whether a copy can be started: without a tool's name it says how it is used."""
    try:
        result = subprocess.run(  # noqa: S603 - a file of the state folder
            [str(path)], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=_TRY_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return result.returncode == 1 and result.stderr.startswith(b"khive-hook: ")


def was_tried(path: Path) -> bool:
    """Return whether a copy can be started, tried once as long as it is the same file."""
    status = os.stat(path)
    return _tried(path, status.st_ino, status.st_ctime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _tried(path: Path, _inode: int, _changed_ns: int, _size: int) -> bool:
    return runs(path)


def _write(path: Path) -> None:
    folder, source = path.parent, hook_path().parent
    script = (source / _SCRIPT).read_bytes()
    module = (source / _MODULE).read_bytes()
    label = f"# khive-persist {version('khive-persist')}\n".encode()
    write_private(folder / _MODULE, module)
    cache = Path(importlib.util.cache_from_source(str(folder / _MODULE)))
    make_directory(cache.parent)
    write_private(cache, _compiled(module, folder / _MODULE))
    write_private(folder / _SCRIPT, label + script)
    start = _START + os.fsencode(real_interpreter()) + b" -IS\n"
    if len(start) > _MOST_START or len(start.split()) != 2:
        words = [real_interpreter(), "-I", "-S", str(folder / _SCRIPT)]
        script = os.fsencode(f'exec {shlex.join(words)} "$@"\n')
        start = b"#!/bin/sh\n"
    write_private(path, start + label + script, mode=PROGRAM_MODE)


def _compiled(source: bytes, path: Path) -> bytes:
    """Return a module as the interpreter's cache has it, valid without a check of the source."""
    code = compile(source, str(path), "exec", dont_inherit=True)
    digest = importlib.util.source_hash(source)
    head = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little") + digest
    return head + marshal.dumps(code)


def _name_environment(folder: Path) -> None:
    """Link the interpreter that has khive-persist."""
    link(folder / _ENVIRONMENT, interpreter())


def link(path: Path, target: str) -> None:
    """Make a path a symbolic link, where it is not already one to that target."""
    with suppress(OSError):
        if os.readlink(path) == target:
            return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    os.symlink(target, temporary)
    os.replace(temporary, path)


def is_current(path: Path) -> bool:
    """Return whether the copy is of this version or a newer one, and as that one wrote it."""
    try:
        compared = compare_version(path.read_bytes())
    except OSError:
        return False
    if compared:
        return compared > 0
    source = hook_path().with_name(_MODULE).read_bytes()
    try:
        return path.with_name(_MODULE).read_bytes() == source
    except OSError:
        return False


def compare_version(content: bytes) -> int:
    """Return 1 for a copy of a newer version than this one, 0 for this one, else -1."""
    mine, theirs = version("khive-persist"), version_of(content)
    if not theirs:
        return -1
    return 0 if theirs == mine else 1 if numbers(theirs) > numbers(mine) else -1


def version_of(content: bytes) -> str:
    """Return the version that stands in a copy; an empty string where there is none."""
    match = _VERSION.search(content)
    return match[1].decode("ascii", "replace") if match else ""


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, to be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _interpreter_of(path: Path) -> str:
    """Return the program in a copy's first line."""
    try:
        with open(path, "rb") as file:
            line = file.readline(_MOST_START + 1)
    except OSError:
        return ""
    words = line.removeprefix(_START).split() if line.startswith(_START) else []
    return os.fsdecode(words[0]) if words else ""


def _first_program(*candidates: str) -> str:
    fallbacks = (
        os.path.realpath("/proc/self/exe"),
        os.path.join(sys.exec_prefix, "bin", "python3"),
    )
    for candidate in (*candidates, *fallbacks):
        if candidate and _is_program(candidate):
            return os.path.abspath(candidate)
    return sys.executable


def _is_program(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(len(_START))
    except OSError:
        return False
    return start != _START and os.access(path, os.X_OK)
