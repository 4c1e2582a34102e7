"""Commands that a person copies out of a line into a shell."""

import shlex
from pathlib import Path


def command_in(root: Path, *words: str) -> str:
    """Return a command of ours on a project, wherever the person stands.

    A directory and a session's id may come from others, and hold what a shell would run.
    """
    return shlex.join(("khive-persist", "--dir", str(root), *words))
