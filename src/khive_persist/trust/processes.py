"""How our own modules are started as processes: never with files of the working directory."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# -P: not the working directory; -E: nor what PYTHONPATH says, which can name it.
_OPTIONS = ("-E", "-P", "-m")


def module_command(module: str, *words: str) -> list[str]:
    """The command line that runs a module of ours."""
    return [sys.executable, *_OPTIONS, module, *words]


def environment_for(root: Path, **more: str) -> Mapping[str, str]:
    """Our environment, with a place named that this process was allowed to use."""
    return os.environ | {"KHIVE_DIR": str(root)} | more
