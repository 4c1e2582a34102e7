"""Start our own modules as processes, never with files of the working directory."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

_NICENESS: Final = 10
# Until they are waited for, which nobody else does.
_processes: "list[subprocess.Popen[bytes]]" = []


def module_command(module: str, *words: str) -> list[str]:
    """Return the command line that runs our module; -P leaves the working directory out."""
    return [sys.executable, "-P", "-m", module, *words]


def environment_for(root: Path, **variables: str) -> dict[str, str]:
    """Return our environment, with a project named that this process was allowed to use.

    Of PYTHONPATH only absolute paths stay: an empty or relative one is the working directory's.
    """
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    python_path = os.pathsep.join(path for path in paths if os.path.isabs(path))
    return os.environ | {"KHIVE_DIR": str(root), "PYTHONPATH": python_path} | variables


def start_in_background(module: str, root: Path) -> None:
    """Start our module for a project, niced and silent; it goes on after its parent."""
    _processes[:] = [process for process in _processes if process.poll() is None]
    process = subprocess.Popen(  # noqa: S603 - our own module and a path
        module_command(module, str(root)),
        env=environment_for(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(os.nice, _NICENESS),
    )
    _processes.append(process)
