"""Ordinary people are not locked out, and lose nothing."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist import PlannerSession, open_store, save_planning_session
from khive_persist import settings as configuration
from khive_persist.capture import hook_path, spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.errors import UntrustedError
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.trust import macs, marks, search
from tests.payloads import Hook
from tests.stored import select

QUIET = "[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n"
WITHOUT_PIPES = shutil.ignore_patterns("wake")
PLAN = {"session_id": "s1", "task_description": "t"}


def payload(session: str) -> bytes:
    return json.dumps({"session_id": session, "hook_event_name": "Stop"}).encode()


def sessions(project: Project) -> list[str]:
    """The sessions of the events that are recorded, once what waits came in."""
    drain(project)
    sql = "SELECT json_extract(content, '$.session_id') FROM hook_events ORDER BY 1"
    return [session for (session,) in select(project, "claude_hooks.db", sql)]


def waiting(home: Path) -> int:
    return len(Spool(Project(home)).events())


@pytest.fixture(autouse=True)
def quiet_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose drainers leave at once, and this is no container."""
    monkeypatch.delenv("CI", raising=False)
    (home / ".khive").mkdir(mode=0o700)
    (home / ".khive" / "config.toml").write_text(QUIET)
    return home


@pytest.fixture
def other_home(tmp_path: Path) -> Path:
    """Another home, as in a container that was made anew."""
    path = tmp_path / "other-home"
    (path / ".khive").mkdir(mode=0o700, parents=True)
    (path / ".khive" / "config.toml").write_text(QUIET)
    return path


def recorded(project: Project, hook: Hook, session: str) -> None:
    assert hook(payload(session), cwd=project.root).returncode == 0
    # The drainer that it started must not meet another home's.
    until(lambda: session in sessions(project) and not listened_to(project))


