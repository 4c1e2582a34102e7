"""Standard output that ends the process, as a filter of Unix ends, when its reader has left.

SIGPIPE stays ignored: by default it would also end a server whose client leaves, or a command whose
helper was killed.
"""

import io
import os
import sys
from typing import Any

from khive_persist.cli.exit_codes import READER_LEFT


class _Descriptor(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            # Any thread may print: only the main one could raise the signal itself.
            os._exit(READER_LEFT)


def end_with_reader() -> None:
    """Let this process end in silence once nobody reads what it prints."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Descriptor(stream.fileno(), "w", closefd=False)),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.isatty(),
        )
