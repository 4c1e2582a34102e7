"""What is wrong around a project: doctor names each, and nothing where nothing is."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from khive_persist import Message, PlannerSession, open_store, sync
from khive_persist.capture import spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.hook_config import install, settings_path
from khive_persist.capture.notices import diverted_lines
from khive_persist.capture.spool import Spool, waiting_at_home
from khive_persist.errors import NotFoundError
from khive_persist.maintenance.doctor import disk
from khive_persist.maintenance.doctor.report import examine
from khive_persist.maintenance.doctor.sessions import unrecorded
from khive_persist.project import Project
from khive_persist.sessions.read import whole_id
from tests.factories import make_project

pytestmark = pytest.mark.anyio
SESSION = "0b0145e3-918f-40bb-96fe-217cce9ceff7"


def accept(project: Project, **payload: Any) -> None:
    fields = {"hook_event_name": "Stop", "session_id": SESSION} | payload
    Spool(project).accept("claude-code", json.dumps(fields).encode())


async def problems(project: Project) -> list[str]:
    return (await examine(project)).problems


async def test_nothing_is_wrong_where_nothing_is(project: Project) -> None:
    accept(project)
    assert await problems(project) == []
    assert not [name for name in os.listdir(project.spool) if name.startswith(".doctor")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300000,mode=700", "khive", str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


async def test_a_full_disk(small_disk: Path) -> None:
    project = make_project(small_disk)
    Spool(project).make()
    assert disk.unwritable(project) == []
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        for size in (65_536, 4_096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    (line,) = disk.unwritable(project)
    assert line.startswith(f"{project.khive} takes no event (No space left on device)")
    assert not [name for name in os.listdir(project.spool) if name.startswith(".doctor")]


async def test_a_home_that_takes_nothing(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".khive").mkdir(exist_ok=True)
    monkeypatch.setattr(disk, "home_project", lambda: Project(Path("/proc")))
    (line,) = disk.unwritable(project)
    assert line.startswith("/proc/.khive takes no event where a project's cannot")


async def test_a_log_that_grows(project: Project) -> None:
    accept(project)
    drain(project)
    log = project.database("claude_hooks.db-wal")
    with log.open("wb") as file:
        file.truncate(65 << 20)
    assert disk.grown_logs(project, ["claude_hooks.db", "codex_hooks.db"]) == [
        f"{log} has grown to 65 MiB: a program reads claude_hooks.db for long, or was stopped; it"
        " shrinks when that one ends"
    ]


async def test_an_unknown_client(project: Project) -> None:
    Spool(project).accept("claude-code", b'{"conversation_id":"c1"}')
    Spool(project).accept("claude-code", b'{"hookName":"x"}')
    (line,) = await problems(project)
    assert line.startswith(
        "2 events are of a client that is not known, 1 of them without a session"
    )


async def test_lines_of_unknown_kinds(project: Project) -> None:
    accept(project)
    async with open_store(Message, dir=project.root) as messages:
        for kind in ("atis-latch", "atis-latch", "newer"):
            content = {"session_id": SESSION, "role": "none", "kind": kind, "tool": "claude-code"}
            await messages.save(Message(content=content))
        await messages.save(Message(content=content | {"role": "user", "kind": "text"}))
    (line,) = await problems(project)
    assert line.startswith("claude-code writes lines that are not known here")
    assert "atis-latch (2), newer (1);" in line


async def test_a_clients_own_total_is_known(project: Project) -> None:
    accept(project)
    transcript = Path(__file__).parents[1] / "transcripts" / "reported" / "compact.jsonl"
    await sync(transcript, dir=project.root)
    assert [line for line in await problems(project) if "not known" in line] == []


async def test_copies_that_differ(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(PlannerSession(content={"session_id": "s", "task_description": "t"}))
    assert await problems(project) == []
    (document,) = project.sessions.glob("planner_session_*.json")
    document.write_text(document.read_text().replace('"t"', '"another"'))
    (line,) = await problems(project)
    assert line.startswith(f"the copies in {project.khive} differ (1 ")


async def test_what_was_lost(project: Project, home: Path) -> None:
    spool_writer.note_lost()
    spool_writer.note_lost()
    (line,) = await problems(project)
    assert line.startswith("2 events could not be kept since ")
    assert spool_writer.tell_lost() == 1
    assert await problems(project) == []


async def test_events_that_wait_at_home_by_whatever_spelling(
    project: Project, home: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(project.root)
    spellings = [
        str(project.root),
        f"{project.root}/",
        f"{project.root}/../{project.root.name}",
        str(link),
    ]
    for spelling in spellings:
        name = spool_writer.file_name("claude-code", True)
        os.close(spool_writer.keep_away(str(home), spelling, name, b"{}", None))
    for directory in (project.root, link):
        assert waiting_at_home(Project(directory)) == len(spellings)
        assert diverted_lines(directory) == [
            f"{len(spellings)} events of {directory} wait in the home's spool"
        ]
    assert waiting_at_home(Project(tmp_path)) == 0
    drain(Project(link))
    assert waiting_at_home(project) == 0


async def test_events_of_the_same_folder_mounted_elsewhere(
    project: Project, home: Path, tmp_path: Path
) -> None:
    other = tmp_path / "mounted"
    other.mkdir()
    mount = ["mount", "--bind", str(project.root), str(other)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    try:
        (home / ".khive").mkdir(exist_ok=True)
        name = spool_writer.file_name("claude-code", True)
        os.close(spool_writer.keep_away(str(home), str(other), name, b"{}", None))
        assert waiting_at_home(project) == 1
    finally:
        subprocess.run(["umount", "--lazy", str(other)], check=True)


def transcript(home: Path, root: Path, session: str, began: datetime) -> None:
    folder = home / ".claude/projects" / "".join(c if c.isalnum() else "-" for c in str(root))
    folder.mkdir(parents=True, exist_ok=True)
    line = {
        "type": "user", "uuid": session, "sessionId": session, "cwd": str(root),
        "timestamp": began.isoformat(), "message": {"role": "user", "content": "hi"},
    }  # fmt: skip
    (folder / f"{session}.jsonl").write_text(json.dumps(line) + "\n")


async def test_a_session_that_no_hook_told_of(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    now = datetime.now(UTC)
    transcript(home, project.root, "11111111-1111-4111-8111-111111111111", now)
    assert await unrecorded(project) == []
    install("claude-code", "project", project.root)
    installed = time.time() - 60
    os.utime(settings_path("claude-code", "project", project.root), (installed, installed))
    old, other = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
    transcript(home, project.root, old, now - timedelta(days=1))
    transcript(home, tmp_path / "elsewhere", other, now)
    (line,) = await unrecorded(project)
    assert line.startswith("1 sessions of claude-code here have a transcript and no event")
    assert "(11111111-1111-4111-8111-111111111111)" in line
    accept(project, session_id="11111111-1111-4111-8111-111111111111")
    drain(project)
    assert await unrecorded(project) == []


async def test_a_session_is_named_by_the_beginning_of_its_id(project: Project) -> None:
    accept(project)
    assert await whole_id(project, SESSION) == SESSION
    assert await whole_id(project, SESSION[:8]) == SESSION
    with pytest.raises(NotFoundError, match="nothing is recorded of a session 'ffff'"):
        await whole_id(project, "ffff")
    accept(project, session_id=SESSION[:8] + "-x")
    with pytest.raises(NotFoundError, match="several sessions begin with"):
        await whole_id(project, SESSION[:8])
    accept(project, session_id=SESSION[:8])
    assert await whole_id(project, SESSION[:8]) == SESSION[:8]
