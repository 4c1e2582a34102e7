"""A machine of a team: a home and a project of its own, in which real sessions are recorded."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from khive_persist.store import codec
from khive_persist.team.team_record import TeamRecord

TOOLS = ("claude-code", "codex", "gemini-cli")
# Nothing of a text leaves; `every_minutes = 0` lets nobody push but this program.
SETTINGS = """[team]
url = "{url}"
form = "metrics"
person = "{person}"
machine = "{machine}"
project = "shop"
every_minutes = 0.0
token_variable = "{variable}"
"""
# Of one that pushes over HTTP; servers of NATS on this machine ask for none.
TOKEN_VARIABLE = "KHIVE_TEAM_TOKEN"  # noqa: S105 - a name


class Machine:
    """One machine; its commands are processes, as a person's are."""

    def __init__(self, number: int, folder: Path, url: str, token: str = "") -> None:
        """Make its home and its project; what leaves goes there, with this token."""
        self.name = f"machine-{number:02}"
        self.person = f"person-{number:02}"
        self._home = folder / self.name
        self._project = self._home / "shop"
        self._project.mkdir(parents=True)
        (self._home / ".khive").mkdir(mode=0o700)
        self._token = token
        settings = SETTINGS.format(
            url=url,
            person=self.person,
            machine=self.name,
            variable=TOKEN_VARIABLE if token else "",
        )
        (self._home / ".khive" / "config.toml").write_text(settings)
        self._run("init")
        self.pushing: subprocess.Popen[bytes] | None = None

    def record(self, rounds: int) -> int:
        """Record the sample sessions so often, each time as other ones; how many events."""
        count = 0
        for tool in TOOLS:
            lines = []
            for turn in range(rounds):
                lines += [self._as_own(line, turn) for line in _sample(tool)]
            self._run("record", "hook-event", "--lines", "--tool", tool, input="\n".join(lines))
            count += len(lines)
        return count

    def leaving(self) -> list[TeamRecord]:
        """Return what the next push sends, as `push --dry-run` shows it."""
        output = self._run("push", "--dry-run").splitlines()
        return [TeamRecord.from_json(line) for line in output]

    def push(self) -> tuple[int, str]:
        """Push; return the exit code and what was said."""
        self.pushing = subprocess.Popen(  # noqa: S603 - our own command
            self._words("push"),
            env=self._environment(),
            cwd=self._project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = self.pushing.communicate()
        return self.pushing.returncode, output.decode().strip()

    def _run(self, *words: str, input: str = "") -> str:
        process = subprocess.run(  # noqa: S603 - our own command
            self._words(*words),
            input=input,
            env=self._environment(),
            cwd=self._project,
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise SystemExit(f"{self.name}: {' '.join(words)}: {process.stderr.strip()}")
        return process.stdout

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "khive_persist", *words]

    def _environment(self) -> dict[str, str]:
        # It finds the project from its directory, as a person's shell does.
        others = {name: value for name, value in os.environ.items() if name != "KHIVE_DIR"}
        homes = {"HOME": str(self._home), "KHIVE_HOME": str(self._home)}
        return others | homes | ({TOKEN_VARIABLE: self._token} if self._token else {})

    def _as_own(self, line: str, turn: int) -> str:
        """Return a payload as of another session: of this machine, and this turn."""
        payload = codec.load(line)
        session = payload.get("session_id")
        if not isinstance(session, str):
            return line
        own = uuid5(NAMESPACE_URL, f"{self.name}/{turn}/{session}")
        return line.replace(session, str(own))


def _sample(tool: str) -> list[str]:
    return (files("khive_persist") / "samples" / f"{tool}.jsonl").read_text().splitlines()
