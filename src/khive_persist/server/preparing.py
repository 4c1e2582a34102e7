"""The process that reads large bodies for a server; `preparer.py` starts it.

    python -m khive_persist.server.preparing ROOT

stdin is one end of a pair of sockets; the server has the other. To make values of a document of
some megabytes holds Python's lock for most of a second, in whichever thread: in the server nobody
else would be answered meanwhile. It leaves when the server closes its end.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from khive_persist.errors import KhiveError
from khive_persist.recorder.framing import FrameDecoder, pack
from khive_persist.server.http.errors import HTTPError

# Who sends much can wait for what others send meanwhile.
_NICENESS: Final = 5
_READ_BYTES: Final = 1 << 20


def main() -> int:
    """Read until the server closes its end."""
    # Ctrl-C, and a stop by systemd, are sent to all; it is the server that says when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    os.nice(_NICENESS)
    frames = FrameDecoder()
    with socket.socket(fileno=os.dup(0)) as server:
        try:
            while piece := server.recv(_READ_BYTES):
                for work, words in frames.feed(piece):
                    server.sendall(pack(_call(work, words)))
        except OSError:
            # The server was killed.
            return 1
    return 0


def _call(work: Callable[..., Any], words: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    try:
        return work(*words), None
    except (KhiveError, HTTPError) as error:
        return None, error


if __name__ == "__main__":
    sys.exit(main())
