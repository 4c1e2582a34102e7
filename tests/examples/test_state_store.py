"""The example of a state store, as a process: what it saves is there after whatever ends it."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import load_document
from tests.server import warm

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "examples.state_store"]
NEVER = 3_600
SOON = 0.05


class Application:
    """A running process of the example."""

    def __init__(self, directory: Path, every_seconds: float) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "run", "--dir", str(directory), "--every", str(every_seconds)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.read_until("ready")

    def read_until(self, beginning: str) -> list[str]:
        """The lines up to the one that begins so."""
        assert self.process.stdout is not None
        read = []
        for line in self.process.stdout:
            read.append(line.rstrip())
            if line.startswith(beginning):
                return read
        raise AssertionError(f"{beginning!r} did not come: {read}")

    def tell(self, line: str) -> None:
        """Give it a line; it was understood on return."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        self.read_until("ok")

    def end(self, number: signal.Signals) -> str:
        """End it by a signal; what it still said."""
        self.process.send_signal(number)
        # First: to communicate ends its input, which would end it too.
        self.process.wait(timeout=30)
        return self.process.communicate()[0]


Start = Callable[..., Application]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "application"
    made.mkdir()
    return made


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    started: list[Application] = []

    def start(every_seconds: float) -> Application:
        started.append(Application(directory, every_seconds))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def run(command: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    return warm.run_module("examples.state_store", command, "--dir", str(directory))


def saved(directory: Path) -> Any:
    """The state as a new process loads it."""
    done = run("show", directory)
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    for session in state["app_sessions"]:
        assert session.pop("last_seen")
    return state


def state(messages: list[str], tasks: dict[str, str]) -> Any:
    """The state of a user Ann."""
    return {
        "app_sessions": [{"user": "ann"}],
        "app_conversations": [{"user": "ann", "messages": messages}],
        "app_focus_chains": [{"user": "ann", "tasks": tasks}],
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_all_before_it_ends(
    number: signal.Signals, directory: Path, start: Start
) -> None:
    for text, seen in (("one", ["one"]), ("two", ["one", "two"])):
        application = start(NEVER)
        application.tell(f"say ann {text}")
        application.tell("focus ann write the tests")
        application.end(number)
        assert application.process.returncode == 0
        assert saved(directory) == state(seen, {"write the tests": "open"})


def test_a_killed_process_comes_back_from_the_last_autosave(directory: Path, start: Start) -> None:
    application = start(SOON)
    application.tell("focus ann write the tests")
    application.read_until("saved 1 in app_focus_chains.db")
    for text in ("one", "two"):
        application.tell(f"say ann {text}")
        application.read_until("saved 1 in app_conversations.db")
    application.tell("pause")
    application.tell("say ann three")
    application.tell("done ann write the tests")
    application.end(signal.SIGKILL)
    assert saved(directory) == state(["one", "two"], {"write the tests": "open"})
    application = start(SOON)
    application.tell("done ann write the tests")
    # Only what changed.
    assert application.read_until("saved")[-1].startswith("saved 1 in app_focus_chains.db")
    application.end(signal.SIGKILL)
    assert saved(directory) == state(["one", "two"], {"write the tests": "done"})


def test_a_lost_state_is_recovered_from_the_backup(directory: Path, start: Start) -> None:
    application = start(NEVER)
    application.tell("say ann one")
    application.tell("focus ann write the tests")
    application.tell("backup")
    application.tell("say ann two")
    application.end(signal.SIGTERM)
    shutil.rmtree(directory / ".khive")
    assert saved(directory)["app_sessions"] == []
    done = run("recover", directory)
    assert (done.returncode, done.stdout[:20]) == (0, "recovered the backup")
    assert saved(directory) == state(["one"], {"write the tests": "open"})


def test_a_damaged_state_is_not_written_over(directory: Path, start: Start) -> None:
    application = start(NEVER)
    application.tell("say ann one")
    application.tell("focus ann write the tests")
    application.tell("backup")
    application.end(signal.SIGTERM)
    database = directory / ".khive" / "app_conversations.db"
    database.write_bytes(b"garbage " * 1_000)
    done = run("run", directory)
    assert done.returncode == 1
    assert "app_conversations.db" in done.stderr
    assert "Traceback" not in done.stderr
    assert database.read_bytes() == b"garbage " * 1_000
    assert run("recover", directory).returncode == 0
    assert saved(directory) == state(["one"], {"write the tests": "open"})


def test_without_a_backup_there_is_nothing_to_recover(directory: Path) -> None:
    done = run("recover", directory)
    assert (done.returncode, done.stderr) == (
        1,
        "there is no backup: khive-persist backup create\n",
    )


def test_its_compressed_copy_is_for_other_programs(directory: Path, start: Start) -> None:
    application = start(NEVER)
    application.tell("say ann one")
    assert "saved 1 in state.json.gz" in application.end(signal.SIGTERM)
    copy = directory / "state.json.gz"
    assert copy.stat().st_mode & 0o777 == 0o600
    document = anyio.run(load_document, copy)
    assert document["app_conversations"] == [{"user": "ann", "messages": ["one"]}]


def test_it_says_what_it_loads(directory: Path, start: Start) -> None:
    application = start(NEVER)
    application.tell("say ann one")
    application.tell("say bob one")
    application.end(signal.SIGTERM)
    said = run("show", directory).stderr
    assert "loaded 2 of app_sessions.db, " in said
    assert "loaded 2 of app_conversations.db, " in said
    assert "app_focus_chains.db" not in said
