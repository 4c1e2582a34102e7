"""What is wrong around a place: doctor names each, and nothing where nothing is."""

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
from khive_persist.maintenance.doctor import disk, examine
from khive_persist.maintenance.doctor.sessions import unrecorded
from khive_persist.project import Place
from khive_persist.sessions.read import whole_id

pytestmark = pytest.mark.anyio
SESSION = "0b0145e3-918f-40bb-96fe-217cce9ceff7"


def accept(place: Place, **payload: Any) -> None:
    fields = {"hook_event_name": "Stop", "session_id": SESSION} | payload
    Spool(place).accept("claude-code", json.dumps(fields).encode())


async def problems(place: Place) -> list[str]:
    return (await examine(place)).problems


async def test_nothing_is_wrong_where_nothing_is(place: Place) -> None:
    accept(place)
    assert await problems(place) == []
    assert not [name for name in os.listdir(place.spool) if name.startswith(".doctor")]


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
    place = Place(small_disk)
    place.make()
    Spool(place).make()
    assert disk.unwritable(place) == []
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        for size in (65_536, 4_096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    (line,) = disk.unwritable(place)
    assert line.startswith(f"{place.khive} takes no event (No space left on device)")
    assert not [name for name in os.listdir(place.spool) if name.startswith(".doctor")]


async def test_a_home_that_takes_nothing(
    place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".khive").mkdir(exist_ok=True)
    monkeypatch.setattr(disk, "home_place", lambda: Place(Path("/proc")))
    (line,) = disk.unwritable(place)
    assert line.startswith("/proc/.khive takes no event where a project's cannot")


async def test_a_log_that_grows(place: Place) -> None:
    accept(place)
    drain(place)
    log = place.database("claude_hooks.db-wal")
    with log.open("wb") as file:
        file.truncate(65 << 20)
    assert disk.grown_logs(place, ["claude_hooks.db", "codex_hooks.db"]) == [
        f"{log} has grown to 65 MiB: a program reads claude_hooks.db for long, or was stopped; it"
        " shrinks when that one ends"
    ]


async def test_an_unknown_client(place: Place) -> None:
    Spool(place).accept("claude-code", b'{"conversation_id":"c1"}')
    Spool(place).accept("claude-code", b'{"hookName":"x"}')
    (line,) = await problems(place)
    assert line.startswith(
        "2 events are of a client that is not known, 1 of them without a session"
    )


async def test_lines_of_unknown_kinds(place: Place) -> None:
    accept(place)
    async with open_store(Message, dir=place.root) as messages:
        for kind in ("atis-latch", "atis-latch", "newer"):
            content = {"session_id": SESSION, "role": "none", "kind": kind, "tool": "claude-code"}
            await messages.save(Message(content=content))
        await messages.save(Message(content=content | {"role": "user", "kind": "text"}))
    (line,) = await problems(place)
    assert line.startswith("claude-code writes lines that are not known here")
    assert "atis-latch (2), newer (1);" in line


async def test_a_clients_own_total_is_known(place: Place) -> None:
    accept(place)
    transcript = Path(__file__).parents[1] / "transcripts" / "reported" / "compact.jsonl"
    await sync(transcript, dir=place.root)
    assert [line for line in await problems(place) if "not known" in line] == []


async def test_copies_that_differ(place: Place) -> None:
    async with open_store(PlannerSession, dir=place.root) as plans:
        await plans.save(PlannerSession(content={"session_id": "s", "task_description": "t"}))
    assert await problems(place) == []
    (document,) = place.sessions.glob("planner_session_*.json")
    document.write_text(document.read_text().replace('"t"', '"another"'))
    (line,) = await problems(place)
    assert line.startswith(f"the copies in {place.khive} differ (1 ")


async def test_what_was_lost(place: Place, home: Path) -> None:
    spool_writer.note_lost()
    spool_writer.note_lost()
    (line,) = await problems(place)
    assert line.startswith("2 events could not be kept since ")
    assert spool_writer.tell_lost() == 1
    assert await problems(place) == []


async def test_events_that_wait_at_home_by_whatever_spelling(
    place: Place, home: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(place.root)
    spellings = [str(place.root), f"{place.root}/", f"{place.root}/../{place.root.name}", str(link)]
    for spelling in spellings:
        name = spool_writer.file_name("claude-code", True)
        os.close(spool_writer.keep_away(str(home), spelling, name, b"{}", None))
    for directory in (place.root, link):
        assert waiting_at_home(Place(directory)) == len(spellings)
        assert diverted_lines(directory) == [
            f"{len(spellings)} events of {directory} wait in the home's spool"
        ]
    assert waiting_at_home(Place(tmp_path)) == 0
    drain(Place(link))
    assert waiting_at_home(place) == 0


async def test_events_of_the_same_folder_mounted_elsewhere(
    place: Place, home: Path, tmp_path: Path
) -> None:
    other = tmp_path / "mounted"
    other.mkdir()
    mount = ["mount", "--bind", str(place.root), str(other)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    try:
        (home / ".khive").mkdir(exist_ok=True)
        name = spool_writer.file_name("claude-code", True)
        os.close(spool_writer.keep_away(str(home), str(other), name, b"{}", None))
        assert waiting_at_home(place) == 1
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
    place: Place, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    now = datetime.now(UTC)
    transcript(home, place.root, "11111111-1111-4111-8111-111111111111", now)
    assert await unrecorded(place) == []
    install("claude-code", "project", place.root)
    installed = time.time() - 60
    os.utime(settings_path("claude-code", "project", place.root), (installed, installed))
    old, other = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
    transcript(home, place.root, old, now - timedelta(days=1))
    transcript(home, tmp_path / "elsewhere", other, now)
    (line,) = await unrecorded(place)
    assert line.startswith("1 sessions of claude-code here have a transcript and no event")
    assert "(11111111-1111-4111-8111-111111111111)" in line
    accept(place, session_id="11111111-1111-4111-8111-111111111111")
    drain(place)
    assert await unrecorded(place) == []


async def test_a_session_is_named_by_the_beginning_of_its_id(place: Place) -> None:
    accept(place)
    assert await whole_id(place, SESSION) == SESSION
    assert await whole_id(place, SESSION[:8]) == SESSION
    with pytest.raises(NotFoundError, match="nothing is recorded of a session 'ffff'"):
        await whole_id(place, "ffff")
    accept(place, session_id=SESSION[:8] + "-x")
    with pytest.raises(NotFoundError, match="several sessions begin with"):
        await whole_id(place, SESSION[:8])
    accept(place, session_id=SESSION[:8])
    assert await whole_id(place, SESSION[:8]) == SESSION[:8]
