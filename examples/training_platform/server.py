"""The server, as a process that is started, killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self


class Server:
    """`khive-persist serve` for a directory, on a free port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def start(self) -> None:
        """Start it; it answers on return."""
        directory = str(self._directory)
        command = [sys.executable, "-m", "khive_persist.cli", "--dir", directory, "serve"]
        # A session of its own, so that it can be killed with all its processes.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--port", "0"], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise SystemExit("the server did not start")

    def kill(self) -> None:
        """End it with all its processes, at once: none of them can finish anything."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
