"""A process that has imported what our programs need, and forks one for each who asks for it.

    python -P warm_parent.py BEFORE

BEFORE is what it runs before it imports anything of ours; its names are those of each fork.

stdin is a socket: each message of it is what to run, with the files that it gets. Between the two
stands a process that waits for the program and says how it ended, as only its parent can.
"""

import atexit
import gc
import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, Final, NoReturn

_LARGEST: Final = 1 << 17
_FILES: Final = 4


def main() -> None:
    """Fork until nobody can ask any more."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(sys.argv[1], names)
    import khive_persist.cli.commands.serve
    import khive_persist.server.run  # noqa: F401 - what is imported here is not in each fork

    # A collection in a fork would copy all that it looks at.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as asking:
        while True:
            message, files, _, _ = socket.recv_fds(asking, _LARGEST, _FILES)
            if not message:
                return
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    if process := os.fork():
        _tell_end(process, files)
    _run(json.loads(message), files, names)


def _tell_end(process: int, files: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stdin, stdout, stderr, telling = files
    for file in (0, stdin, stdout, stderr):
        os.close(file)
    with socket.socket(fileno=telling) as asker, suppress(BrokenPipeError):
        asker.sendall(b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(what: dict[str, Any], files: list[int], names: dict[str, Any]) -> NoReturn:
    """Become what was asked for, as if it had been started so."""
    for standard, file in enumerate(files[:3]):
        os.dup2(file, standard)
    os.closerange(3, max(files) + 1)
    os.environ.clear()
    os.environ.update(what["environment"])
    os.chdir(what["directory"])
    sys.argv = ["-c", *what["words"]]
    sys.path.insert(0, "")
    code = 0
    try:
        exec(what["program"], names)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        code = -signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


def _end(code: int) -> NoReturn:
    """End as an interpreter does, but for taking apart what was imported: most of a short run."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
