"""Standard output that ends the process, as a filter of Unix ends, when its reader has left.

Where it cannot be written for another reason, as on a full disk, the command fails, once.

SIGPIPE stays ignored: by default it would also end a server whose client leaves, or a command whose
helper was killed.
"""

import io
import os
import sys
from typing import Any

import click

from khive_persist.cli.exit_codes import READER_LEFT


class _Descriptor(io.FileIO):
    _has_failed = False

    def write(self, data: Any, /) -> int:
        if self._has_failed:
            # What is still in the buffer, the interpreter would try again when it leaves.
            return len(memoryview(data).cast("B"))
        try:
            return super().write(data)
        except BrokenPipeError:
            # Any thread may print: only the main one could raise the signal itself.
            os._exit(READER_LEFT)
        except OSError as error:
            self._has_failed = True
            raise click.ClickException(
                f"standard output cannot be written ({error.strerror})"
            ) from error


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
