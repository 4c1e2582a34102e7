"""A process of `khive-persist collect`, which can be killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

_STOP_SECONDS = 60


class CollectorProcess:
    """One collector; what it says lies in a file beside the others'."""

    def __init__(self, name: str, folder: Path, source: str, target: str) -> None:
        """Prepare to start it: from servers of NATS to a database."""
        self.name = name
        self.log = folder / f"{name}.log"
        self._words = [sys.executable, "-m", "khive_persist", "collect"]
        self._words += ["--from", source, "--to", target]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it."""
        # Python writes what is said at once, and not when there is more.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*self._words, *options],
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def kill(self) -> None:
        """Kill it, as by kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        """Wait until it has ended by itself; return its exit code."""
        assert self._process is not None
        return self._process.wait(_STOP_SECONDS)

    def stop(self) -> int:
        """End it, once what it has begun is stored; return its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
