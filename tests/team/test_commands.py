"""`push` and `team` as a person calls them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.factories import event, save
from tests.team.team_server import TeamServer

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(project: Project, server: TeamServer, capsys: pytest.CaptureFixture[str]) -> Call:
    project.local_config.write_text(f"[team]\nurl = '{server.url}'\nform = 'metrics'\n")
    save(project, event("stop", "s0", 1), event("stop", "s1", 2))

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--dir", str(project.root), *words])
        return code, *capsys.readouterr()

    return command


def test_the_bytes_of_a_dry_run_are_those_that_leave(call: Call, server: TeamServer) -> None:
    code, shown, _ = call("push", "--dry-run")
    assert (code, server.raw) == (0, [])
    code, out, _ = call("push")
    assert (code, out) == (0, f"2 records left, {len(shown)} bytes\n")
    assert b"".join(server.bodies).decode() == shown
    assert call("push")[1] == "nothing new\n"
    assert call("push", "--dry-run")[1] == ""
    assert json.loads(call("push", "--all", "--json")[1])["records"] == 0


def test_status_says_what_left_and_what_waits(call: Call, server: TeamServer) -> None:
    assert "2 records wait; the last push was never" in call("team", "status")[1]
    call("push", "--limit", "1")
    code, out, _ = call("team", "status")
    assert code == 0
    assert f"{server.url} gets metrics of" in out
    assert "claude_hooks" in out
    document = json.loads(call("team", "status", "--json")[1])
    (total,) = document["totals"]
    assert total["form"] == "metrics"
    assert total["records"] == 1
    server.behaviour = "redirect"
    code, _, error = call("push")
    assert (code, error.count("\n")) == (1, 1)
    assert "127.0.0.1 answered 302" in error
    assert "answered 302" in call("team", "status")[2]


def test_a_session_is_switched_off_and_on(call: Call, server: TeamServer) -> None:
    call("push")
    code, out, error = call("team", "off", "s0")
    assert (code, out) == (0, "nothing more of session s0 leaves\n")
    assert "1 records have left: --withdraw" in error
    assert "nothing of session s0 leaves since" in call("team", "status")[1]
    assert "push takes them out" in call("team", "off", "s0", "--withdraw")[2]
    assert "1 records were taken out of the team's store" in call("push")[1]
    assert call("team", "on", "s0")[1] == "session s0 leaves again\n"
    assert call("team", "on", "s0")[1] == "session s0 leaves as before\n"
    assert call("team", "off", "nobody")[0] == 1


def test_a_purge_says_what_is_at_the_team(call: Call) -> None:
    call("push")
    _, out, error = call("purge", "--session", "s0", "--dry-run")
    assert "1 records have left for the team" in error
    code, out, error = call("purge", "--session", "s0", "--yes")
    assert (code, "1 records are still in the team's store" in error) == (1, True)
    call("push")
    documents: Any = json.loads(call("purge", "--session", "s0", "--yes", "--json")[1])
    assert (documents["at_team"], out) == (0, "1 records of claude_hooks removed\n")


def test_settings_of_a_team_are_set_for_a_person_alone(call: Call, project: Project) -> None:
    code, _, error = call("config", "set", "team.form", "all")
    assert (code, "say --local or --home" in error) == (2, True)
    assert call("config", "set", "team.kinds", "conversations form=off", "--local")[0] == 0
    assert call("config", "set", "team.kinds", "conversations", "--local")[0] == 2
    project.config.write_text("[team]\nform = 'all'\n")
    (problem,) = json.loads(call("config", "check", "--json")[1])["problems"]
    assert "config.local.toml and the home's config.toml alone" in problem["reason"]
