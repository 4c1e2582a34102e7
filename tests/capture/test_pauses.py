"""What is not recorded while recording is off, by both hooks, the drainer and a server."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_persist.capture import pauses
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.trust import marks
from tests.compiled_hook import KINDS, HookKind
from tests.factories import make_project
from tests.payloads import Hook
from tests.stored import contents

PAYLOAD = b'{"session_id": "s1", "hook_event_name": "Stop", "cwd": "/x"}'
OTHER = PAYLOAD.replace(b"s1", b"s2")
DAY = 86_400


@pytest.fixture(params=KINDS)
def hook_kind(request: pytest.FixtureRequest) -> HookKind:
    kind: HookKind = request.param
    return kind


@pytest.fixture
def quiet(project: Project, hold_off: Callable[[Project], None]) -> Project:
    """A project whose drainer is held off, so that what the hook wrote can be looked at."""
    hold_off(project)
    return project


def count(project: Project) -> int:
    return len(Spool(project).events())


def sent(hook: Hook, **options: object) -> None:
    done = hook(PAYLOAD, **options)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_pause_of_all_holds_until_it_is_ended(quiet: Project, hook: Hook) -> None:
    pauses.pause("all")
    sent(hook)
    sent(hook)
    assert count(quiet) == 0
    status = pauses.status(quiet)
    assert (status.is_paused, status.unrecorded, status.pauses[0].unrecorded) == (True, 2, 2)
    (ended,) = pauses.resume()
    assert (ended.scope, ended.unrecorded) == ("all", 2)
    assert ended.until is not None
    assert pauses.resume() == []
    sent(hook)
    assert count(quiet) == 1
    status = pauses.status(quiet)
    assert (status.is_paused, status.unrecorded, status.pauses) == (False, 2, [])


def test_a_pause_of_a_project_is_of_no_other(quiet: Project, hook: Hook) -> None:
    inner = make_project(quiet.root / "inner")
    pauses.pause("project", str(quiet.root))
    sent(hook)
    (quiet.root / "sub").mkdir()
    sent(hook, cwd=quiet.root / "sub")
    assert count(quiet) == 0
    sent(hook, cwd=inner.root)
    assert drain(inner).waiting_count == 0
    assert len(contents(inner, "claude_hooks.db")) == 1
    assert not pauses.status(inner).is_paused
    assert pauses.status(quiet).unrecorded == 2
    # It holds on where one of all ends.
    pauses.pause("all")
    pauses.resume("all")
    sent(hook)
    assert count(quiet) == 0
    pauses.resume()
    sent(hook)
    assert count(quiet) == 1


def test_a_pause_can_end_by_itself(quiet: Project, hook: Hook) -> None:
    pauses.pause("all", seconds=1e-6)
    sent(hook)
    assert count(quiet) == 1
    pauses.pause("all", seconds=DAY)
    sent(hook)
    assert count(quiet) == 1


@pytest.mark.parametrize(("value", "events"), [("1", 0), ("yes", 0), ("0", 1), ("", 1)])
def test_the_environment_turns_recording_off(
    quiet: Project, hook: Hook, value: str, events: int
) -> None:
    sent(hook, env=os.environ | {"KHIVE_OFF": value})
    assert count(quiet) == events
    assert pauses.status(quiet).unrecorded_off == 1 - events
    assert [span.subject for span in pauses.off_sessions()] == ["s1"] * (1 - events)


def test_lost_events_are_told_once_it_records_again(quiet: Project, hook: Hook) -> None:
    folder = marks.state_folder()
    assert folder is not None
    (folder / "lost").mkdir()
    (folder / "lost" / "1-x").symlink_to("-")
    pauses.pause("all")
    assert hook(PAYLOAD, "claude-code", "--tell-lost").returncode == 0
    pauses.resume()
    done = hook(PAYLOAD, "claude-code", "--tell-lost")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


def test_what_came_with_a_clone_pauses_nothing(quiet: Project, hook: Hook, home: Path) -> None:
    """The link of a pause, and all of its folder, in a `.khive` itself."""
    pauses.pause("all")
    pauses.pause("project", str(quiet.root))
    folder = home / ".khive"
    link = folder / "marks" / str(quiet.root).lstrip("/") / ".paused"
    shutil.copytree(folder / "pauses", quiet.khive / "pauses", symlinks=True)
    for name in (".khive/.paused", ".paused", ".khive/marks"):
        shutil.copy(link, quiet.root / name, follow_symlinks=False)
    pauses.resume()
    sent(hook)
    assert count(quiet) == 1
    assert drain(quiet).waiting_count == 0
    assert len(contents(quiet, "claude_hooks.db")) == 1
    # Nor where nobody has trusted it: the event waits at home.
    (quiet.khive / "id").unlink()
    sent(hook)
    assert len(list((folder / "spool").glob("*.away"))) == 1


def test_who_is_passed_over_can_be_paused(quiet: Project, hook: Hook, home: Path) -> None:
    (quiet.khive / "id").unlink()
    pauses.pause("project", str(quiet.root))
    sent(hook)
    assert not (home / ".khive" / "spool").exists()
    assert pauses.status(quiet).unrecorded == 1


def test_the_drainer_drops_what_an_older_hook_has_kept(project: Project) -> None:
    before = Spool(project).accept("claude-code", PAYLOAD)
    pauses.pause("all")
    Spool(project).accept("claude-code", PAYLOAD)
    assert drain(project) == (1, 0, (), ())
    assert list(contents(project, "claude_hooks.db")) == [before.id]
    assert count(project) == 0
    assert pauses.status(project).unrecorded == 1


def test_the_events_of_a_paused_session_are_never_stored(quiet: Project, hook: Hook) -> None:
    pauses.pause("session", "s1")
    sent(hook)
    assert hook(OTHER).returncode == 0
    assert hook(b'{"sessionId": "s1"}', "copilot-cli").returncode == 0
    result = drain(quiet)
    assert (result.stored_count, result.waiting_count) == (1, 0)
    assert [one["session_id"] for one in contents(quiet, "claude_hooks.db").values()] == ["s2"]
    assert not quiet.database("agent_hooks.db").exists()
    assert b"s1" not in b"".join(path.read_bytes() for path in quiet.sessions.iterdir())
    status = pauses.status(quiet)
    assert (status.is_paused, status.pauses[0].unrecorded) == (False, 2)
    pauses.resume("session", "s1")
    sent(hook)
    assert drain(quiet).stored_count == 1


def test_pauses_that_cannot_be_read_are_said_and_lose_nothing(project: Project, home: Path) -> None:
    pauses.pause("session", "s1")
    (home / ".khive" / "pauses" / "pauses.json").write_text("{ no")
    Spool(project).accept("claude-code", PAYLOAD)
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (0, 1)
    assert "pauses.json cannot be read" in str(result.errors[0])
    assert "pauses.json cannot be read" in pauses.status(project).problem
