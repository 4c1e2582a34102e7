"""`config`: what is in force and from where, a value written in place, and each mistake."""

from pathlib import Path
from threading import Thread

import pytest

from khive_persist import settings
from khive_persist.cli.root import run
from khive_persist.maintenance.config_files.edit import set_value
from khive_persist.project import Project
from khive_persist.trust import records
from tests.cli.conftest import Khive


def test_get_says_what_is_in_force_and_from_where(
    project: Project, home: Path, khive: Khive
) -> None:
    (home / ".khive").mkdir(exist_ok=True)
    (home / ".khive" / "config.toml").write_text("[server]\nport = 1\naddress = '::1'\n")
    project.local_config.write_text("[server]\nport = 2\n")
    assert khive("config", "get", "server.port").out == "2\n"
    assert khive("config", "get", "server.address").out == "::1\n"
    assert khive("config", "get", "redaction.enabled").out == "true\n"
    rows = {row["name"]: row for row in khive("config", "get", "--json").json}
    assert rows["server.port"]["from"] == str(project.local_config)
    assert rows["server.address"]["from"] == str(home / ".khive" / "config.toml")
    assert rows["capture.linger_seconds"] == {
        "name": "capture.linger_seconds", "value": 0.2, "from": str(project.config)
    }  # fmt: skip
    assert rows["mirror.off"] == {"name": "mirror.off", "value": [], "from": "default"}
    assert khive("config", "get").out.splitlines()[0].split() == ["name", "value", "from"]
    wrong = khive("config", "get", "server.prot")
    assert (wrong.code, wrong.out) == (2, "")
    assert "do you mean server.port?" in wrong.err
    assert khive("config", "set", "server.prot", "1").code == 2


def test_set_keeps_the_rest_and_counts(project: Project, khive: Khive) -> None:
    before = "# mine\n[server]\n# port = 8423\n\n[sync] # of transcripts\nat_stop = true # soon\n"
    project.config.write_text(before)
    done = khive("config", "set", "server.port", "9000")
    assert (done.code, done.out) == (0, "server.port = 9000\n")
    assert done.err == f"written to {project.config}\n"
    assert khive("config", "set", "sync.at_stop", "false").code == 0
    assert project.config.read_text() == (
        "# mine\n[server]\nport = 9000\n\n[sync] # of transcripts\nat_stop = false # soon\n"
    )
    in_force = settings.load(project.config)
    assert (in_force.server_port, in_force.sync_at_stop) == (9000, False)
    assert khive("config", "set", "server.port", "9000").out == "server.port = 9000, as it was\n"
    khive("config", "set", "server.allowed_hosts", "a.test", "b.test", "--local")
    assert settings.load(project.config).server_allowed_hosts == ("a.test", "b.test")
    khive("config", "set", "server.allowed_hosts", "[]", "--local")
    assert settings.load(project.config).server_allowed_hosts == ()


def test_many_set_at_once_and_all_counts(project: Project, khive: Khive) -> None:
    khive("config", "set", "server.port", "9000")
    names = ("server.port", "backup.keep_count", "budget.day_tokens")
    threads = [
        Thread(target=set_value, args=(project, project.config, name, number))
        for number in range(8)
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert settings.withheld(project.config) == ()
    values = settings.read(project.config)
    assert {"server_port", "backup_keep_count", "budget_day_tokens"} <= values.keys()


def test_a_clone_that_is_passed_over_changes_no_other_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = Project(home / "clone")
    clone.khive.mkdir(parents=True)
    (clone.khive / "claude_hooks.db").write_bytes(b"")
    monkeypatch.chdir(clone.root)
    assert run(["config", "set", "server.port", "9"]) == 1
    assert "is not trusted" in capsys.readouterr().err
    assert not (home / ".khive" / "config.toml").exists()


def test_rules_that_no_command_could_read_are_mistakes(project: Project, khive: Khive) -> None:
    for name, value in (("cost.prices", "x"), ("retention.rules", "x"), ("server.port", "70000")):
        refused = khive("config", "set", name, value)
        assert (refused.code, refused.out) == (2, "")
    assert khive("config", "check").code == 0
    project.config.write_text('[cost]\nprices = ["x"]\n[retention]\nrules = ["x"]\n')
    problems = khive("config", "check", "--json").json["problems"]
    assert [(p["name"], p["line"]) for p in problems[:2]] == [
        ("cost.prices", 2), ("retention.rules", 4),
    ]  # fmt: skip


def test_what_was_not_accepted_is_not_accepted_by_another_change(
    project: Project, khive: Khive
) -> None:
    records.trust_config(project.khive, "")
    project.config.write_text("[redaction]\nenabled = false\n")
    done = khive("config", "set", "server.port", "9000")
    assert done.code == 0
    assert f"{project.config}:2: redaction.enabled does not count" in done.err
    assert settings.load(project.config).redaction_enabled is True


def test_set_refuses_what_would_not_count(project: Project, home: Path, khive: Khive) -> None:
    before = project.config.read_bytes()
    for words, reason in (
        (("server.port", "many"), "server.port is a whole number from 0"),
        (("server.port", "1", "2"), "server.port is a whole number from 0"),
        (("gemini.model_events", "some"), "is one of off, without_conversation, full"),
        (("redaction.deny", "("), "redaction.deny: '('"),
        (("prot", "1"), "prot is no setting"),
        (("home.keep_days", "3"), "say --home"),
    ):
        done = khive("config", "set", *words)
        assert (done.code, done.out) == (2, ""), words
        assert reason in done.err
        assert done.err.count("\n") == 1
    assert project.config.read_bytes() == before
    assert khive("config", "set", "home.keep_days", "3", "--home").code == 0
    path = home / ".khive" / "config.toml"
    assert "keep_days = 3" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_check_names_each_mistake_with_its_line(project: Project, home: Path, khive: Khive) -> None:
    sound = khive("config", "check")
    assert (sound.code, sound.out) == (0, f"nothing is wrong: {project.config}\n")
    project.config.write_text(
        "[server]\nprot = 1\nport = 'x'\n\n[sync]\nat_stop = 1\n[cost]\nprices = []\n"
        "gemini.model_events = 'some'\n"
    )
    done = khive("config", "check")
    at = project.config
    assert done.code == 1
    assert done.out.splitlines() == [
        f"{at}:2: server.prot is no setting of this version: do you mean server.port?",
        f"{at}:3: server.port is a whole number from 0",
        f"{at}:6: sync.at_stop is true or false",
        f"{at}:9: cost.gemini is no setting of this version",
    ]
    assert "goes on with the defaults" in done.err
    problems = khive("config", "check", "--json").json["problems"]
    assert (problems[0]["line"], problems[0]["kind"]) == (2, "invalid")

    project.config.write_text("[server]\nport = \n")
    assert khive("config", "check").out.startswith(f"{at}:2: not valid TOML")
    project.config.write_text("server = 5\nport = 1\n")
    assert khive("config", "check").out.splitlines() == [
        f"{at}:1: server is no table: write [server]",
        f"{at}:2: port is no table: write [port]",
    ]

    project.config.write_text("[home]\nkeep_days = 3.0\n[redaction]\nenabled = false\n")
    records.trust_config(project.khive, "")
    done = khive("config", "check")
    assert done.code == 1
    assert done.out.splitlines() == [
        f"{at}:2: home.keep_days counts in {home / '.khive' / 'config.toml'} alone",
        f"{at}:4: redaction.enabled does not count until you accept the file:"
        f" khive-persist --dir {project.root} trust --keep",
    ]
