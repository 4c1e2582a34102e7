"""The words that start our server, and those by which it is known in a settings file."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

NAME: Final = "khive-persist"
_PROGRAM: Final = "khive-persist"
_MODULE: Final = "khive_persist.cli"
_VERB: Final = "mcp"


def server_words(*, is_shared: bool, directory: Path | None) -> list[str]:
    """Return the words that start the server.

    Args:
        is_shared: Whether the file is read on other machines, too: then no path of this one is in
            the words, and the program is looked for on PATH.
        directory: The directory that holds `.khive`; None for that of the working directory.
    """
    options = [] if directory is None else ["--dir", os.path.abspath(directory)]
    if is_shared:
        return [_PROGRAM, *options, _VERB]
    script = os.path.join(sysconfig.get_path("scripts"), _PROGRAM)
    if os.access(script, os.X_OK):
        return [script, *options, _VERB]
    return [sys.executable, "-P", "-m", _MODULE, *options, _VERB]


def is_ours(words: Sequence[object]) -> bool:
    """Tell whether the words of a server in a settings file start ours, of whatever version."""
    if len(words) < 2 or not all(isinstance(word, str) for word in words):
        return False
    program, arguments = os.path.basename(str(words[0])), [str(word) for word in words[1:]]
    if _MODULE in arguments:
        arguments = arguments[arguments.index(_MODULE) + 1 :]
    elif program != _PROGRAM:
        return False
    if arguments[:1] == ["--dir"]:
        arguments = arguments[2:]
    return arguments == [_VERB]


def missing_program(words: Sequence[str]) -> str:
    """Return the program of a server where it is not there; an empty string where it is."""
    return "" if shutil.which(words[0]) else words[0]
