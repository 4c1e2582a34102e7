"""`export` and `import` as a person runs them."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from khive_persist.cli.progress import progress
from khive_persist.project import Project
from tests.cli.conftest import Khive, khive
from tests.exchange.rows import CLAUDE, everything, made, put, row
from tests.store import old_files

__all__ = ["khive"]

PLAN = '{"session_id":"%s","task_description":"t","complexity":"%s","confidence":%s}'
KHIVE = [sys.executable, "-m", "khive_persist.cli"]


@pytest.fixture(autouse=True)
def filled(project: Project) -> None:
    put(project, [row("a", PLAN % ("s1", "simple", 0.2), "2026-11-01 00:00:00.000000"),
                row("b", PLAN % ("s2", "complex", 0.9), "2026-11-02 00:00:00.000000")])  # fmt: skip
    put(project, [row("e", '{"event_type":"stop","session_id":"s1"}')], CLAUDE)


def ids(khive: Khive, *words: str) -> list[str]:
    done = khive("export", *words)
    assert done.code == 0, done.err
    return [line["id"] for line in done.lines]


def test_filters_say_what_is_exported(khive: Khive) -> None:
    assert ids(khive) == ["a", "b", "e"]
    assert ids(khive, "--purpose", "planner_sessions") == ["a", "b"]
    assert ids(khive, "--purpose", "events") == ["e"]
    assert ids(khive, "--purpose", "codex_hooks") == []
    assert ids(khive, "--tool", "claude-code") == ["e"]
    assert ids(khive, "--type", "pre_command") == []
    assert ids(khive, "--complexity", "complex") == ["b"]
    assert ids(khive, "--min-confidence", "0.5") == ["b"]
    assert ids(khive, "--session", "s1") == ["a", "e"]
    assert ids(khive, "--since", "2026-11-01T06:00") == ["b", "e"]
    assert ids(khive, "--until", "2026-11-01T06:00") == ["a"]
    assert ids(khive, "--limit", "2") == ["a", "b"]
    assert ids(khive, "--limit", "0") == []


def test_filters_that_exclude_each_other_are_wrong_use(khive: Khive) -> None:
    done = khive("export", "--type", "stop", "--complexity", "complex")
    assert (done.code, done.out) == (2, "")
    assert khive("export", "--purpose", "events", "--max-cost", "1").code == 2


def test_the_ending_says_the_format(khive: Khive, tmp_path: Path) -> None:
    for ending, begin in (("json", b"[\n{"), ("jsonl", b'{"'), ("csv", b'"id",'),
                          ("xlsx", b"PK"), ("parquet", b"PAR1")):  # fmt: skip
        target = tmp_path / f"x.{ending.upper()}"
        done = khive("export", "-o", str(target))
        assert (done.code, done.out) == (0, "")
        assert done.err == f"3 exported to {target}\n"
        assert target.read_bytes().startswith(begin)
    assert khive("export", "-o", str(tmp_path / "x.txt")).code == 2
    assert khive("export", "-o", str(tmp_path / "x.txt"), "--format", "csv").code == 0


def test_errors_are_one_line(khive: Khive, tmp_path: Path) -> None:
    target = str(tmp_path / "x.json")
    assert khive("export", "-o", target).code == 0
    done = khive("export", "-o", target)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "--force" in done.err
    assert khive("export", "-o", target, "--force").code == 0
    assert khive("import", str(tmp_path / "missing")).code == 2
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    done = khive("import", str(tmp_path / "x.png"))
    assert (done.code, done.err.count("\n")) == (1, 1)


@pytest.mark.parametrize("form", ["jsonl", "csv", "xlsx", "parquet"])
def test_a_pipe_takes_every_format(project: Project, tmp_path: Path, form: str) -> None:
    done = subprocess.run([*KHIVE, "--dir", str(project.root), "export", "--format", form],
                          capture_output=True, check=True)  # fmt: skip
    (tmp_path / "x").write_bytes(done.stdout)
    if form == "xlsx":
        assert openpyxl.load_workbook(io.BytesIO(done.stdout))["claude_hooks"]["A2"].value == "e"
        return
    other = made(tmp_path / "other")
    # Parquet begins at its end, which a pipe has not yet.
    source, sent = (str(tmp_path / "x"), b"") if form == "parquet" else ("-", done.stdout)
    words = [*KHIVE, "import", "--dir", str(other.root), source]
    taken = subprocess.run(words, input=sent, capture_output=True, check=True)
    assert b"2 new, 0 same, 0 changed" in taken.stdout
    assert everything(other) == everything(project)


def test_an_import_is_summed_up(khive: Khive, project: Project, tmp_path: Path) -> None:
    rows = [
        old_files.OldRow("a", '{"task_description":"other"}', None, None),
        old_files.OldRow("new", '{"task_description":"\\u001b[2J"}', None, None),
        old_files.OldRow("bad", "{", None, None),
    ]
    old_files.make(tmp_path / "old.db", rows)
    done = khive("import", str(tmp_path / "old.db"))
    assert done.code == 1
    assert "1 new, 0 same, 1 changed and left as they are (--update replaces them)" in done.out
    assert done.out.endswith("1 refused\n")
    assert "old.db: planner_sessions row 3: content is no JSON" in done.err
    (kept,) = project.quarantine.iterdir()
    assert str(kept) in done.err
    done = khive("import", "--json", "--update", str(tmp_path / "old.db"))
    assert done.json["purposes"] == {"planner_sessions": {"new": 0, "same": 1, "changed": 1}}
    assert (done.json["refused"], done.json["aside"]) == (1, str(kept))


def test_a_missing_package_says_what_to_install(project: Project, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = sys.modules['xlsxwriter'] = None\n"
        "from khive_persist.cli.root import run; sys.exit(run(sys.argv[1:]))"
    )
    for form in ("parquet", "xlsx"):
        done = subprocess.run(
            [sys.executable, "-c", program, "--dir", str(project.root), "export",
             "-o", str(tmp_path / f"x.{form}")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "pip install 'khive-persist[export]'" in done.stderr
    assert os.listdir(tmp_path) == ["project"]


def test_no_package_is_loaded_for_nothing(project: Project) -> None:
    program = (
        "import sys; from khive_persist.cli.root import run\n"
        "assert run(sys.argv[1:]) == 0\n"
        "assert not {'pyarrow', 'xlsxwriter', 'rich'} & set(sys.modules)"
    )
    words = ["--dir", str(project.root), "export", "--format", "csv"]
    subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True)


def test_a_bar_is_for_a_terminal_and_for_long_work(capfd: pytest.CaptureFixture[str]) -> None:
    with progress("rows", 10) as advance:
        advance(5)
    assert capfd.readouterr() == ("", "")
    program = (
        "import sys, time\nfrom khive_persist.cli.progress import progress\n"
        "end = time.monotonic() + float(sys.argv[1])\n"
        "with progress('rows', 7) as advance:\n"
        "    advance(5)\n"
        "    while time.monotonic() < end: pass\n"
        "    advance(1)\n"
    )
    piped = subprocess.run([sys.executable, "-c", program, "1.1"], capture_output=True, check=True)
    assert piped.stderr == b""
    for seconds, shown in (("0", False), ("1.1", True)):
        ours, theirs = pty.openpty()
        words = [sys.executable, "-c", program, seconds]
        subprocess.run(words, stderr=theirs, check=True, env=os.environ | {"TERM": "xterm"})
        os.write(theirs, b"END")
        seen = b""
        while not seen.endswith(b"END"):
            seen += os.read(ours, 65_536)
        assert (b"6/7" in seen) is shown
        assert shown or seen == b"END"
        os.close(ours)
        os.close(theirs)


def test_json_of_export_is_json_of_any_reader(khive: Khive) -> None:
    assert [one["id"] for one in json.loads(khive("export", "--format", "json").out)] == [
        "a", "b", "e",
    ]  # fmt: skip
