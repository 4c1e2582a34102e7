"""The tables of a comparison: every session once, under its name or a pseudonym, as files."""

import csv
import shutil
import subprocess
from pathlib import Path

import openpyxl
import pytest

from khive_persist.analytics.compare.pseudonyms import pseudonym, read_key
from khive_persist.cli.root import run
from khive_persist.errors import InvalidFileError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.score import Score
from khive_persist.project import Project
from tests.comparison.test_collecting import save

NAMES = ("summary", "tests", "definitions", "sessions", "scores", "measurements", "messages")
SAID = '=cmd|"/c calc"!A1, said "é"\nand more'


def classes(project: Project) -> None:
    """Two groups of six students, with a score, two measurements and a message each."""
    for number in range(12):
        id = f"s{number:02}"
        save(project, ApplicationSession, {
            "session_id": id, "group": "AB"[number % 2], "participant": f"student {number}",
            "scenario": "ward",
        })  # fmt: skip
        save(project, Score, {"session_id": id, "name": "triage", "value": number, "max_value": 12})
        save(project, Measurement, *(
            {"session_id": id, "name": "pulse", "value": 60 + beat, "unit": "1/min"}
            for beat in range(2)
        ))  # fmt: skip
        save(project, Message, {"tool": "application", "role": "user", "session_id": id,
                              "text": SAID})  # fmt: skip
    save(project, Score, {"session_id": "other", "name": "triage", "value": 99})


def compare(project: Project, *words: str) -> int:
    named = ["A", "B", "--by", "group", "--metric", "score:triage"]
    return run(["--dir", str(project.root), "compare", *named, *words])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_every_row_and_the_codebook_every_column(project: Project, tmp_path: Path) -> None:
    classes(project)
    folder = tmp_path / "tables"
    assert compare(project, "--csv", str(folder)) == 0
    tables = {name: read(folder / f"{name}.csv") for name in NAMES}
    assert {row["session_id"] for row in tables["sessions"]} == {f"s{n:02}" for n in range(12)}
    assert {(row["group"], row["participant"], row["score_triage"]) for row in tables["sessions"]
            } == {("AB"[n % 2], f"student {n}", f"{float(n)}") for n in range(12)}  # fmt: skip
    assert [len(tables[name]) for name in ("scores", "measurements", "messages")] == [12, 24, 12]
    assert tables["measurements"][0]["unit"] == "1/min"
    assert tables["measurements"][0]["created_at"].endswith("Z")
    # A spreadsheet would run it without the apostrophe.
    assert tables["messages"][0]["text"] == f"'{SAID}".replace("\n", " ")
    codebook = read(folder / "codebook.csv")
    for name, rows in tables.items():
        assert [row["column"] for row in codebook if row["table"] == name] == list(rows[0])
    assert all(row["label"] for row in codebook)
    assert compare(project, "--csv", str(folder)) == 1
    assert compare(project, "--csv", str(folder), "--force") == 0


def test_pseudonyms_stand_for_all_names_and_the_same_for_one_key(
    project: Project, tmp_path: Path
) -> None:
    classes(project)
    key = tmp_path / "study.key"
    for folder in ("one", "two"):
        words = ("--csv", str(tmp_path / folder), "--pseudonyms", str(key))
        assert compare(project, *words) == 0
    one = tmp_path / "one"
    everything = b"".join(path.read_bytes() for path in one.iterdir())
    assert b"student" not in everything
    assert b"s00" not in everything
    assert not (one / "messages.csv").exists()
    sessions = read(one / "sessions.csv")
    assert len({row["participant"] for row in sessions}) == 12
    names = {row["session_id"] for row in sessions}
    assert {row["session_id"] for row in read(one / "measurements.csv")} == names
    assert (one / "sessions.csv").read_bytes() == (tmp_path / "two/sessions.csv").read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert pseudonym(b"another key of 16 bytes", "s00") not in names
    assert pseudonym(read_key(key), "s00") in names
    key.write_bytes(b"short")
    with pytest.raises(InvalidFileError, match="too short"):
        read_key(key)


def test_a_workbook_has_a_sheet_a_table_with_typed_cells(project: Project, tmp_path: Path) -> None:
    classes(project)
    target = tmp_path / "report.xlsx"
    assert compare(project, "--excel", str(target)) == 0
    book = openpyxl.load_workbook(target)
    assert tuple(book.sheetnames) == NAMES
    sheet = book["sessions"]
    assert sheet.freeze_panes == "A2"
    head, first = ([cell.value for cell in row] for row in list(sheet.rows)[:2])
    row = dict(zip(head, first, strict=True))
    assert (row["session_id"], row["group"], row["score_triage"]) == ("s00", "A", 0)
    assert row["started"].year == 2026
    assert book["messages"]["E2"].value == f"'{SAID}"
    assert book["definitions"]["B2"].value == "the mean of a session's scores named triage"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r_reads_the_tables_and_finds_the_same_p(project: Project, tmp_path: Path) -> None:
    classes(project)
    folder = tmp_path / "tables"
    assert compare(project, "--csv", str(folder)) == 0
    script = (
        'source("read.R"); stopifnot(inherits(sessions$started, "POSIXct"), nrow(messages) == 12);'
        "cat(t.test(score_triage ~ group, sessions)$p.value)"
    )
    done = subprocess.run(["Rscript", "-e", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = read(folder / "tests.csv")
    ours = next(row["value"] for row in rows if row["figure"] == "p" and "Welch" in row["test"])
    assert float(done.stdout) == pytest.approx(float(ours))


@pytest.mark.skipif(shutil.which("pspp") is None, reason="PSPP, which reads SPSS's, is not here")
def test_the_script_for_spss_reads_the_tables(project: Project, tmp_path: Path) -> None:
    classes(project)
    folder = tmp_path / "tables"
    assert compare(project, "--csv", str(folder)) == 0
    done = subprocess.run(["pspp", "-b", "read.sps"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert {path.stem for path in folder.glob("*.sav")} == set(NAMES)


def test_pseudonyms_want_a_table(project: Project, tmp_path: Path) -> None:
    classes(project)
    assert compare(project, "--pseudonyms", str(tmp_path / "key")) == 2
