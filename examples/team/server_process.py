"""A process of the team's server, which can be killed and started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

_START_SECONDS = 60


class ServerProcess:
    """The team's server, with a home and a project of its own."""

    def __init__(self, folder: Path, store: str) -> None:
        """Make its project; nothing runs yet."""
        self._home = folder / "server"
        self._project = self._home / "team"
        self._project.mkdir(parents=True)
        self._store = store
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self._run("init")
        self._reader = self.token("reader", "--role", "lead")

    def token(self, name: str, *options: str) -> str:
        """Make a token for somebody."""
        return self._run("serve", "token", "create", name, *options).strip()

    def start(self) -> None:
        """Start it; it answers on return, at the address that it had before."""
        words = self._words("serve", "--port", self._port, "--store", self._store)
        with (self._home / "server.log").open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                words, stdout=subprocess.PIPE, stderr=log, text=True,
                env=self._environment(), cwd=self._project,
            )  # fmt: skip
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._port = self.url.rpartition(":")[2]

    def kill(self) -> None:
        """Kill it, as by kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it, once what it has begun is answered; return its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_START_SECONDS)

    def get(self, path: str) -> Any:
        """Return what it answers to a lead; it may be about to come back."""
        headers = {"Authorization": f"Bearer {self._reader}"}
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 - our own
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=_START_SECONDS) as answer:  # noqa: S310
                    return json.load(answer)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def _run(self, *words: str) -> str:
        return subprocess.run(  # noqa: S603 - our own command
            self._words(*words),
            env=self._environment(),
            cwd=self._project,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "khive_persist", *words]

    def _environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if name != "KHIVE_DIR"}
        return others | {"HOME": str(self._home), "KHIVE_HOME": str(self._home)}
