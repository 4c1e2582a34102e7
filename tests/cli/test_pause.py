"""`pause` and `resume`, and where a pause is shown."""

import re
import shlex
from pathlib import Path

import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.cli.conftest import Khive

SESSION = "3aeaa724-c75a-4fc5-9e77-8feafee36ced"


def test_a_pause_is_said_wherever_one_looks(project: Project, khive: Khive) -> None:
    done = khive("pause", "--here", "--for", "2h")
    assert (done.code, done.err) == (0, "")
    off = f"recording is off for {project.root}"
    assert re.fullmatch(rf"{re.escape(off)} until \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\n", done.out)
    Spool(project).accept("codex", b'{"session_id": "s"}')
    shown = khive("hooks", "status")
    assert f"paused: {off} since" in shown.out
    # What reads tells it on stderr, and never in a pipe.
    read = khive("events", "--json")
    assert read.json == []
    assert f"{off} since" in read.err
    examined = khive("doctor")
    assert (examined.code, "nothing is wrong" in examined.out) == (0, True)
    assert f"paused: {off} since" in examined.out
    pause = khive("doctor", "--json").json["pause"]
    assert (pause["is_paused"], pause["unrecorded"], pause["problem"]) == (True, 1, "")
    assert pause["pauses"][0]["subject"] == str(project.root)
    assert khive("hooks", "status", "--json").json["pause"] == pause
    resumed = khive("resume", "--here")
    line = rf"recording is on again for {re.escape(str(project.root))}: it was off for \d+s, and 1 "
    assert re.match(line, resumed.out)
    assert "paused" not in khive("hooks", "status").out
    assert khive("doctor", "--json").json["pause"]["unrecorded"] == 1


def test_resume_ends_what_is_named_or_all(khive: Khive) -> None:
    assert khive("resume").out == "nothing was paused\n"
    for words in ([], ["--here"], ["--session", SESSION]):
        assert khive("pause", *words).code == 0
    # Once more is the same pause, with another end.
    assert khive("pause", "--for", "1d", "--json").json["until"] is not None
    assert khive("resume", "--session", "another").out == "session another was not paused\n"
    (pause,) = khive("resume", "--session", SESSION, "--json").json
    assert (pause["scope"], pause["subject"], pause["unrecorded"]) == ("session", SESSION, 0)
    assert [pause["scope"] for pause in khive("resume", "--json").json] == ["all", "project"]
    assert khive("resume", "--json").json == []


def test_the_command_that_resumes_can_be_copied_whatever_the_session_is_called(
    khive: Khive,
) -> None:
    for id in ("$(touch x); y", "-odd", "two words"):
        khive("pause", f"--session={id}")
        (line,) = [line for line in khive("hooks", "status").out.splitlines() if id in line]
        command = shlex.split(line.rpartition(": ")[2])
        assert [pause["subject"] for pause in khive(*command[1:], "--json").json] == [id]


def test_what_one_records_by_hand_is_refused_with_the_reason(khive: Khive, tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text(f'{{"session_id": "{SESSION}"}}')
    khive("pause", "--session", SESSION)
    refused = khive("record", "hook-event", str(payload))
    assert (refused.code, refused.out) == (1, "")
    assert f"khive-persist resume --session {SESSION}" in refused.err
    khive("resume")
    assert khive("record", "hook-event", str(payload)).code == 0


@pytest.mark.parametrize(
    "words",
    [["--for", "soon"], ["--for", "0h"], ["--for", "999999999w"], ["--here", "--session", "s"],
     ["--session", ""]],
)  # fmt: skip
def test_a_pause_that_cannot_be_meant(khive: Khive, words: list[str]) -> None:
    done = khive("pause", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert khive("resume").out == "nothing was paused\n"


def test_where_no_hook_would_know_of_it(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHIVE_HOME", "/proc/none")
    assert run(["--dir", str(project.root), "pause"]) == 1
    assert "set KHIVE_OFF=1" in capsys.readouterr().err


def test_the_environment_is_shown(khive: Khive, monkeypatch: pytest.MonkeyPatch) -> None:
    spool_writer.count_unrecorded(spool_writer.home(), "/off/s", f"{1:020d}")
    monkeypatch.setenv("KHIVE_OFF", "1")
    done = khive("doctor")
    assert "paused: KHIVE_OFF is set" in done.out
    assert re.search("events not recorded by KHIVE_OFF +1", done.out)
    assert "paused: KHIVE_OFF is set" in khive("hooks", "status").out
