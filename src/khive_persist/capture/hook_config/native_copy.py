"""Keep the compiled hook's copy in the state folder's `bin`, where the package has one.

Its name carries system and architecture, as machines may share a home; `khive-hook-native` is a
link to that of the machine that installed last, and is what settings name. Where it cannot be run,
their command goes on to the copy of the Python hook: nothing of stdin has been read.
"""

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.capture import native_hook_path
from khive_persist.capture.hook_config import launcher
from khive_persist.errors import ProjectError
from khive_persist.files import make_directory, write_private

NAME: Final = "khive-hook-native"


def copy_name() -> str:
    """Return the name of this machine's copy."""
    return f"{launcher.NAME}-{platform.system().lower()}-{platform.machine().lower()}"


def project_native() -> Path | None:
    """Put the copy there, where it is missing, damaged or of an older version.

    Returns:
        The link that names it; None where the package has no compiled hook, where there is no
        state folder, or where the copy cannot be run.
    """
    source, launcher_path = native_hook_path(), launcher.launcher_path()
    if source is None or launcher_path is None:
        return None
    path = launcher_path.with_name(NAME)
    copy = path.with_name(copy_name())
    try:
        make_directory(path.parent.parent)
        make_directory(path.parent)
        if not is_current(copy):
            write_private(copy, source.read_bytes(), mode=launcher.PROGRAM_MODE)
        launcher.link(path, copy.name)
        return path if launcher.was_tried(copy) else None
    except (OSError, ProjectError):
        return None


def renew() -> None:
    """Write both copies anew that are there and of an older version, as after an upgrade."""
    path = launcher.launcher_path()
    if path is None:
        return
    with suppress(OSError):
        if os.path.lexists(path) and not launcher.is_current(path):
            launcher.project_launcher()
        if os.path.lexists(path.with_name(copy_name())):
            project_native()


def problem_of(path: Path, *, is_alone: bool = False) -> str:
    """Return the problem of a copy that settings name, or an empty string.

    One that is missing is none: the hook is Python's then, as `is_used` tells.

    Args:
        is_alone: Whether no shell would go on to the Python hook.
    """
    if not path.exists():
        return ""
    if not launcher.was_tried(path):
        # Shells run an empty file as a script that does nothing, and well.
        is_fatal = is_alone or path.stat().st_size == 0
        return f"{path} cannot be run, so that " + (
            "nothing is recorded" if is_fatal else "hooks are Python's"
        )
    return "" if is_current(path) else f"{path} is that of an earlier version"


def is_used(path: Path) -> bool:
    """Return whether a command that names a copy runs it, and not the Python hook."""
    return path.exists() and launcher.was_tried(path)


def is_current(copy: Path) -> bool:
    """Return whether a copy is of this version or a newer one, and as the package has it."""
    try:
        content = copy.read_bytes()
    except OSError:
        return False
    compared = launcher.compare_version(content)
    source = native_hook_path()
    if compared != 0 or source is None:
        return compared >= 0
    return content == source.read_bytes()
