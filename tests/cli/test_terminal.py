"""What a person sees: tables that fit a terminal, and are whole in a pipe."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from khive_persist import clock
from khive_persist.capture.spool import Spool
from khive_persist.cli.columns import Column, fit
from khive_persist.cli.root import COMMANDS, run
from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.cli.terminal import program_shown, shown
from tests.factories import event, outcome, plan, save, save_many, todos

SESSION = "3aeaa724-c75a-4fc5-9e77-8feafee36ced"
# Made within the same minute: eleven characters are the same.
TWINS = ("01a1fba8-446b-7642-a8e8-72f4564fd250", "01a1fba8-44ff-7642-a8e8-72f4564fd251")
TASK = "Move the importer to streams, so that no file is ever read into memory as a whole 日本語"
TABLES = (
    "events", "sessions", "outcomes", "similar importer", "stats", f"lineage {SESSION}",
    f"focus {SESSION} --events", "doctor", "projects", "backup list", "experiment list",
    "hooks status", "query 'SELECT * FROM events'", "tail --no-follow",
)  # fmt: skip
COLOUR = "\x1b[3"


@pytest.fixture
def worked(project: Project) -> Project:
    """A project with sessions of two tools: calls that went well, failed, were denied, or go on."""
    now = clock.now().replace(microsecond=123_456)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("pre_command", {"tool_use_id": "a"}),
        ("post_command", {"tool_use_id": "a", "success": True}),
        ("pre_command", {"tool_use_id": "b"}),
        ("post_command", {"tool_use_id": "b", "success": False}),
        ("pre_command", {"tool_use_id": "c"}),
        ("permission_denied", {"tool_use_id": "c", "success": False}),
        ("pre_command", {"tool_use_id": "d"}),
    ]
    command = "pytest -q " + " ".join(f"tests/unit/test_{number}.py" for number in range(40))
    save_many(
        project,
        [
            *(
                event(kind, SESSION, now - timedelta(minutes=9 - number), tool="claude-code",
                      tool_name="mcp__shell__run_command", command=command, **content)
                for number, (kind, content) in enumerate(calls)
            ),
            *(
                event("stop", id, now - timedelta(hours=number + 1), tool="claude-code")
                for number, id in enumerate(TWINS)
            ),
            plan(SESSION, now - timedelta(hours=1), task_description=TASK, complexity="complex",
                 confidence=0.86, planning_cost=0.42, agent_count=4),
            outcome(SESSION, "success", now),
            todos(SESSION, now - timedelta(minutes=8), (TASK, "in_progress")),
        ],
    )  # fmt: skip
    return project


def test_every_table_fits_its_terminal(worked: Project, khive: Khive) -> None:
    khive("backup", "create")
    khive("experiment", "create", "a_prompt_with_a_long_name", "control=1", "another_variant=2")
    for words in TABLES:
        command = [part.strip("'") for part in re.findall(r"'[^']*'|\S+", words)]
        for columns in (60, 80, 120, 200):
            lines = shown(columns, "--dir", str(worked.root), *command).lines
            assert len(lines) > 1, words
            if words == "doctor":
                # What stands before its first table are names and values.
                lines = lines[lines.index("") :]
            # Where an empty answer looked, and what doctor found, is said whole.
            sentences = ("no ", "problem: ", "advice: ", "paused: ", "  khive-persist ")
            tables = [line for line in lines if not line.startswith(sentences)]
            too_wide = [line for line in tables if cell_len(line) > columns]
            assert not too_wide, (words, columns)


def test_events_at_80_columns_have_time_tool_session_and_result(worked: Project) -> None:
    heading, *rows = shown(80, "--dir", str(worked.root), "events").lines
    assert heading.split() == [
        "time", "tool", "session", "event_type", "tool_name", "result", "what"
    ]  # fmt: skip
    newest = rows[0].split()
    assert re.fullmatch(r"\d\d:\d\d:\d\d", newest[0]) or newest[0].isalpha()
    assert [row.split("  ")[1].strip() for row in rows[:7]] == ["claude-code"] * 7
    assert all(SESSION[:8] in row and SESSION[:9] not in row for row in rows[:7])
    results = [re.search(r" (ok|failed|denied|open) ", row) for row in rows[:7]]
    assert [match and match[1] for match in results] == [
        "open", "denied", None, "failed", None, "ok", None
    ]  # fmt: skip


def test_sessions_at_80_columns_name_each_session_by_what_is_its_own(
    worked: Project, khive: Khive
) -> None:
    heading, *rows = shown(80, "--dir", str(worked.root), "sessions").lines
    assert heading.split()[:2] == ["session", "title"]
    assert {"last", "tool", "verdict", "failed"} <= set(heading.split())
    wide = shown(200, "--dir", str(worked.root), "sessions").lines[0].split()
    assert {"project", "model", "cost", "task", "planning"} <= {*wide}
    short = [row.split()[0] for row in rows[:3]]
    assert short[0] == SESSION[:8]
    assert "Move the importer" in rows[0]
    assert "…" in rows[0]
    for prefix, id in zip(short[1:], TWINS, strict=True):
        assert id.startswith(prefix)
        assert [s["session_id"] for s in khive("sessions", "--session", prefix, "--json").json] == [
            id
        ]
    assert "no room for" in rows[3]


def test_a_short_id_is_one_of_all_sessions_and_not_only_of_those_shown(worked: Project) -> None:
    screen = shown(80, "--dir", str(worked.root), "events", "--session", TWINS[0])
    (prefix,) = [word for word in screen.lines[1].split() if TWINS[0].startswith(word)]
    assert not TWINS[1].startswith(prefix)


def test_a_pipe_has_whole_values_in_utc(worked: Project, khive: Khive) -> None:
    done = khive("events", "-n", "1")
    (document,) = khive("events", "-n", "1", "--jsonl").lines
    content = document["content"]
    for value in (document["created_at"], content["session_id"], content["command"], "open"):
        assert value in done.out
    assert "…" not in done.out
    assert "\x1b" not in done.out
    heading = khive("sessions").out.splitlines()[0].split()
    assert heading == list(khive("sessions", "--json").json[0])
    assert khive("events", "-n", "1", "--time", "relative").out.count(" ago") == 1


@pytest.fixture
def in_vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_times_are_as_the_person_wants_them(worked: Project, in_vienna: None) -> None:
    root = str(worked.root)
    save(worked, event("stop", "old", "2025-01-31 23:30:00", tool="codex"))

    def time_of(*words: str) -> str:
        (_, row, *_) = shown(200, "--dir", root, "events", "--session", "old", *words).lines
        return row.partition("  ")[0]

    assert time_of() == "2025-02-01 00:30"
    assert time_of("--utc") == "2025-01-31 23:30"
    assert time_of("--time", "iso") == "2025-02-01 00:30:00+01:00"
    worked.config.write_text('[display]\ntime = "relative"\n')
    assert re.fullmatch(r"\d+[yw] ago", time_of())
    assert time_of("--time", "iso", "--utc") == "2025-01-31 23:30:00Z"


def test_colours_are_for_a_terminal_that_wants_them(
    worked: Project, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--dir", str(worked.root), "events")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown(120, *words)
    for word, colour in (("failed", 31), ("denied", 33), ("ok", 32), ("open", 36)):
        assert f"\x1b[{colour}m{word}\x1b[0m" in coloured
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert COLOUR in khive("events").out
    assert SESSION in khive("events").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(120, *words)
    assert "\x1b" not in khive("events").out


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC+99"])
def test_odd_ids_and_times_at_the_ends_of_the_years_are_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    ends = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    ids = ("$(touch x)", "(in brackets)", "(")
    save_many(project, [event("stop", id, at) for id in ids for at in ends])
    save_many(project, [plan(id, at) for id in ids for at in ends])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert "$(touch" in shown(120, "--dir", str(project.root), "sessions")
        for words in (["events"], ["plans", "--time", "local"], ["query", "SELECT * FROM plans"]):
            assert re.search(
                r"999\d-|1000\d-|0001-", shown(200, "--dir", str(project.root), *words)
            )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_name_of_a_folder_moves_no_cursor(home: Path, tmp_path: Path) -> None:
    root = tmp_path / "a\x1b[8mb;c"
    clone = Project(root)
    clone.khive.mkdir(parents=True)
    clone.config.write_text("[budget]\nday_usd = 1\n[server]\nport = 9\n")
    (clone.khive / "claude_hooks.db").write_bytes(b"")
    for words in (
        "path", "events", "hooks status", "trust --keep", "path", "pause --here", "events",
        "hooks status", "doctor", "config set server.port x",
    ):  # fmt: skip
        text = shown(120, "--dir", str(root), *words.split(), codes=(0, 1, 2))
        assert "\x1b[8m" not in text, words
        assert "x1b[8mb" in text or words == "hooks status", words


def test_long_texts_give_way_before_columns_do() -> None:
    columns = [
        Column("a", kind="key", priority=0), Column("b", minimum=4, priority=3),
        Column("c", kind="prose", minimum=10, priority=1),
    ]  # fmt: skip
    assert fit(columns, [8, 9, 50], 80) == {0: 8, 1: 9, 2: 50}
    assert fit(columns, [8, 9, 50], 40) == {0: 8, 1: 9, 2: 19}
    assert fit(columns, [8, 9, 50], 27) == {0: 8, 1: 5, 2: 10}
    assert fit(columns, [8, 9, 50], 25) == {0: 8, 2: 15}
    assert fit(columns, [8, 9, 50], 7) == {0: 7}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["evnts"], "events"),
        (["backup", "creat"], "create"),
        (["events", "--tool", "claud-code"], "claude-code"),
        (["events", "--tool=codx"], "codex"),
        (["sessions", "--limt", "3"], "--limit"),
        (["help", "sesions"], "sessions"),
        (["help", "backup", "lst"], "list"),
    ],
)
def test_a_mistyped_word_is_answered_with_what_was_meant(
    khive: Khive, words: list[str], meant: str
) -> None:
    done = khive(*words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "Did you mean" in done.err
    assert meant in done.err.partition("Did you mean")[2]


def test_limit_is_n_wherever_rows_are_listed(worked: Project, khive: Khive) -> None:
    khive("backup", "create")
    khive("backup", "create")
    khive("experiment", "create", "first", "a", "b")
    for words in (
        "events", "sessions", "outcomes", "similar importer", "tail --no-follow", "backup list",
        "query 'SELECT * FROM events'", "projects", "plans", f"lineage {SESSION}",
    ):  # fmt: skip
        command = [part.strip("'") for part in re.findall(r"'[^']*'|\S+", words)]
        short = khive(*command, "-n", "1")
        assert (short.code, len(short.out.partition("\n\n")[0].splitlines())) == (0, 2), words
        assert short.out == khive(*command, "--limit", "1").out or "ago" in short.out
    newest = khive("backup", "list", "--json").json["backups"][-1]["id"]
    assert newest in khive("backup", "list", "-n", "1").out
    assert khive("experiment", "list", "-n", "0").out == ""
    # Several tables in one answer, each so long at most.
    (counted,) = khive("stats", "-n", "1", "--json").json["events"]
    assert counted in khive("stats", "--json").json["events"]
    save(worked, todos(SESSION, clock.now(), (TASK, "completed"), ("Next", "in_progress")))
    session, changes, current = khive("focus", SESSION, "-n", "1").out.split("\n\n")
    assert (session, len(changes.splitlines())) == (f"session {SESSION}", 2)
    assert changes.splitlines()[1].endswith(current.splitlines()[1].rpartition("  ")[2].strip())
    assert len(current.splitlines()) == 2


def test_plans_at_60_columns_keep_the_task_and_a_beginning_that_names_each(
    worked: Project, khive: Khive
) -> None:
    save(worked, plan("another", task_description="Another task"))
    heading, *rows = shown(60, "--dir", str(worked.root), "plans").lines
    assert {"id", "created_at", "task"} <= set(heading.split())
    tasks = {p["id"]: p["content"]["task_description"] for p in khive("plans", "--json").json}
    assert len(rows[:2]) == len(tasks) == 2
    for row in rows[:2]:
        short = row.split()[0]
        (id,) = (id for id in tasks if id.startswith(short))
        assert len(short) < 32
        assert tasks[id][:12] in row
        assert khive("plans", "show", short, "--json").json["plan"]["plan_id"] == id


def test_help_version_and_module_are_what_people_try(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def out(*words: str) -> str:
        assert run([*words]) == 0
        return capsys.readouterr().out

    assert out("help", "backup", "create") == out("backup", "create", "--help")
    assert out("help") == out("--help")
    assert out("-V") == out("--version")
    assert program_shown(80, "-V").lines == out("-V").splitlines()


def test_the_first_call_says_what_is_there_and_what_to_do(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "new"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", str(tmp_path))

    def lines(said: str, *commands: str) -> None:
        screen = shown(80)
        assert 5 <= len(screen.lines) <= 12, screen
        assert said in screen
        for command in commands:
            assert f"khive-persist {command}  " in screen, screen

    lines("nothing is recorded yet", "init", "hooks install claude-code", "demo")
    run(["init"])
    lines("no hook is installed", "hooks install claude-code", "demo")
    assert "khive-persist init " not in shown(80)
    run(["hooks", "install", "codex"])
    lines("Hooks are installed for codex", "tail", "doctor")
    Spool(Project(root)).accept("codex", json.dumps({"hook_event_name": "Stop",
                                                     "session_id": SESSION}).encode())  # fmt: skip
    lines("1 session, 1 event.", f"show {SESSION[:8]}", "sessions", "serve")


def test_the_man_page_has_every_command_and_groff_takes_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["--man"]) == 0
    page = capsys.readouterr().out
    for name in (*COMMANDS, "backup restore"):
        assert f"\n.SS {name}\n".replace("-", "\\-") in page
    assert "\n.TP\n\\fB\\-n, \\-\\-limit" in page
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("no groff")
    done = subprocess.run([groff, "-man", "-Tutf8", "-ww", "-Kutf8"], input=page, text=True,
                          capture_output=True, check=True)  # fmt: skip
    assert done.stderr == ""
    # What `man` itself sees to: a minus in a command is the one to be copied.
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout).translate({0x2212: "-", 0x2010: "-"})
    assert 'khive-persist query "SELECT event_type, count(*) FROM events GROUP BY 1"' in text
