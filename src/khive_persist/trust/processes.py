"""Start our own modules as processes, never with files of the working directory."""

import os
import sys
from pathlib import Path


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
