"""The process that reads large bodies for a server; `preparer.py` starts it.

    python -m khive_persist.server.preparing ROOT

stdin is one end of a pair of sockets; the server has the other. To make values of a document of
some megabytes holds Python's lock for most of a second, in whichever thread: in the server nobody
else would be answered meanwhile. To take the secrets out of it takes longer still: in the process
that stores it, that would be so while it holds a lock. It leaves when the server closes its end.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from khive_persist.errors import KhiveError
from khive_persist.project import Project
from khive_persist.recorder.framing import FrameDecoder, beside, pack, to_parts
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Incoming
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
    live = LiveSettings(Project(sys.argv[1]))
    frames = FrameDecoder()
    with socket.socket(fileno=os.dup(0)) as server:
        try:
            while piece := server.recv(_READ_BYTES):
                for kind, work, body, words in frames.feed(piece):
                    for part in pack(_reply(live, kind, work, bytes(body), words)):
                        server.sendall(part)
        except OSError:
            # The server was killed.
            return 1
    return 0


def _reply(
    live: LiveSettings, kind: str, work: Callable[..., Any], body: bytes, words: tuple[Any, ...]
) -> tuple[Any, Exception | None]:
    if live.has_changed():
        # What is wrong with the file, the server has said.
        with suppress(KhiveError):
            live.reload()
    try:
        match kind:
            case "pieces":
                pieces = (_with_rows(piece, live) for piece in work(body, *words))
                return [[beside(part) for part in to_parts(piece)] for piece in pieces], None
            case "record":
                return work(*words, body).with_row(live).record, None
        return work(body, *words), None
    except (KhiveError, HTTPError) as error:
        return None, error


def _with_rows(piece: Any, live: LiveSettings) -> Any:
    return piece._replace(rows={at: _with_row(item, live) for at, item in piece.rows.items()})


def _with_row(item: Incoming, live: LiveSettings) -> Incoming:
    try:
        return item.with_row(live)
    except Exception:  # Who stores it tries once more, and says what is wrong.
        return item


if __name__ == "__main__":
    sys.exit(main())
