"""The commands that make, record, examine and install; and how all of them fail."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.cli.root import COMMANDS, run
from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.payloads import Hook, sample_payloads

PLAN = {"session_id": "s1", "task_description": "do it", "complexity": "complex"}


def test_init_makes_a_private_khive_and_keeps_what_is_there(tmp_path: Path, khive: Khive) -> None:
    root = tmp_path / "fresh"
    root.mkdir()
    assert khive("init", "--dir", str(root)).code == 0
    made = Project(root)
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in [made.khive, *made.khive.iterdir()]
        if not path.is_symlink()
    }
    assert modes == {".khive": 0o700, "spool": 0o700, "config.toml": 0o600, ".gitignore": 0o600}
    made.config.write_text("[redaction]\nenabled = false\n")
    assert khive("init", "--dir", str(root)).code == 0
    assert made.config.read_text() == "[redaction]\nenabled = false\n"


def test_the_config_that_init_writes_is_valid_and_names_every_setting(
    project: Project, khive: Khive
) -> None:
    from khive_persist import settings

    project.config.unlink()
    khive("init")
    text = project.config.read_text()
    assert settings.load(project.config) == settings.Settings()
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in text.splitlines()
    )
    project.config.write_text(uncommented)
    loaded = settings.load(project.config)
    assert loaded._replace(redaction_allow=()) == settings.Settings()
    for name in settings.Settings._fields:
        table, _, key = name.partition("_")
        assert f"[{table}]" in text
        assert f"{key} = " in text


def test_the_repository_carries_the_same_config() -> None:
    root = Path(__file__).parents[2]
    packaged = root / "src" / "khive_persist" / "config.toml"
    assert (root / ".khive" / "config.toml").read_bytes() == packaged.read_bytes()


def test_record_keeps_events_and_plans(project: Project, khive: Khive, tmp_path: Path) -> None:
    lines = tmp_path / "payloads.jsonl"
    lines.write_bytes(b"\n".join(sample_payloads("codex")))
    done = khive("record", "hook-event", "--tool", "codex", "--lines", str(lines))
    assert done.code == 0
    assert len(done.out.split()) == len(sample_payloads("codex"))
    assert str(project.database("codex_hooks.db")) in done.err
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    saved = khive("record", "planner-session", str(plan), "--json").json
    assert khive("show", saved["ids"][0], "--json").json["content"] == PLAN
    assert saved["path"] == str(project.database("planner_sessions.db"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ('{"session_id": "s"}', "task_description"),
        (json.dumps(PLAN | {"evaluations": 3}), "evaluations"),
        ("[1]", "document 1"),
    ],
)
def test_record_refuses_a_wrong_plan_in_one_line(
    khive: Khive, tmp_path: Path, text: str, said: str
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    done = khive("record", "planner-session", str(plan))
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_record_keeps_an_event_that_is_no_json(khive: Khive, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\xfe not json")
    id = khive("record", "hook-event", str(tmp_path / "odd")).out.strip()
    assert khive("show", id, "--json").json["content"]["event_type"] == "unparsed"


def test_doctor_is_content_with_a_sound_project(recorded: Project, khive: Khive) -> None:
    done = khive("doctor", "--json")
    assert done.code == 0
    assert done.json["problems"] == []
    rows = {database["file"]: database["rows"] for database in done.json["databases"]}
    assert rows["codex_hooks.db"] == len(sample_payloads("codex"))
    assert all(database["last"] for database in done.json["databases"])
    assert {hook["state"] for hook in done.json["hooks"]} == {"not installed"}
    assert done.json["versions"]["khive-persist"]
    assert "nothing is wrong" in khive("doctor").out


def test_doctor_lists_tool_calls_without_an_end(project: Project, khive: Khive) -> None:
    spool = Spool(project)
    common = {"session_id": "s1", "tool_name": "Bash"}
    for event, id in (("PreToolUse", "a"), ("PreToolUse", "b"), ("PostToolUse", "a")):
        payload = common | {"hook_event_name": event, "tool_use_id": id}
        spool.accept("claude-code", json.dumps(payload).encode())
    for event in ("BeforeTool", "BeforeTool", "AfterTool"):
        payload = common | {"hook_event_name": event, "tool_name": "read_file"}
        spool.accept("gemini-cli", json.dumps(payload).encode())
    done = khive("doctor", "--json")
    assert done.code == 0
    found = {(one["tool"], one["tool_use_id"], one["calls"]) for one in done.json["unmatched"]}
    assert found == {("claude-code", "b", 1), ("gemini-cli", None, 1)}


def test_doctor_says_what_is_damaged_and_set_aside_keeps_its_bytes(
    recorded: Project, khive: Khive
) -> None:
    khive("events", "--limit", "1")
    path = recorded.database("codex_hooks.db")
    path.write_bytes(b"no database at all" * 1_000)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    Spool(recorded).accept("codex", sample_payloads("codex")[0])
    done = khive("doctor")
    assert done.code == 1
    assert "codex_hooks.db" in done.out
    assert "1 events wait" in done.out
    done = khive("doctor", "--set-aside", "codex_hooks.db")
    assert done.code == 1
    assert "the copies in" in done.out
    (kept,) = recorded.quarantine.glob("*/codex_hooks.db")
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest
    assert len(khive("events", "--tool", "codex", "--jsonl").lines) == 1


@pytest.mark.parametrize("file", ["../x.db", "/etc/passwd", "nothing.db", "config.toml", ""])
def test_set_aside_takes_only_databases_of_the_project(
    project: Project, khive: Khive, file: str
) -> None:
    done = khive("doctor", "--set-aside", file)
    assert (done.code, done.out) == (1, "")
    assert not project.quarantine.exists()


def test_doctor_names_what_keeps_a_project_from_working(project: Project, khive: Khive) -> None:
    project.config.write_text("[capture]\nmax_bytes = 1\n")
    project.khive.chmod(0o755)
    Spool(project).accept("claude-code", b"{}")
    (project.root / "elsewhere.db").write_bytes(b"")
    project.database("codex_hooks.db").symlink_to(project.root / "elsewhere.db")
    problems = "\n".join(khive("doctor", "--json").json["problems"])
    assert "capture.max_bytes is no setting" in problems
    assert "symbolic link" in problems
    assert khive("doctor").code == 1


def test_doctor_says_that_events_wait_for_a_newer_schema(project: Project, khive: Khive) -> None:
    from khive_persist.models.purposes import HOOK_EVENTS
    from khive_persist.store.sqlite.connection import open_writer

    purpose = HOOK_EVENTS["codex"]
    connection = open_writer(project.database(purpose.file), purpose)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    Spool(project).accept("codex", b"{}")
    done = khive("doctor")
    assert done.code == 1
    assert "upgrade khive-persist" in done.out


def test_hooks_are_installed_shown_and_taken_out(project: Project, khive: Khive) -> None:
    settings = project.root / ".claude" / "settings.json"
    settings.parent.mkdir()
    original = '{\n\t"model": "opus",\n\t"hooks": {}\n}\n'
    settings.write_text(original)
    installed = khive("hooks", "install", "claude-code", "codex")
    assert installed.code == 0
    assert "by hand" in installed.out
    states = {
        (one["tool"], one["scope"]): one["state"]
        for one in khive("hooks", "status", "--json").json["hooks"]
    }
    assert states["claude-code", "project"] == "installed"
    assert states["gemini-cli", "project"] == "not installed"
    assert "nothing to change" in khive("hooks", "install", "claude-code").out
    assert khive("hooks", "uninstall", "claude-code", "codex").code == 0
    assert settings.read_text() == original
    assert not (project.root / ".codex" / "hooks.json").exists()


def test_an_installed_hook_records(project: Project, khive: Khive) -> None:
    khive("hooks", "install", "claude-code")
    settings = json.loads((project.root / ".claude" / "settings.json").read_text())
    command = settings["hooks"]["Stop"][0]["hooks"][0]["command"]
    payload = b'{"hook_event_name":"Stop","session_id":"installed"}\n'
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        input=payload,
        capture_output=True,
        cwd=project.root,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert khive("events", "--jsonl").lines[0]["content"]["session_id"] == "installed"


def test_settings_that_are_no_json_are_left_alone(project: Project, khive: Khive) -> None:
    settings = project.root / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text("{ not json")
    done = khive("hooks", "install", "claude-code")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert str(settings) in done.err
    assert settings.read_text() == "{ not json"


def test_demo_shows_everything_and_fails_at_nothing(tmp_path: Path, khive: Khive) -> None:
    done = khive("demo", "--dir", str(tmp_path / "demo"))
    assert (done.code, done.err) == (0, "")
    for part in (
        "events of three tools recorded",
        "post_command",
        "very_complex",
        "nothing is wrong",
    ):
        assert part in done.out
    for path in (tmp_path / "demo" / ".khive").glob("*.db"):
        assert str(path) in done.out


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["events", "--nonsense"],
        ["events", "--tool", "vim"],
        ["events", "--since", "soon"],
        ["events", "--limit", "-1"],
        ["hooks", "install"],
        ["hooks", "install", "vim"],
        ["query"],
        ["record", "nonsense"],
    ],
)
def test_wrong_use_is_code_2_and_one_line(khive: Khive, words: list[str]) -> None:
    done = khive(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1


def test_a_mistake_of_ours_is_one_line_too(
    khive: Khive, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("khive_persist.cli.commands.doctor.examine", broken)
    done = khive("doctor")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "internal error: KeyError" in done.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_that_shows_its_use(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: khive-persist" in text
    without = (
        "backup", "completion", "config", "experiment", "help", "hooks", "outcome", "projects",
        "schema", "team", "collect",
    )  # fmt: skip
    assert "--dir" in text or name in without
    assert COMMANDS[name].rstrip(".").split(":")[0].split(",")[0] in " ".join(text.split())


def test_dir_is_taken_before_and_after_the_command(recorded: Project, tmp_path: Path) -> None:
    root = str(recorded.root)
    command = [sys.executable, "-m", "khive_persist.cli"]
    outputs = {
        subprocess.run(
            [*command, *words], capture_output=True, cwd=tmp_path, env=environment, check=True
        ).stdout
        for words, environment in (
            (["--dir", root, "stats", "--json"], dict(os.environ)),
            (["stats", "--json", "--dir", root], dict(os.environ)),
            (["stats", "--json"], dict(os.environ) | {"KHIVE_DIR": root}),
        )
    }
    assert len(outputs) == 1


def test_a_hook_and_a_command_find_the_same_project(project: Project, hook: Hook) -> None:
    below = project.root / "a" / "b"
    below.mkdir(parents=True)
    assert hook(b'{"session_id":"s"}', cwd=below).returncode == 0
    command = [sys.executable, "-m", "khive_persist.cli", "events", "--jsonl"]
    done = subprocess.run(command, capture_output=True, cwd=below, check=True)
    assert json.loads(done.stdout)["content"]["session_id"] == "s"
