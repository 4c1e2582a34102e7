"""Events that wait in the home's spool: moved to their project, whoever else moves them."""

import errno
import os
import posix
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.fallback_spool import hand_over
from khive_persist.capture.spool import Spool, waiting_at_home
from khive_persist.cli.root import run
from khive_persist.maintenance.retention.purge import purge
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.settings import Settings
from tests.capture.stored import sessions, stop
from tests.factories import make_project
from tests.payloads import Hook

T = TypeVar("T")
LONG_SECONDS = 10.0


@pytest.fixture
def state(home: Path) -> Project:
    there = Project(home)
    Spool(there).make()
    return there


def away(state: Project, project: Path, payload: bytes) -> str:
    """Keep an event for a project in the home's spool, as the hook does."""
    name = spool_writer.file_name("claude-code", True).removesuffix(".event") + ".away"
    os.close(spool_writer.keep(str(state.root), name, os.fsencode(project) + b"\0" + payload))
    return name


class Disk:
    """A disk whose syncs of one thread take until they are let go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.goes_on = threading.Event()
        self._slow: threading.Thread | None = None

    def slow(self, thread: threading.Thread) -> None:
        self._slow = thread

    def sync(self, descriptor: int) -> None:
        if threading.current_thread() is self._slow and not self.reached.is_set():
            self.reached.set()
            assert self.goes_on.wait(LONG_SECONDS)
        os.fsync(descriptor)


@contextmanager
def at_once(
    monkeypatch: pytest.MonkeyPatch, state: Project, work: Callable[[], T]
) -> Iterator[Callable[[], T]]:
    """Work while the disk holds up the home's drain, which has begun to move an event."""
    disk = Disk()
    monkeypatch.setattr(spool_writer, "posix", _with(posix, fsync=disk.sync))
    results: list[T] = []
    first = threading.Thread(target=drain, args=(state,))
    second = threading.Thread(target=lambda: results.append(work()))
    disk.slow(first)
    first.start()
    assert disk.reached.wait(LONG_SECONDS)
    second.start()

    def finish() -> T:
        disk.goes_on.set()
        first.join(LONG_SECONDS)
        second.join(LONG_SECONDS)
        return results[0]

    # Without the lock it ends before the first goes on.
    second.join(0.2)
    try:
        yield finish
    finally:
        finish()


def _with(module: object, **names: object) -> object:
    return type("System", (), {**vars(module), **names})


def test_two_that_move_one_event_at_once_store_it_once(
    state: Project, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    away(state, project.root, stop("s1"))
    with at_once(monkeypatch, state, lambda: drain(project)) as finish:
        result = finish()
    assert (result.waiting_count, result.errors) == (0, ())
    assert sessions(project) == ["s1"]
    assert Spool(state).is_empty()
    assert not [name for name in os.listdir(project.spool) if name.endswith((".tmp", ".event"))]


def test_what_is_purged_does_not_come_back_from_the_home(
    state: Project, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    away(state, project.root, stop("session-1"))
    purged = partial(purge, project, "session-1", BUILT_IN, Settings())
    with at_once(monkeypatch, state, purged) as finish:
        finish()
    drain(project)
    assert sessions(project) == []


def test_an_event_that_moves_while_it_is_looked_for_is_found(
    state: Project, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home's drainer hands it over between the two looks."""
    name = away(state, project.root, stop("s1"))
    looked = waiting_at_home
    is_empty = Spool.is_empty

    def hand_all_over() -> None:
        for event in Spool(state).events():
            hand_over(Spool(state), event, project)

    def at_home(project: Project) -> int:
        count = looked(project)
        hand_all_over()
        return count

    def empty(spool: Spool) -> bool:
        answer = is_empty(spool)
        hand_all_over()
        return answer

    monkeypatch.setattr("khive_persist.capture.drain.waiting_at_home", at_home)
    monkeypatch.setattr(Spool, "is_empty", empty)
    assert not (state.spool / name).with_suffix(".event").exists()
    drain(project)
    assert sessions(project) == ["s1"]


def test_what_a_killed_move_left_never_stands_for_the_event(
    state: Project, project: Project
) -> None:
    name = away(state, project.root, stop("whole")).removesuffix(".away") + ".event"
    Spool(project).make()
    left = project.spool / f".{name}.01900000-0000-7000-8000-000000000001.tmp"
    left.write_bytes(stop("whole")[:10])
    os.utime(left, (1, 1))
    drain(project)
    assert sessions(project) == ["whole"]
    assert not left.exists()


def test_keeping_an_event_removes_no_file_of_another(project: Project) -> None:
    Spool(project).make()
    name = spool_writer.file_name("codex", True)
    (project.spool / f".{name}.tmp").write_bytes(b"of another")
    with pytest.raises(FileExistsError):
        spool_writer.keep(str(project.root), name, b"{}")
    assert (project.spool / f".{name}.tmp").read_bytes() == b"of another"


@pytest.fixture
def without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is left for this process to open in the home's spool."""
    opened = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).endswith(".away"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.usefixtures("without_files")
def test_what_cannot_be_fetched_is_counted_and_said(
    state: Project,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = away(state, project.root, stop("s1"))
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (0, 1)
    assert str(result.errors[0]) == (f"{state.spool / name}: Too many open files: close some files")
    # Its project is not known: it is not taken for one that is gone.
    assert drain(state).stored_count == 0
    assert (state.spool / name).exists()
    monkeypatch.chdir(project.root)
    assert run(["trust", "--yes"]) == 0
    assert "did not all come in" in capsys.readouterr().err
    run(["stats"])
    assert f"1 events of {project.root} wait in the home's spool" in capsys.readouterr().err


def test_a_project_that_cannot_take_its_events_is_named(
    state: Project,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    away(state, project.root, stop("s1"))
    project.spool.write_text("in the way")
    (reason,) = drain(state).unreached
    assert str(project.spool) in str(reason)
    monkeypatch.chdir(state.root)
    assert run(["doctor"]) == 1
    assert f"not drained: {project.spool}" in capsys.readouterr().out
    project.spool.unlink()
    drain(state)
    assert sessions(project) == ["s1"]


@pytest.mark.usefixtures("project")
def test_a_path_that_is_not_utf_8_is_one_like_others(
    state: Project, tmp_path: Path, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/pr\xffj"))
    try:
        root.mkdir()
    except OSError:
        pytest.skip("the file system wants names in UTF-8")
    odd = make_project(root)
    away(state, root, stop("waited"))
    assert hook(stop("came"), cwd=root).returncode == 0
    assert drain(odd).waiting_count == 0
    assert sorted(sessions(odd)) == ["came", "waited"]
    assert run(["--dir", str(root), "events", "--json"]) == 0
    assert "waited" in capsys.readouterr().out
    assert run(["--dir", str(root), "doctor"]) == 0
    away(state, root / "gone", stop("of one that is gone"))
    drain(state)
    assert sessions(state) == ["of one that is gone"]
