"""A process that has imported what a server needs, and forks one for each who asks for it.

    python -P warm_parent.py

stdin is a socket: each message of it is what to run, with the files that it gets. Between the two
stands a process that waits for the server and says how it ended, as only its parent can.
"""

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

import khive_persist.cli.commands.serve
import khive_persist.server.run  # noqa: F401 - what is imported here is not in each fork

_LARGEST: Final = 1 << 17
_FILES: Final = 3


def main() -> None:
    """Fork until nobody can ask any more."""
    # Nobody waits for those that wait.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as asking:
        while True:
            message, files, _, _ = socket.recv_fds(asking, _LARGEST, _FILES)
            if not message:
                return
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if process := os.fork():
        _tell_end(process, files)
    _run(json.loads(message), files)


def _tell_end(process: int, files: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stdout, stderr, telling = files
    for file in (0, stdout, stderr):
        os.close(file)
    with socket.socket(fileno=telling) as asker, suppress(BrokenPipeError):
        asker.sendall(b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(what: dict[str, Any], files: list[int]) -> None:
    """Become what was asked for, as if it had been started so."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for standard, file in enumerate((nothing, *files[:2])):
        os.dup2(file, standard)
    os.closerange(3, max(nothing, *files) + 1)
    os.environ.clear()
    os.environ.update(what["environment"])
    os.chdir(what["directory"])
    sys.argv = ["-c", *what["words"]]
    exec(what["program"], {"__name__": "__main__"})


if __name__ == "__main__":
    main()
