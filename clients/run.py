"""One run of a client: its own home and project, its processes, and the end of all of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
# Loopback goes around it, and all else ends there.
_NO_PROXY_LISTENS: Final = "http://127.0.0.1:9"
_SECONDS_TO_FINISH: Final = 8.0
_DRAINER: Final = b"khive_persist.capture.drainer"
_PAUSE: Final = 0.05


class RunError(Exception):
    """A step of a run that did not go as it has to; the text says which, and how."""


class Late(RunError):
    """A program that was not done within its time."""


@dataclass
class Run:
    """The folders and the environment of one run.

    Attributes:
        folder: The folder of the run; all that it makes lies below.
        port: The port of the model on loopback.
        khive_program: Our program, as it is installed.
        program: The client's program.
        node_folder: The folder of the Node that runs it.
        seconds: The limit for each program.
        project_name: The name of the project's folder.
        variables: What the client has in its environment besides.
        denied: The rules against tools that its arguments hold.
    """

    folder: Path
    port: int
    khive_program: Path
    program: Path
    node_folder: Path
    seconds: float
    project_name: str = "proj"
    variables: dict[str, str] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The home directory of the run."""
        return self.folder / "home"

    @property
    def project(self) -> Path:
        """The project's directory, a git repository."""
        return self.folder / self.project_name

    @property
    def sent(self) -> Path:
        """The folder of what the second recorder was given, a file an event."""
        return self.folder / "sent"

    @property
    def url(self) -> str:
        """The address of the model."""
        return f"http://127.0.0.1:{self.port}"

    def make(self) -> None:
        """Make the folders, the repository and the project's `.khive`.

        Raises:
            RunError: Git or khive-persist failed.
        """
        for folder in (self.home, self.project, self.sent):
            folder.mkdir(parents=True)
        (self.project / "README.md").write_text("A project.\n")
        self.checked(["git", "init", "--quiet"])
        self.checked(["git", "add", "README.md"])
        self.checked(["git", "-c", "user.name=n", "-c", "user.email=n@example.org", "commit",
                      "--quiet", "--message", "first"])  # fmt: skip
        self.khive("init")

    def environment(self) -> dict[str, str]:
        """Return the environment of all programs of the run."""
        return {
            "PATH": f"{self.node_folder}:{_SYSTEM_PATH}", "HOME": str(self.home),
            "LANG": "C.UTF-8", "TERM": "xterm-256color", "SHELL": "/bin/sh",
            "HTTP_PROXY": _NO_PROXY_LISTENS, "HTTPS_PROXY": _NO_PROXY_LISTENS,
            "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
            **self.variables,
        }  # fmt: skip

    def khive(self, *arguments: str) -> str:
        """Run a command of khive-persist in the project; return what it printed.

        Raises:
            RunError: Its exit code is not 0.
        """
        command, *rest = arguments
        words = [command, *rest[:1], "--dir", str(self.project), *rest[1:]]
        if command != "hooks":
            words = [command, "--dir", str(self.project), *rest]
        return self.checked([str(self.khive_program), *words])

    def checked(self, command: Sequence[str]) -> str:
        """Run a program in the project; return what it printed.

        Raises:
            RunError: Its exit code is not 0, or it took longer than the limit.
        """
        try:
            done = subprocess.run(
                command, cwd=self.project, env=self.environment(), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False, timeout=self.seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Late(f"{command[0]} took longer than {self.seconds:g} s") from None
        if done.returncode:
            text = (done.stderr or done.stdout).strip()
            raise RunError(f"{' '.join(command)}: {done.returncode}: {text[-400:]}")
        return done.stdout

    def start(self, arguments: Sequence[str], name: str) -> "Started":
        """Start the client in the project; what it prints goes to `NAME.out` and `NAME.err`."""
        with (
            (self.folder / f"{name}.out").open("wb") as out,
            (self.folder / f"{name}.err").open("wb") as err,
        ):
            process = subprocess.Popen(
                [str(self.program), *arguments], cwd=self.project, env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
        return Started(process, self, name)

    def wait_for(self, what: Callable[[], bool], started: "Started") -> None:
        """Wait until something is so.

        Raises:
            RunError: The client ended before, or the limit is over.
        """
        end = time.monotonic() + self.seconds
        while not what():
            if started.process.poll() is not None:
                raise RunError(f"it ended before its tool began: {started.last_words()}")
            if time.monotonic() > end:
                raise Late(f"its tool did not begin within {self.seconds:g} s")
            time.sleep(_PAUSE)

    def finish(self) -> None:
        """Wait for what the client left behind, as its hooks, and end what stays longer.

        Our drainer, which stays for a while, is left alone.
        """
        end = time.monotonic() + _SECONDS_TO_FINISH
        while (left := self._processes(drainers=False)) and time.monotonic() < end:
            time.sleep(_PAUSE)
        for pid in left:
            _kill(pid)

    def end(self) -> None:
        """End all processes whose home is the run's."""
        for pid in self._processes(drainers=True):
            _kill(pid)

    def _processes(self, *, drainers: bool) -> list[int]:
        """Return the processes whose home is the run's. Without a /proc there are none."""
        wanted = f"HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if wanted not in entry.read_bytes().split(b"\0"):
                    continue
                words = entry.with_name("cmdline").read_bytes()
                if drainers or _DRAINER not in words:
                    found.append(int(entry.parent.name))
            except OSError:
                # It ended, or is another user's.
                continue
        return found


@dataclass
class Started:
    """A client that runs."""

    process: subprocess.Popen[bytes]
    run: Run
    name: str

    def end(self) -> int:
        """Wait for its end; return its exit code, below 0 for a signal.

        Raises:
            Late: The limit is over; it is killed then.
        """
        try:
            return self.process.wait(self.run.seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"it took longer than {self.run.seconds:g} s: {self.last_words()}") from None
        finally:
            self.kill()

    def interrupt(self) -> None:
        """Send what Ctrl-C sends: SIGINT to all processes of the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self) -> str:
        """Return the end of what it printed, in one line."""
        texts = [
            (self.run.folder / f"{self.name}.{end}").read_text("utf-8", "replace").strip()
            for end in ("err", "out")
        ]
        return " ".join(" ".join(texts).split())[-300:]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
