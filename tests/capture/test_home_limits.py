"""Events that nobody asked for do not fill the disk, and what is dropped is said."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.home_limits import dropped
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.factories import make_project
from tests.payloads import Hook

QUIET = "[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n"
DAY_NS = 86_400 * 10**9


@pytest.fixture(autouse=True)
def quiet_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    (home / ".khive").mkdir(mode=0o700)
    Spool(Project(home)).make()
    limit(home, "")


def limit(home: Path, settings: str) -> None:
    (home / ".khive" / "config.toml").write_text(f"{QUIET}[home]\n{settings}\n")


def untrusted(root: Path) -> Path:
    """Make a clone whose `.khive` holds more than settings."""
    (root / ".khive" / "sessions").mkdir(parents=True)
    (root / ".khive" / "sessions" / "a.json").write_text("{}")
    return root


def divert(home: Path, root: Path, count: int = 1, days: float = 0) -> None:
    for _ in range(count):
        _, _, rest = spool_writer.file_name("claude-code", True).partition("_")
        name = f"{time.time_ns() - int(days * DAY_NS):020d}_{rest}".replace(".event", ".away")
        content = os.fsencode(root) + b'\0{"session_id":"s","hook_event_name":"Stop"}'
        os.close(spool_writer.keep(str(home), name, content))


def waiting(home: Path) -> dict[str, int]:
    spool = Spool(Project(home))
    found = []
    for event in spool.events():
        # A drainer may drop it meanwhile.
        with suppress(FileNotFoundError):
            found.append(Path(spool.header(event)).name)
    return {name: found.count(name) for name in found}


def test_what_is_too_old_is_dropped_and_said(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = untrusted(tmp_path / "clone")
    divert(home, clone, 2, days=91)
    divert(home, clone, 1, days=89)
    drain(Project(home))
    assert waiting(home) == {"clone": 1}
    assert dropped(Project(home))[str(clone)].events == 2
    line = f"2 events of {clone}, which nobody has trusted, were dropped"
    run(["--dir", str(home), "doctor"])
    assert line in "".join(capsys.readouterr())
    run(["hooks", "status"])
    assert line in "".join(capsys.readouterr())
    divert(home, clone, 1, days=100)
    drain(Project(home))
    assert dropped(Project(home))[str(clone)].events == 3


def test_who_floods_the_spool_loses_its_own_oldest(tmp_path: Path, home: Path) -> None:
    quiet, loud = untrusted(tmp_path / "quiet"), untrusted(tmp_path / "loud")
    divert(home, quiet, 2, days=9)
    divert(home, loud, 30)
    newest = Spool(Project(home)).events()[-1]
    total = sum(path.stat().st_blocks * 512 for path in Project(home).spool.glob("*.away"))
    limit(home, f"max_bytes = {total // 4}")
    drain(Project(home))
    assert waiting(home) == {"quiet": 2, "loud": 6}
    assert newest in Spool(Project(home)).events()
    assert set(dropped(Project(home))) == {str(loud)}


def test_a_trusted_project_that_cannot_take_its_events_loses_none(
    tmp_path: Path, home: Path
) -> None:
    project = make_project(tmp_path / "mine")
    project.spool.write_text("in the way")
    divert(home, project.root, 3, days=400)
    limit(home, "max_bytes = 1")
    drain(Project(home))
    assert waiting(home) == {"mine": 3}
    assert dropped(Project(home)) == {}


@pytest.mark.parametrize("settings", ["max_bytes = 0\nkeep_days = 0", "keep_days = -1"])
def test_no_limit_and_a_mistake_drop_nothing(tmp_path: Path, home: Path, settings: str) -> None:
    limit(home, settings)
    divert(home, untrusted(tmp_path / "clone"), 2, days=4000)
    drain(Project(home))
    assert waiting(home) == {"clone": 2}


def test_a_project_does_not_set_the_limits_of_the_home(tmp_path: Path, home: Path) -> None:
    project = make_project(tmp_path / "mine", "[home]\nkeep_days = 0.001\nmax_bytes = 1\n")
    divert(home, untrusted(tmp_path / "clone"), 2, days=1)
    drain(project)
    drain(Project(home))
    assert waiting(home) == {"clone": 2}


def test_hooks_in_a_clone_do_not_fill_the_home(tmp_path: Path, home: Path, hook: Hook) -> None:
    """Nobody reads meanwhile: the drainers that the hooks start keep to the limit."""
    clone = untrusted(tmp_path / "clone")
    limit(home, "max_bytes = 8192")
    for number in range(20):
        hook(
            json.dumps({"session_id": f"s{number}", "hook_event_name": "Stop"}).encode(), cwd=clone
        )
    end = time.monotonic() + 30
    while waiting(home).get("clone", 0) > 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert dropped(Project(home))[str(clone)].events >= 18
