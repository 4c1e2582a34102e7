"""What `sync` does not read: messages of times and sessions in which recording was off."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from khive_persist import clock
from khive_persist.capture import pauses, spool_writer
from khive_persist.capture.hook_config import install
from khive_persist.maintenance.doctor.sessions import unrecorded
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.transcripts.sync import Sync, Synced
from tests.factories import make_project
from tests.stored import contents

HOUR = 3_600


def instant(seconds: float) -> str:
    """A time so many seconds from now, as Claude Code writes it."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(text: str, seconds: float, session: str = "s1", cwd: str = "/x") -> dict[str, Any]:
    return {
        "type": "user", "uuid": f"{session} {text}", "sessionId": session, "cwd": cwd,
        "timestamp": instant(seconds), "message": {"role": "user", "content": text},
    }  # fmt: skip


def synced(project: Project, path: Path, *lines: dict[str, Any]) -> tuple[Synced, list[str]]:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    result = Sync(project, Settings(), None).run(path, "claude-code")
    return result, [one["text"] for one in contents(project, "conversations.db").values()]


def all_of_it(_: Project) -> None:
    pauses.pause("all")


def the_project(project: Project) -> None:
    pauses.pause("project", str(project.root))


def the_session(_: Project) -> None:
    pauses.pause("session", "s1")


def the_environment(_: Project) -> None:
    """A hook at the beginning of the time, and one at its end."""
    for seconds in (0, 2 * HOUR):
        arrival = int((datetime.now(UTC).timestamp() + seconds) * 1e9)
        spool_writer.count_unrecorded(spool_writer.home(), "/off/s1", f"{arrival:020d}")


@pytest.mark.parametrize(
    "stopped", [all_of_it, the_project, the_session, the_environment], ids=lambda f: f.__name__
)
def test_messages_of_the_time_stay_out_for_ever(
    project: Project, tmp_path: Path, stopped: Callable[[Project], None]
) -> None:
    lines = [line("before", -60), line("within", HOUR), line("after", 3 * HOUR)]
    stopped(project)
    first, texts = synced(project, tmp_path / "t.jsonl", *lines[:2])
    assert (first.paused, texts) == (1, ["before"])
    for pause in pauses.load():
        # As if it had been ended after two hours.
        ended = pause._replace(until_ns=pause.since_ns + 2 * HOUR * 10**9)
        path = Path(spool_writer.home(), ".khive", "pauses", "pauses.json")
        path.write_text(json.dumps({"pauses": [ended._asdict()]}))
    _, texts = synced(project, tmp_path / "t.jsonl", *lines)
    assert texts == ["before", "after"]
    # Of a file that is read anew, too.
    other = make_project(tmp_path / "other")
    if stopped is not the_project:
        assert synced(other, tmp_path / "u.jsonl", *lines)[1] == ["before", "after"]


def test_another_session_goes_on(project: Project, tmp_path: Path) -> None:
    pauses.pause("session", "s1")
    lines = [line("one", HOUR), line("two", HOUR, session="s2")]
    result, texts = synced(project, tmp_path / "t.jsonl", *lines)
    assert (result.paused, texts) == (1, ["two"])


def test_a_paused_project_is_not_read_into_another(project: Project, tmp_path: Path) -> None:
    paused = make_project(tmp_path / "paused")
    inner = make_project(paused.root / "inner")
    pauses.pause("project", str(paused.root))
    below = paused.root / "src"
    below.mkdir()
    lines = [line(str(root), HOUR, cwd=str(root)) for root in (below, inner.root, project.root)]
    result, texts = synced(project, tmp_path / "t.jsonl", *lines)
    assert (result.paused, texts) == (1, [str(inner.root), str(project.root)])


@pytest.mark.anyio
async def test_doctor_does_not_miss_a_session_that_was_paused(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = install("claude-code", "project", project.root, hook="python")
    monkeypatch.chdir(project.root)
    since = clock.now() - timedelta(hours=1)
    os.utime(change.path, (since.timestamp(), since.timestamp()))
    folder = home / ".claude" / "projects" / str(project.root).replace("/", "-")
    folder.mkdir(parents=True)
    head = json.dumps(line("a", 0, cwd=str(project.root)))
    (folder / "s1.jsonl").write_text(head + "\n")
    (problem,) = await unrecorded(project)
    assert "1 sessions of claude-code" in problem
    pauses.pause("session", "s1")
    assert await unrecorded(project) == []