def listened_to(project: Project) -> bool:
    try:
        os.close(os.open(project.spool / "wake", os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_upgrade_is_one_line_and_one_command_and_loses_nothing(
    project: Project,
    home: Path,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded(project, hook, "before")
    (project.khive / "id").unlink()
    done = hook(payload("between"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert drain(Project(home)).errors == ()
    assert waiting(home) == 1
    Project(home).make()
    monkeypatch.chdir(project.root)
    for command in (["stats", "--json"], ["hooks", "status", "--json"]):
        run(command)
        captured = capsys.readouterr()
        json.loads(captured.out)
        said = captured.err or json.loads(captured.out)["problems"][-1]
        assert f"{project.khive} is not trusted" in said
        assert f"1 events of {project.root} wait" in said
        assert "trust --keep" in said
        assert len(said.splitlines()) == 1
    assert run(["doctor"]) == 1
    assert f"{project.khive} is not trusted" in capsys.readouterr().out
    assert run(["trust", "--keep"]) == 0
    assert sessions(project) == ["before", "between"]
    assert waiting(home) == 0
    assert hook(payload("after")).returncode == 0
    assert sessions(project) == ["after", "before", "between"]


def test_a_container_with_a_new_home_and_a_volume(
    project: Project,
    home: Path,
    other_home: Path,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded(project, hook, "before")
    key = macs.mac(project.khive, "x", b"")
    monkeypatch.setenv("HOME", str(other_home))
    monkeypatch.setenv("CI", "true")
    assert run(["--dir", str(project.root), "stats"]) == 1
    assert f"KHIVE_DIR={project.root}" in capsys.readouterr().err
    monkeypatch.setenv("KHIVE_DIR", str(project.root))
    recorded(project, hook, "in the container")
    assert run(["stats"]) == 0
    assert sessions(project) == ["before", "in the container"]
    assert waiting(other_home) == 0
    assert marks.is_marked(project.khive)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("CI")
    monkeypatch.delenv("KHIVE_DIR")
    recorded(project, hook, "back at home")
    assert waiting(home) == 0
    assert macs.mac(project.khive, "x", b"") == key


def test_the_first_homes_of_a_project_stay_known_however_many_come(
    project: Project, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        monkeypatch.setenv("HOME", str(tmp_path / f"home-{number}"))
        (tmp_path / f"home-{number}").mkdir()
        search.meant(project.root)
        assert marks.is_marked(project.khive)
    for first in (home, tmp_path / "home-0", tmp_path / "home-9"):
        monkeypatch.setenv("HOME", str(first))
        assert marks.is_marked(project.khive)
    monkeypatch.setenv("HOME", str(tmp_path / "home-48"))
    assert not marks.is_marked(project.khive)


def test_where_no_home_can_be_written_the_owner_is_enough_for_what_is_named(
    project: Project,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KHIVE_HOME", "/proc/nowhere")
    assert hook(payload("named"), "claude-code", "--dir", str(project.root)).returncode == 0
    assert sessions(project) == ["named"]
    assert run(["--dir", str(project.root), "doctor"]) == 1
    assert "neither KHIVE_HOME nor a home directory can be written" in capsys.readouterr().out
    done = hook(payload("found"))
    assert done.returncode == 1
    assert b"set KHIVE_DIR or KHIVE_HOME" in done.stderr


def test_a_worktree_below_a_trusted_project_does_not_cut_it_off(
    project: Project, home: Path, hook: Hook
) -> None:
    below = Project(project.root / "worktree")
    below.khive.mkdir(parents=True)
    (below.khive / "switch.journal").write_text("{}")
    assert hook(payload("below"), cwd=below.root).returncode == 0
    assert sessions(project) == ["below"]
    assert waiting(home) == 0


def test_a_moved_folder_is_known(
    project: Project,
    home: Path,
    hook: Hook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded(project, hook, "before")
    moved = Project(tmp_path / "moved")
    os.rename(project.root, moved.root)
    assert hook(payload("moved"), cwd=moved.root).returncode == 0
    monkeypatch.chdir(moved.root)
    assert run(["trust"]) == 0
    assert f"known as {project.root}" in capsys.readouterr().out
    assert sessions(moved) == ["before", "moved"]
    assert marks.known_paths(marks.digits(moved.khive)) == [moved.root]


def test_a_copy_is_not_taken_for_the_original(
    project: Project, hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(project, hook, "original")
    copy = Project(tmp_path / "copy")
    shutil.copytree(project.root, copy.root, symlinks=True, ignore=WITHOUT_PIPES)
    assert not marks.is_trusted(copy.khive)
    assert run(["--dir", str(copy.root), "trust"]) == 0
    assert f"a copy of {project.root}" in capsys.readouterr().out
    assert not copy.database("claude_hooks.db").exists()
    assert marks.is_trusted(project.khive)
    assert marks.digits(project.khive) != marks.digits(copy.khive)


def test_a_restored_folder_is_trusted_and_in_another_home_by_one_command(
    project: Project, other_home: Path, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(project, hook, "before")
    shutil.copytree(project.khive, tmp_path / "saved", symlinks=True, ignore=WITHOUT_PIPES)
    shutil.rmtree(project.khive)
    shutil.copytree(tmp_path / "saved", project.khive, symlinks=True, ignore=WITHOUT_PIPES)
    recorded(project, hook, "restored")
    monkeypatch.setenv("HOME", str(other_home))
    key = (project.khive / "redaction.key").read_bytes()[:32]
    assert run(["--dir", str(project.root), "trust", "--keep"]) == 0
    recorded(project, hook, "elsewhere")
    assert sessions(project) == ["before", "elsewhere", "restored"]
    assert (project.khive / "redaction.key").read_bytes()[:32] == key


def test_two_machines_with_one_home_have_each_their_own_at_one_path(
    project: Project, tmp_path: Path
) -> None:
    os.rename(project.khive, tmp_path / "first")
    project.make()
    assert marks.is_trusted(project.khive)
    os.rename(project.khive, tmp_path / "second")
    os.rename(tmp_path / "first", project.khive)
    assert marks.is_trusted(project.khive)


def asked_home(**environment: str) -> str:
    """The state folder's home, as the hook finds it."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from spool_writer import home; print(home())"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(hook_path().parent)],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout.strip()  # fmt: skip


def test_without_home_the_passwd_entry_names_it(tmp_path: Path, home: Path) -> None:
    import pwd

    passwd = pwd.getpwuid(os.geteuid()).pw_dir
    assert asked_home() in (passwd, "")
    assert asked_home(HOME=str(home)) == str(home)
    assert asked_home(HOME=str(home), KHIVE_HOME=str(tmp_path)) == str(tmp_path)
    assert asked_home(HOME=str(home), KHIVE_HOME="/proc/nowhere") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_under_sudo_the_users_home_is_not_roots(home: Path) -> None:
    import pwd

    os.chown(home / ".khive", 65_534, 65_534)
    assert asked_home(HOME=str(home)) in (pwd.getpwuid(0).pw_dir, "")


def test_a_teams_committed_settings(
    tmp_path: Path,
    hook: Hook,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clone = Project(tmp_path / "clone")
    clone.khive.mkdir(parents=True)
    (clone.khive / ".gitignore").write_text("*\n!config.toml\n!.gitignore\n")
    clone.config.write_text("store.busy_timeout_seconds = 7.5\nmirror.off = ['codex_hooks']\n")
    assert hook(payload("first"), cwd=clone.root).returncode == 0
    drain(Project(home))
    assert hook(payload("second"), cwd=clone.root).returncode == 0
    assert sessions(clone) == ["first", "second"]
    loaded = configuration.load(clone.config)
    assert (loaded.store_busy_timeout_seconds, loaded.mirror_off) == (7.5, ())
    monkeypatch.chdir(clone.root)
    assert run(["stats"]) == 0
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if line.startswith("khive-persist: ")]
    assert "mirror.off hold as they were" in line
    assert "trust --keep" in line
    assert run(["trust", "--keep"]) == 0
    assert configuration.load(clone.config).mirror_off == ("codex_hooks",)
    capsys.readouterr()
    assert run(["stats"]) == 0
    assert "khive-persist: " not in capsys.readouterr().err


def test_settings_that_a_pull_changed_do_not_count_and_the_last_trusted_do(
    project: Project,
) -> None:
    project.config.write_text("redaction.allow = ['mine']\n")
    assert run(["--dir", str(project.root), "trust", "--keep"]) == 0
    assert configuration.load(project.config).redaction_allow == ("mine",)
    project.config.write_text("redaction.enabled = false\nstore.busy_timeout_seconds = 3\n")
    loaded = configuration.load(project.config)
    assert loaded.redaction_enabled
    assert loaded.redaction_allow == ("mine",)
    assert loaded.store_busy_timeout_seconds == 3
    assert configuration.withheld(project.config) == ("redaction.allow", "redaction.enabled")


def test_a_persons_own_settings_count_unless_git_has_them(project: Project, home: Path) -> None:
    (home / ".khive" / "config.toml").write_text("server.port = 1\nserver.address = '::1'\n")
    project.local_config.write_text("server.port = 2\nredaction.enabled = false\n")
    loaded = configuration.load(project.config)
    assert (loaded.server_port, loaded.server_address) == (2, "::1")
    assert not loaded.redaction_enabled
    for version in ("2", "3", "4"):
        shutil.rmtree(project.root / ".git", ignore_errors=True)
        for words in (["init", "-q"], ["config", "index.version", version],
                      ["add", "-f", ".khive/config.toml", ".khive/config.local.toml"]):  # fmt: skip
            subprocess.run(["git", *words], cwd=project.root, check=True)
        assert configuration.load(project.config).redaction_enabled, version
        assert "redaction.enabled" in configuration.withheld(project.config)
        subprocess.run(
            ["git", "rm", "-q", "--cached", ".khive/config.local.toml"],
            cwd=project.root, check=True,
        )  # fmt: skip
        assert not configuration.load(project.config).redaction_enabled, version


async def test_ones_own_tables_views_and_indexes_in_our_files_are_left_alone(
    project: Project,
) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(PlannerSession(content=PLAN))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        connection.executescript(
            "CREATE TABLE mine (id, n, twice AS (n * 2));"
            "CREATE VIEW my_plans AS SELECT * FROM planner_sessions;"
            "CREATE INDEX my_index ON planner_sessions (created_at, id);"
            "CREATE TRIGGER my_trigger AFTER INSERT ON mine BEGIN SELECT 1; END;"
        )
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(PlannerSession(content=PLAN))
        assert await plans.count() == 2


async def test_a_trigger_of_ones_own_is_refused_until_it_was_shown(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(PlannerSession(content=PLAN))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        connection.executescript(
            "CREATE TABLE copies (id);"
            "CREATE TRIGGER copying AFTER INSERT ON planner_sessions"
            " BEGIN INSERT INTO copies VALUES (NEW.id); END;"
        )
    with pytest.raises(Exception, match="has a trigger copying on planner_sessions"):
        async with open_store(PlannerSession, dir=project.root) as plans:
            await plans.save(PlannerSession(content=PLAN))
    assert run_in_thread(["--dir", str(project.root), "trust", "--keep"]) == 0
    assert "copying" in capsys.readouterr().out
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(PlannerSession(content=PLAN))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        assert connection.execute("SELECT count(*) FROM copies").fetchone() == (1,)


def run_in_thread(words: list[str]) -> int:
    """A command inside a test that has a loop of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run, words).result()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that came from others, in the working directory."""
    made = Project(tmp_path / "clone")
    (made.khive / "sessions").mkdir(parents=True)
    (made.khive / "sessions" / "x.json").write_text("{}")
    monkeypatch.chdir(made.root)
    return made


async def test_only_hooks_fall_back(clone: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UntrustedError, match=r"khive-persist --dir .* trust"):
        find_project()
    with pytest.raises(UntrustedError):
        async with open_store(PlannerSession):
            pass
    with pytest.raises(UntrustedError):
        await save_planning_session(PLAN)
    plan = clone.root / "plan.json"
    plan.write_text(json.dumps(PLAN))
    for words in (
        ["record", "planner-session", str(plan)],
        ["serve"],
        ["init"],
        ["hooks", "install", "claude-code"],
        ["--dir", str(clone.root), "events"],
    ):
        assert run_in_thread(words) == 1, words
        (line,) = capsys.readouterr().err.splitlines()
        assert "trust --keep if it is yours" in line
    assert sorted(os.listdir(clone.khive)) == ["sessions"]


async def test_what_is_named_in_code_is_meant(clone: Project) -> None:
    await save_planning_session(PLAN, dir=clone.root)
    assert marks.is_marked(clone.khive)


def test_a_named_project_that_is_not_trusted_is_said_by_the_hook_and_the_event_kept(
    clone: Project, home: Path, hook: Hook
) -> None:
    done = hook(payload("s"), "claude-code", "--dir", str(clone.root))
    assert (done.returncode, done.stdout) == (0, b"")
    assert f"khive-persist --dir {clone.root} trust".encode() in done.stderr
    assert [event.is_away for event in Spool(Project(home)).events()] == [True]
    assert not (clone.khive / "spool").exists()


def test_what_a_hook_makes_is_marked(tmp_path: Path, hook: Hook) -> None:
    fresh = Project(tmp_path / "fresh")
    fresh.root.mkdir()
    assert hook(payload("s"), "claude-code", "--dir", str(fresh.root)).returncode == 0
    assert marks.is_marked(fresh.khive)
    assert len(os.readlink(fresh.khive / "id")) == spool_writer.MARK_DIGITS


def test_a_project_that_is_gone_leaves_its_events_at_home(
    tmp_path: Path, home: Path, hook: Hook, clone: Project
) -> None:
    assert hook(payload("s"), cwd=clone.root).returncode == 0
    drain(Project(home))
    assert waiting(home) == 1
    shutil.rmtree(clone.khive)
    assert sessions(Project(home)) == ["s"]


def test_one_bad_file_at_home_does_not_stop_the_others(
    project: Project, home: Path, tmp_path: Path
) -> None:
    spool = Spool(Project(home))
    spool.make()
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink(tmp_path / "nowhere", path)):
        make(spool.path / spool_writer.file_name("codex", True).replace(".event", ".away"))
    unreadable = spool.path / spool_writer.file_name("codex", True).replace(".event", ".away")
    unreadable.write_bytes(bytes(tmp_path / "elsewhere") + b"\0{}")
    unreadable.chmod(0)
    name = spool_writer.file_name("claude-code", True)
    os.close(spool_writer.keep_away(str(home), str(project.root), name, payload("mine"), None))
    Spool(project).accept("claude-code", payload("here"))
    assert sessions(project) == ["here", "mine"]
    drain(Project(home))
    assert spool.events() == []
    moved = 3 if os.geteuid() == 0 else 4
    assert len(os.listdir(home / ".khive" / "quarantine")) == moved
