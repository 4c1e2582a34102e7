"""`khive-persist search`: what a person and a program see, and the codes it ends with."""

import sqlite3

import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.cli.conftest import Done, Khive
from tests.factories import event, make_project, message, save_many


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("commanded"))
    prompt = "Why is \x1b[31mthe lock\n\theld?"
    save_many(
        project,
        [
            event("prompt_submitted", "s1", 0, tool="claude-code", payload={"prompt": prompt}),
            event(
                "post_command", "s1", 1, tool="claude-code", tool_name="Bash", success=False,
                command="make lock", error="the lock is held",
            ),
            message("s2", 2, text="lock " * 200),
        ],
    )  # fmt: skip
    return project


@pytest.fixture
def khive(project: Project, capsys: pytest.CaptureFixture[str]) -> Khive:
    def call(*words: str) -> Done:
        capsys.readouterr()
        code = run(["--dir", str(project.root), *words])
        return Done(code, *capsys.readouterr())

    return call


def test_a_line_is_a_hit_below_its_session(khive: Khive) -> None:
    done = khive("search", "lock", "held")
    assert done.code == 0
    assert done.err == "2 of 2 matches, 1 session; the index is up to date\n"
    heading, *lines = done.out.splitlines()
    assert heading.startswith("s1  Why is \\x1b[31mthe lock")
    assert [line.split()[2:4] for line in sorted(lines)] == [["prompt", "Why"], ["error", "Bash"]]
    assert "\x1b" not in done.out


def test_nothing_is_said_with_its_place_and_is_no_failure(khive: Khive, project: Project) -> None:
    done = khive("search", "lokc", "--near")
    assert (done.code, done.out) == (0, "")
    state = "the index is up to date"
    assert done.err == f"nothing matches lokc in {project.khive}; {state}\nnear: lock\n"


def test_json_is_the_whole_answer_and_lines_are_hits(khive: Khive) -> None:
    answer = khive("search", "lock", "--json").json
    assert (answer["matched"], answer["shown"], answer["behind"]) == (4, 4, 0)
    hits = [hit for session in answer["sessions"] for hit in session["hits"]]
    lines = khive("search", "lock", "--jsonl").lines
    assert [line["record_id"] for line in lines] == [hit["record_id"] for hit in hits]
    assert all("session_id" in line and "title" in line for line in lines)
    assert khive("search", "lock", "-n", "1", "--json").json["shown"] == 1


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--session", "s2"], 1),
        (["--tool-name", "Bash"], 2),
        (["--tool", "codex"], 0),
        (["--failed"], 2),
        (["--since", "2026-11-21T12:02"], 1),
        (["--until", "2026-11-21T12:01"], 1),
    ],
)
def test_options_are_those_of_other_commands(khive: Khive, words: list[str], count: int) -> None:
    assert khive("search", "lock", *words, "--json").json["matched"] == count


def test_wrong_words_and_what_cannot_be_searched_have_their_codes(
    khive: Khive, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ['"open'], ["kind:letters"], ["--since", "whenever", "lock"]):
        done = khive("search", *words)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert run(["--dir", str(tmp_path_factory.mktemp("empty")), "search", "lock"]) == 3
    damaged = make_project(tmp_path_factory.mktemp("damaged"))
    save_many(damaged, [message("s1", 0, text="lock")])
    assert run(["--dir", str(damaged.root), "search", "lock"]) == 0
    with sqlite3.connect(damaged.search_index) as index:
        index.execute("UPDATE words_data SET block = x'00' WHERE id > 10")
    index.close()
    capsys.readouterr()
    assert run(["--dir", str(damaged.root), "search", "lock"]) == 3
    error = capsys.readouterr().err
    assert (len(error.splitlines()), "rebuild --search" in error) == (1, True)
