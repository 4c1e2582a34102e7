"""The recorder: the process that stores what a server is sent.

    python -m khive_persist.recorder.process ROOT [again] [large]

stdin is one end of a pair of sockets; the server has the other. To look for secrets, to write and
to copy takes as long as to speak HTTP: in one process each would wait for the other's turn of
Python's lock, and a large payload would hold up all answers. When the server is gone, whatever it
has sent is stored, and the recorder leaves. What comes in large bodies is stored by a second
recorder: what comes in small ones does not wait until that is read and copied.
"""

import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Final

from khive_persist.errors import KhiveError
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.recorder import SWITCH_SECONDS
from khive_persist.recorder.framing import FrameDecoder, pack
from khive_persist.recorder.group_commit import CommitThread
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Commit, RecorderRequest
from khive_persist.recorder.recovery import recover_all

# The one before it has ended: what it had not copied is copied first.
AGAIN: Final = "again"
# It stores what comes in large bodies, a file at a time. Its priority is that of others: for the
# locks that it holds, they wait.
LARGE: Final = "large"
_READ_BYTES: Final = 1 << 20


def main() -> int:
    """Store until the server closes its end."""
    # Ctrl-C, and a stop by systemd, are sent to all; it is the server that says when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_SECONDS)
    # Half of it would answer nobody: the server starts another.
    threading.excepthook = lambda _: os._exit(1)
    project = Project(sys.argv[1])
    try:
        with socket.socket(fileno=os.dup(0)) as server:
            _RecorderProcess(project, server).run()
    except Exception:  # A mistake of ours; the threads of the commits would keep the process.
        os._exit(1)
    return 0


class _RecorderProcess:
    def __init__(self, project: Project, server: socket.socket) -> None:
        self._project = project
        self._server = server
        # To make a row of some megabytes holds Python's lock for up to a second at a time. Who is
        # in a transaction, or copies what was committed, would wait for it, and who waits for the
        # locks of those two, too.
        self._turn = threading.Lock() if LARGE in sys.argv[2:] else None
        self._sending = threading.Lock()
        self._live = LiveSettings(project)
        self._commits: dict[Purpose, CommitThread] = {}

    def run(self) -> None:
        if AGAIN in sys.argv[2:]:
            recover_all(self._project, self._live.settings)
        self._store()

    def _store(self) -> None:
        frames = FrameDecoder()
        while piece := self._receive():
            for messages in frames.feed(piece):
                for message in messages:
                    if isinstance(message, RecorderRequest):
                        self._of(message.purpose).add(message)
                    else:
                        self._reload()
        for commits in self._commits.values():
            commits.close()

    def _receive(self) -> bytes:
        try:
            return self._server.recv(_READ_BYTES)
        except ConnectionResetError:
            # The server was killed before it had read all answers.
            return b""

    def _of(self, purpose: Purpose) -> CommitThread:
        if purpose not in self._commits:
            self._commits[purpose] = CommitThread(
                self._project, purpose, self._live, self._on_commit, self._turn
            )
        return self._commits[purpose]

    def _on_commit(self, commit: Commit) -> None:
        # Where the server is gone, nobody waits for the answer; what it said is stored.
        with self._sending, suppress(OSError):
            for part in pack(commit):
                self._server.sendall(part)

    def _reload(self) -> None:
        # What is wrong with the file, the server has said.
        with suppress(KhiveError):
            self._live.reload()


if __name__ == "__main__":
    sys.exit(main())
