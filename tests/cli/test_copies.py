"""`verify`, `rebuild` and `schema`, as a person and a program call them; `record` names both."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from khive_persist.capture.drain import drain
from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from tests.cli.conftest import Khive
from tests.factories import save
from tests.mirror.records import document, event, everything, files, hook, plan

PLAN = "planner_session_2026_11_01_plan0001.json"
STREAM = "hook_events_2026_11_01_s1.jsonl"


@pytest.fixture
def both(project: Project) -> Project:
    save(project, *(plan(f"plan000{n}") for n in range(3)))
    save(project, *(event(f"e{n}", "s1") for n in range(3)))
    return project


def break_both(project: Project) -> None:
    (project.sessions / PLAN).write_text("{")
    with (project.sessions / STREAM).open("ab") as file:
        file.write(b'{"dataModelVersion":1')
    (project.sessions / "README.md").write_text("mine")


def test_verify_says_that_all_is_equal(both: Project, khive: Khive) -> None:
    hook(both, "s1", 1)
    done = khive("verify")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "both copies are equal"
    assert "claude_hooks" in done.out
    assert khive("verify", "--json").json == {
        "is_equal": True,
        "purposes": {
            name: {"rows": rows, "copies": rows, "missing_in_mirror": 0, "missing_in_database": 0,
                   "differs": 0, "twice_in_mirror": 0}
            for name, found in everything(both).items() for rows in [len(found)]
        },
        "differences": [],
        "search_index": None,
    }  # fmt: skip
    assert khive("verify", "--jsonl").out == ""


def test_verify_and_doctor_say_how_the_index_is(project: Project, khive: Khive) -> None:
    save(project, plan("a"))
    done = khive("rebuild", "--search")
    assert (done.code, done.err) == (0, "")
    line = "1 passages of 1 records, up to date"
    assert done.out == f"{project.search_index}: {line}\n"
    assert khive("verify").out.splitlines()[-2] == f"search index: {line}"
    assert khive("verify", "--json").json["search_index"]["behind"] == 0
    assert f"search index                      {line}" in khive("doctor").out
    content = bytearray(project.search_index.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    project.search_index.write_bytes(content)
    for words in (["verify", "--jsonl"], ["doctor"]):
        done = khive(*words)
        assert done.code == 1
        assert "rebuild --search" in done.out + done.err
    assert khive("rebuild", "--search", "--json").json["problem"] == ""
    assert khive("verify").code == 0


def test_verify_lists_each_difference_on_a_line(both: Project, khive: Khive) -> None:
    break_both(both)
    done = khive("verify")
    assert done.code == 1
    said = done.out.splitlines()
    assert said[-1] == "the copies differ"
    told = [line.split("  ", 2)[:2] for line in said if "  " in line][3:]
    assert told == [
        ["missing_in_mirror", "planner_sessions plan0001"],
        ["damaged", PLAN],
        ["not_ours", "README.md"],
        ["torn", f"{STREAM}:4"],
    ]
    one = khive("verify", "--json")
    assert (one.code, one.json["is_equal"]) == (1, False)
    lines = khive("verify", "--jsonl")
    assert lines.code == 1
    assert lines.lines == one.json["differences"]
    assert lines.lines[0] == {
        "kind": "missing_in_mirror", "purpose": "planner_sessions", "id": "plan0001", "file": "",
        "line": 0, "reason": "only in the database",
    }  # fmt: skip


def test_what_is_not_ours_is_no_failure(both: Project, khive: Khive) -> None:
    (both.sessions / "README.md").write_text("mine")
    done = khive("verify")
    assert done.code == 0
    assert "not_ours  README.md" in done.out


def test_no_name_moves_the_cursor(project: Project, khive: Khive) -> None:
    save(project, plan("a\x1b[31m\nb"))
    for name in files(project):
        (project.sessions / name).unlink()
    with open(os.fsencode(project.sessions) + b"/\x1b[2J\n\xff", "wb"):
        pass
    done = khive("verify")
    assert done.code == 1
    # What a terminal would obey is not sent to a pipe in any case; a line's end is.
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "purpose", "planner_sessions", "missing_in_mirror", "not_ours", "the",
    ]  # fmt: skip
    assert len(khive("verify", "--jsonl").lines) == 2


def test_head_ends_it_quietly(project: Project) -> None:
    save(project, plan("a"))
    many = 20_000
    with (project.sessions / STREAM).open("w") as file:
        file.writelines("{}\n" for _ in range(many))
    command = f"{sys.executable} -m khive_persist.cli --dir {project.root} verify --jsonl"
    done = subprocess.run(
        f"set -o pipefail; {command} | head -n 2; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    *told, code = done.stdout.splitlines()
    assert (len(told), done.stderr) == (2, "")
    assert code in ("0", "1", "141"), "told by its reader to go"
    assert json.loads(told[0])["kind"] == "damaged"


def test_a_damaged_and_a_missing_database_are_named(both: Project, khive: Khive) -> None:
    both.database("claude_hooks.db").write_bytes(b"no database" * 1_000)
    both.database("planner_sessions.db").unlink()
    done = khive("verify")
    assert done.code == 1
    assert "damaged  claude_hooks claude_hooks.db" in done.out
    assert done.out.count("missing_in_database  planner_sessions plan") == 3


def test_a_mirror_that_cannot_be_written_is_said_in_one_line(
    both: Project, khive: Khive, tmp_path: Path
) -> None:
    shutil.rmtree(both.sessions)
    for is_link in (False, True):
        if is_link:
            both.sessions.symlink_to(tmp_path)
        else:
            both.sessions.touch()
        hook(both, "s1", 1)
        for command in ("verify", "rebuild"):
            words = [] if command == "verify" else ["--from-database"]
            done = khive(command, *words)
            assert done.code == 1
            assert "move it away" in done.err.splitlines()[-1]
            assert "Traceback" not in done.err
        doctor = khive("doctor")
        assert doctor.code == 1
        (said,) = [line for line in doctor.out.splitlines() if "put a directory there" in line]
        assert str(both.sessions) in said
        assert any("the mirror" in line for line in doctor.out.splitlines())
        both.sessions.unlink()
    assert khive("rebuild", "--from-database").code == 0
    assert khive("doctor").code == 0


def test_events_that_wait_on_are_said(both: Project, khive: Khive) -> None:
    both.config.write_text("[store]\nbusy_timeout_seconds = 0.1\n")
    hook(both, "s1", 1)
    with write_lock.held(write_lock.lock_path(both.database("claude_hooks.db")), 1):
        assert drain(both).waiting_count == 1
    both.database("claude_hooks.db").write_bytes(b"no database" * 1_000)
    done = khive("verify")
    assert done.err.startswith("khive-persist: 1 events wait in ")
    assert done.err.count("\n") == 1


def test_rebuild_from_the_mirror(both: Project, khive: Khive) -> None:
    before = everything(both)
    both.database("planner_sessions.db").write_bytes(b"no database" * 1_000)
    hook(both, "s1", 1)
    done = khive("rebuild", "--from-mirror")
    assert (done.code, done.err) == (0, "")
    assert "made anew: planner_sessions" in done.out
    assert f"what was replaced lies in {both.quarantine}/rebuild." in done.out
    assert done.out.splitlines()[-1] == "both copies are equal"
    assert everything(both)["planner_sessions"] == before["planner_sessions"]
    again = khive("rebuild", "--from-mirror", "--json")
    assert again.code == 0
    assert again.json["rebuilt"] == []
    assert again.json["set_aside"] is None
    assert "nothing had to be made anew" in khive("rebuild", "--from-mirror").out


def test_rebuild_asks_before_it_sets_records_aside(both: Project, khive: Khive) -> None:
    (both.sessions / PLAN).unlink()
    before = everything(both)
    done = khive("rebuild", "--from-mirror")
    assert (done.code, done.out) == (1, "")
    assert "1 records are in a database and not in" in done.err
    assert done.err.count("\n") == 1
    assert everything(both) == before
    done = khive("rebuild", "--from-mirror", "--yes")
    assert done.code == 0
    assert "1 records are only there" in done.out


def test_rebuild_from_the_database(both: Project, khive: Khive) -> None:
    break_both(both)
    done = khive("rebuild", "--from-database", "--json")
    assert done.code == 0
    assert done.json["is_equal"] is True
    assert done.json["rebuilt"] == ["planner_sessions", "claude_hooks"]
    assert {path.name for path in Path(done.json["set_aside"]).iterdir()} == {PLAN, STREAM}
    assert document(both, PLAN)["id"] == "plan0001"
    assert khive("verify").code == 0


def test_what_cannot_be_made_equal_is_said(both: Project, khive: Khive) -> None:
    both.database("planner_sessions.db").unlink()
    done = khive("rebuild", "--from-database")
    assert done.code == 1
    assert done.out.splitlines()[-1] == (
        f"the copies differ still: see khive-persist --dir {both.root} verify"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("rebuild",), 2),
        (("rebuild", "--from-mirror", "--from-backup"), 2),
        (("rebuild", "somewhere"), 2),
        (("verify", "--fix"), 2),
        (("verify", "planner_sessions"), 2),
        (("schema", "--json", "x"), 2),
    ],
)
def test_wrong_use_is_one_line(
    both: Project, khive: Khive, words: tuple[str, ...], code: int
) -> None:
    done = khive(*words)
    assert (done.code, done.out) == (code, "")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("verify",), ("rebuild", "--from-mirror"), ("rebuild", "--from-database", "--yes")]
)
def test_where_nothing_is_it_says_so_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    for before in ([*words, "--dir", str(tmp_path)], ["--dir", str(tmp_path), *words]):
        assert run(before) == 1
        said = capsys.readouterr().err
        assert "is not there: make it with khive-persist init" in said
        assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_and_descriptions_are_one_line(both: Project, khive: Khive) -> None:
    both.local_config.write_text("[mirror]\noff = 'planner_sessions'\n")
    for words in (("verify",), ("rebuild", "--from-mirror")):
        done = khive(*words)
        assert done.code == 1
        assert "mirror.off is a list of strings" in done.err.splitlines()[-1]
    both.config.unlink()
    (both.khive / "purposes").mkdir()
    (both.khive / "purposes" / "x.json").write_text("[]")
    done = khive("verify")
    assert done.code == 1
    assert done.err.count("\n") == 1


def test_schema_is_that_of_the_files(both: Project, khive: Khive) -> None:
    done = khive("schema")
    assert (done.code, done.err) == (0, "")
    jsonschema.Draft202012Validator.check_schema(done.json)
    checked = jsonschema.Draft202012Validator(done.json)
    for name in files(both):
        for line in (both.sessions / name).read_text().splitlines() if name == STREAM else [
            (both.sessions / name).read_text()
        ]:  # fmt: skip
            checked.validate(json.loads(line))
    wrong = document(both, PLAN)
    changes: tuple[dict[str, object], ...] = (
        {"content": wrong["content"] | {"evaluations": 2}},
        {"content": {"session_id": "s"}},
        {"dataModelVersion": 2},
        {"id": 5},
        {"surplus": 1},
        {"created_at": []},
    )
    for change in changes:
        with pytest.raises(jsonschema.ValidationError):
            checked.validate(wrong | change)


def test_record_names_both_projects(project: Project, khive: Khive, tmp_path: Path) -> None:
    source = tmp_path / "plan.json"
    source.write_text('{"session_id": "s1", "task_description": "do it"}')
    done = khive("record", "planner-session", str(source))
    (name,) = files(project)
    assert done.err.splitlines() == [
        f"1 recorded in {project.database('planner_sessions.db')}",
        f"and in {project.sessions / name}",
    ]
    assert document(project, name)["id"] == done.out.strip()
    source.write_text('{"session_id": "s1"}\n{"session_id": "s2"}\n{"session_id": "s1"}\n')
    as_json = khive("record", "hook-event", "--lines", str(source), "--json").json
    assert len(as_json["ids"]) == 3
    assert [Path(path).name for path in as_json["copies"]] == [
        name for name in files(project) if name.startswith("hook")
    ]
    done = khive("record", "hook-event", "--lines", str(source))
    assert done.err.splitlines()[1].endswith(" and 1 more")


def test_record_where_the_mirror_is_off(project: Project, khive: Khive, tmp_path: Path) -> None:
    project.local_config.write_text('[mirror]\noff = ["planner_sessions"]\n')
    source = tmp_path / "plan.json"
    source.write_text('{"session_id": "s1", "task_description": "do it"}')
    done = khive("record", "planner-session", str(source))
    assert done.err.splitlines() == [f"1 recorded in {project.database('planner_sessions.db')}"]


def test_equal_plans_are_compared_without_the_turn_of_the_writers(
    both: Project, khive: Khive
) -> None:
    with write_lock.held(write_lock.lock_path(both.database("planner_sessions.db")), 1):
        assert khive("verify").code == 0
