"""`hooks install|status|uninstall` of every client, and `--all`."""

import json
from pathlib import Path

import pytest

from khive_persist.project import Project
from khive_persist.tools import TOOLS
from tests.cli.conftest import Khive


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that alone is on PATH."""
    folder = tmp_path_factory.mktemp("programs")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\necho 9.9.9\n")
    path.chmod(0o755)
    return path


def files(*roots: Path) -> set[Path]:
    found = {path for root in roots for path in root.rglob("*") if path.is_file()}
    return {path for path in found if ".khive" not in path.parts}


def test_all_installs_for_each_client_that_is_found(
    project: Project, khive: Khive, programs: Path, home: Path
) -> None:
    droid = program(programs / "droid")
    (home / ".cline").mkdir()
    (home / ".config/opencode").mkdir(parents=True)
    (home / ".config/other").mkdir()
    (home / ".kimi-code").mkdir()
    done = khive("hooks", "install", "--all")
    assert done.code == 0
    assert f"droid: found, as {droid} is there" in done.out
    assert f"cline: found, as {home / '.cline'} is there" in done.out
    assert f"opencode: found, as {home / '.config/opencode'} is there" in done.out
    assert "kimi-code: passed over, as it has no settings of --scope project" in done.out
    (absent,) = [line for line in done.out.splitlines() if line.startswith("not found here: ")]
    absent_tools = set(absent.removeprefix("not found here: ").split(", "))
    assert absent_tools == set(TOOLS) - {"droid", "cline", "opencode", "kimi-code"}
    states = {
        one["tool"]
        for one in khive("hooks", "status", "--json").json["hooks"]
        if one["state"] == "installed"
    }
    assert states == {"droid", "cline", "opencode"}
    again = khive("hooks", "install", "--all", "--json")
    assert again.code == 0
    assert again.json["droid"]["found"] == str(droid)
    assert again.json["droid"]["written"] is False
    assert again.json["kimi-code"] == {
        "found": str(home / ".kimi-code"),
        "passed_over": "no settings of --scope project",
    }
    assert khive("hooks", "uninstall", "droid", "cline", "opencode").code == 0
    assert files(project.root, home) == set()


@pytest.mark.usefixtures("programs")
def test_all_goes_on_behind_settings_that_cannot_be_changed(
    project: Project, khive: Khive, home: Path
) -> None:
    for name in (".claude", ".qwen", ".factory"):
        (home / name).mkdir()
    bad = project.root / ".qwen" / "settings.json"
    bad.parent.mkdir()
    bad.write_text("{ not json")
    done = khive("hooks", "install", "--all", "--json")
    assert done.code == 1
    assert done.json["qwen-code"]["error"].startswith(str(bad))
    assert done.json["claude-code"]["written"]
    assert done.json["droid"]["written"]
    assert bad.read_text() == "{ not json"
    # One that is wrong does not hide what the others are.
    shown = khive("hooks", "status")
    assert shown.code == 1
    assert f"problem: {bad}:1:3: not valid JSON" in shown.out
    assert "droid" in shown.out


@pytest.mark.usefixtures("programs", "home")
def test_all_finds_nobody_on_an_empty_machine(khive: Khive) -> None:
    done = khive("hooks", "install", "--all")
    assert done.code == 0
    absent, advice = done.out.splitlines()
    assert absent.startswith("not found here: claude-code, ")
    # What it says to do works where nothing is found.
    command = advice.rpartition("khive-persist ")[2].split()
    assert khive(*command).code == 0


@pytest.mark.parametrize(
    "words",
    [["install"], ["install", "--all", "droid"], ["install", "--all", "--client-version", "1.0"]],
)
def test_all_stands_alone(khive: Khive, words: list[str]) -> None:
    done = khive("hooks", *words)
    assert (done.code, done.err.count("\n")) == (2, 1)


@pytest.mark.usefixtures("programs")
def test_a_file_of_the_users_is_named_and_the_code_is_1(project: Project, khive: Khive) -> None:
    path = project.root / ".clinerules" / "hooks" / "PreToolUse"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    done = khive("hooks", "install", "cline")
    assert done.code == 1
    assert f"  {path} is a file of your own, and stays" in done.out
    as_json = khive("hooks", "install", "cline", "--json")
    assert (as_json.code, as_json.json["cline"]["occupied"]) == (1, [str(path)])
    assert khive("hooks", "status").code == 1
    assert khive("hooks", "uninstall", "cline").code == 0
    assert path.read_text() == "#!/bin/sh\n"


@pytest.mark.usefixtures("programs")
def test_a_scope_that_a_client_has_not_is_one_line(khive: Khive) -> None:
    done = khive("hooks", "install", "kimi-code")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "Kimi Code has no settings of a project: use --scope user" in done.err


@pytest.mark.usefixtures("programs")
def test_doctor_reads_every_form(project: Project, khive: Khive, home: Path) -> None:
    for tool in TOOLS:
        if tool != "codex":  # Whose user must trust its hooks first.
            assert khive("hooks", "install", tool, "--scope", "user").code == 0
    done = khive("doctor", "--json")
    assert done.json["problems"] == []
    installed = {hook["tool"] for hook in done.json["hooks"] if hook["state"] == "installed"}
    assert installed == set(TOOLS) - {"codex"}
    paths = {hook["tool"]: hook["path"] for hook in done.json["hooks"] if hook["scope"] == "user"}
    broken = Path(paths["kimi-code"])
    broken.write_text("[[hooks]\n")
    assert any(str(broken) in line for line in khive("doctor", "--json").json["problems"])
    assert json.loads((home / ".cursor/hooks.json").read_text())["version"] == 1
    assert project.root.exists()


@pytest.mark.usefixtures("programs")
def test_what_two_scopes_record_twice_is_said_at_the_second(project: Project, khive: Khive) -> None:
    assert "problem" not in khive("hooks", "install", "droid").out
    second = khive("hooks", "install", "droid", "--scope", "user")
    assert second.code == 0
    assert "  problem: Droid records 9 events twice, as " in second.out
    shown = khive("hooks", "install", "droid", "--json")
    assert "uninstall one of the two" in shown.json["droid"]["problems"][0]
