"""What an older version left is taken by this one: its files, its registered hooks, its drainer."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from khive_persist import (
    Assignment,
    Experiment,
    HookEvent,
    Message,
    Outcome,
    PlannerSession,
    open_store,
)
from khive_persist.capture import hook_path
from khive_persist.cli.root import run
from khive_persist.models.purposes import BUILT_IN
from tests.upgrade.old_scene import unpack

TOOLS = ("claude-code", "codex", "gemini-cli")
CLASSES = (HookEvent, PlannerSession, Message, Outcome, Experiment, Assignment)
WAIT_SECONDS = 60
Views = dict[tuple[str, str], tuple[list[str], list[tuple[Any, ...]]]]


class Scene(NamedTuple):
    """A home and a project, as a version of this name left them."""

    version: str
    project: Path
    rows: dict[str, tuple[Any, ...]]
    waiting: set[str]

    @property
    def khive(self) -> Path:
        return self.project / ".khive"

    @property
    def home(self) -> Path:
        return self.project.parent / "home"

    @property
    def is_trusted(self) -> bool:
        return self.version != "before_trust"


Khive = Callable[..., Any]


@pytest.fixture(params=["before_trust", "before_moves"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    root = Path(os.path.realpath(tmp_path)) / "scene"
    unpack(request.param, root, Path(sys.executable))
    monkeypatch.setenv("HOME", str(root / "home"))
    # No client of this machine is asked for its version.
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(root / "project")
    khive = root / "project" / ".khive"
    waiting = {path.name.split("_")[1] for path in khive.glob("spool/*.event")}
    assert len(waiting) == len(TOOLS)
    return Scene(request.param, root / "project", stored_rows(khive), waiting)


@pytest.fixture
def khive(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Khive:
    """Run a command of this version in the project, and give its JSON."""

    def call(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        result = run([*words, "--json"])
        captured = capsys.readouterr()
        assert result == code, captured
        return json.loads(captured.out)

    return call


@pytest.fixture
def taken(scene: Scene, khive: Khive) -> Scene:
    """The scene, once it is trusted: a version without marks could not say whose it is."""
    if not scene.is_trusted:
        khive("trust", "--keep", "--yes")
    return scene


def stored_rows(khive: Path) -> dict[str, tuple[Any, ...]]:
    """All records of all files by id, as plain SQL shows them."""
    rows: dict[str, tuple[Any, ...]] = {}
    for kind in BUILT_IN:
        if (path := khive / kind.file).exists():
            with closing(sqlite3.connect(path)) as database:
                found = database.execute(
                    f"SELECT id, content, node_metadata, created_at FROM {kind.table}"
                )
                rows |= {row[0]: row for row in found}
    return rows


def views(khive: Path) -> Views:
    """All views of all files with their columns and rows, as plain SQL shows them."""
    found: Views = {}
    for path in khive.glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
            for (name,) in names.fetchall():
                rows = database.execute(f'SELECT * FROM "{name}"')
                columns = [column[0] for column in rows.description]
                found[path.name, name] = columns, rows.fetchall()
    return found


def registered(scene: Scene) -> Iterator[tuple[str, str]]:
    """The tool and the distinct commands of all settings files."""
    for root in (scene.project, scene.home):
        for tool in TOOLS:
            file = "hooks.json" if tool == "codex" else "settings.json"
            settings = json.loads((root / f".{tool.split('-')[0]}" / file).read_text())
            groups = [group for groups in settings["hooks"].values() for group in groups]
            commands = {hook["command"] for group in groups for hook in group["hooks"]}
            yield from ((tool, command) for command in sorted(commands))


def send(scene: Scene, command: str | list[str], session_id: str) -> None:
    """Run a hook as a tool does, which must say nothing and leave the tool alone."""
    payload = {"hook_event_name": "SessionStart", "session_id": session_id}
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    result = subprocess.run(
        words, input=json.dumps(payload).encode(), cwd=scene.project, capture_output=True,
        check=True, timeout=WAIT_SECONDS,
    )  # fmt: skip
    assert (result.stdout, result.stderr) == (b"", b"")


def wait_until_drained(scene: Scene) -> None:
    """Wait for the drainer that a hook has started; nothing of this process drains."""
    deadline = time.monotonic() + WAIT_SECONDS
    while [*scene.khive.glob("spool/*.event")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def events_of(khive: Khive) -> dict[str, tuple[str, str]]:
    """Give tool and session of each event by id."""
    events = khive("events")
    found = {event["id"]: event["content"] for event in events}
    assert len(found) == len(events)
    return {id: (content["tool"], content["session_id"]) for id, content in found.items()}


def test_an_event_before_the_first_command_of_this_version_is_kept(
    scene: Scene, khive: Khive
) -> None:
    tool, command = next(registered(scene))
    send(scene, command, "first")
    if scene.is_trusted:
        wait_until_drained(scene)
    else:
        assert [*(scene.home / ".khive" / "spool").glob("*.away")]
        khive("trust", "--keep", "--yes")
    assert [*events_of(khive).values()].count((tool, "first")) == 1


def test_old_registered_commands_record_until_they_are_renewed(taken: Scene, khive: Khive) -> None:
    before = events_of(khive)
    commands: list[tuple[str, str | list[str]]] = [*registered(taken)]
    for tool in TOOLS:
        commands.append((tool, [sys.executable, str(hook_path()), "--tool", tool]))
    sent = []
    for number, (tool, command) in enumerate(commands):
        send(taken, command, str(number))
        sent.append((tool, str(number)))
    wait_until_drained(taken)
    after = events_of(khive)
    assert after.items() >= before.items()
    assert sorted(after[id] for id in after.keys() - before.keys()) == sorted(sent)
    assert khive("verify")["is_equal"]


def test_a_drainer_is_started_by_its_old_form(taken: Scene) -> None:
    spool = taken.khive / "spool"
    pipe = os.open(spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    words = ["-E", "-P", "-m", "khive_persist.capture.drainer", str(taken.project), str(pipe)]
    subprocess.run([sys.executable, *words], pass_fds=[pipe], check=True, timeout=WAIT_SECONDS)
    os.close(pipe)
    assert not [*spool.glob("*.event")]
    assert stored_rows(taken.khive).keys() >= taken.waiting


def test_all_records_are_read_once_as_they_were_written(taken: Scene, khive: Khive) -> None:
    assert events_of(khive).keys() >= taken.waiting
    assert khive("verify")["is_equal"]
    rows = stored_rows(taken.khive)
    assert {id: rows[id] for id in taken.rows} == taken.rows
    assert rows.keys() - taken.rows.keys() == taken.waiting
    assert sorted(asyncio.run(loaded_ids(taken.project))) == sorted(rows)


def test_the_mirror_lacks_nothing_once_the_old_spool_came_in(taken: Scene, khive: Khive) -> None:
    khive("events")
    assert [line for line in khive("doctor", code=1)["problems"] if "the mirror" in line] == []


async def loaded_ids(project: Path) -> list[str]:
    """Load all records as their classes, whose modules had other names when they were saved."""
    ids = []
    for record in CLASSES:
        async with open_store(record, dir=project) as store:
            for loaded in await store.find():
                assert type(loaded) is record
                assert loaded.node_metadata["lion_class"].startswith("khive_persist.records.")
                ids.append(loaded.id)
    return ids


def test_transcripts_that_the_old_version_read_come_in_once(taken: Scene, khive: Khive) -> None:
    khive("sync", str(taken.home / "transcripts"))
    assert stored_rows(taken.khive).keys() - taken.rows.keys() == taken.waiting


def test_plain_sql_of_the_old_views_still_works(taken: Scene, khive: Khive) -> None:
    before = views(taken.khive)
    assert before
    plan = taken.home / "plan.json"
    plan.write_text('{"session_id": "new", "task_description": "after the upgrade"}')
    khive("record", "planner-session", str(plan))
    khive("events")
    after = views(taken.khive)
    for view, (columns, rows) in before.items():
        new_columns, new_rows = after[view]
        places = [new_columns.index(column) for column in columns]
        shown = [tuple(row[place] for place in places) for row in new_rows]
        assert [row for row in rows if row not in shown] == [], view


def test_status_says_what_is_old_and_install_renews_it(taken: Scene, khive: Khive) -> None:
    state, problem = {
        "before_trust": ("installed", "with a code that makes some clients refuse a tool"),
        "before_moves": ("stale", "khive-hook is that of an earlier version"),
    }[taken.version]
    for status in installed(khive):
        assert status["state"] == state
        assert any(problem in line for line in status["problems"])
    for scope in ("project", "user"):
        khive("hooks", "install", "--scope", scope, *TOOLS)
    for status in installed(khive):
        assert status["state"] == "installed"
        assert not any(problem in line for line in status["problems"])
    copy = taken.home / ".khive" / "bin" / "khive-hook"
    for number, (tool, command) in enumerate(registered(taken)):
        assert str(copy) in command.replace("~", str(taken.home))
        send(taken, command, str(number))
        assert [*events_of(khive).values()].count((tool, str(number))) == 1


def installed(khive: Khive) -> list[dict[str, Any]]:
    """Give the status of the six settings files that have hooks; Codex has not been asked yet."""
    statuses = [s for s in khive("hooks", "status", code=1)["hooks"] if s["events"]]
    assert len(statuses) == 2 * len(TOOLS)
    return statuses
