"""What a person edited, or a spreadsheet saved again: taken or refused, never ignored."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.purposes import APPLICATION_SESSIONS
from khive_persist.project import Project
from khive_persist.transfer.cells import UnquotedCell, is_equivalent
from khive_persist.transfer.export import parts_of
from khive_persist.transfer.import_ import Imported
from tests.exchange.rows import PLANS, made, put, read, row, stored, write

PLAN = {"session_id": "s1", "task_description": "t", "complexity": "simple", "confidence": 0.9,
        "agent_count": 3, "phases": [1]}  # fmt: skip
Cells = dict[str, str]


def exported(project: Project, path: Path, **fields: object) -> Path:
    put(project, [row("a", json.dumps({**PLAN, **fields}))])
    write(project, path, "csv")
    return path


def edited(path: Path, edit: Callable[[Cells], object]) -> Path:
    """The file as another program saves it: quotes where they must be."""
    csv.field_size_limit(10_000_000)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for cells in rows:
        edit(cells)
    with path.with_suffix(".edited").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path.with_suffix(".edited")


def content(project: Project) -> Any:
    return json.loads(stored(project.database(PLANS))["a"][3])


def reason(done: Imported) -> str:
    assert (done.purposes, done.refused) == ({}, 1)
    return done.listed[0][1]


def test_an_edited_column_is_taken_or_refused_as_told(project: Project, tmp_path: Path) -> None:
    source = edited(
        exported(project, tmp_path / "x.csv"),
        lambda cells: cells.update(confidence="0.1", agent_count="", complexity="=hard"),
    )
    before = stored(project.database(PLANS))
    said = reason(read(project, source, update=True))
    assert said.startswith("the column complexity says =hard, and content simple")
    assert stored(project.database(PLANS)) == before
    assert read(project, source, update=True, preference="content").purposes[PLANS[:-3]] == (
        0,
        1,
        0,
    )
    assert stored(project.database(PLANS)) == before
    assert read(project, source, preference="columns").purposes[PLANS[:-3]] == (0, 0, 1)
    assert read(project, source, update=True, preference="columns").refused == 0
    wanted = {**PLAN, "confidence": 0.1, "complexity": "=hard"}
    del wanted["agent_count"]
    assert content(project) == wanted


def test_an_edited_content_is_no_less_edited(project: Project, tmp_path: Path) -> None:
    new = json.dumps({**PLAN, "confidence": 0.1})
    source = edited(exported(project, tmp_path / "x.csv"), lambda cells: cells.update(content=new))
    assert "confidence says 0.9, and content 0.1" in reason(read(project, source, update=True))
    assert read(project, source, update=True, preference="content").refused == 0
    assert content(project)["confidence"] == 0.1


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"confidence": "much"}, "confidence: 'much' is no number"),
        ({"agent_count": "2.5"}, "agent_count: '2.5' is no whole number"),
        ({"note": "mine"}, "no field takes the column 'note'"),
        ({"content": "[1]"}, "it is no object"),
    ],
    ids=str,
)
def test_what_cannot_be_taken_is_refused(
    project: Project, tmp_path: Path, edit: Cells, said: str
) -> None:
    exported_csv = exported(project, tmp_path / "x.csv")
    source = edited(exported_csv, lambda cells: cells.update(note="", **edit)
                    if "note" not in edit else cells.update(edit))  # fmt: skip
    assert said in reason(read(project, source, update=True, preference="columns"))
    assert content(project) == PLAN


@pytest.mark.parametrize(
    ("created_at", "id"),
    [
        ("08:38.1", "a"),
        ("11/29/2026 1:06", "a"),
        ("29.11.26 01:06", "a"),
        ("45990.0458", "a"),
        ("2026-11-29 01:06:00", "1.23457E+15"),
    ],
)
def test_what_a_spreadsheet_has_spoiled_is_refused(
    project: Project, tmp_path: Path, created_at: str, id: str
) -> None:
    source = edited(
        exported(project, tmp_path / "x.csv"),
        lambda cells: cells.update(created_at=created_at, id=id),
    )
    other = made(tmp_path / "other")
    said = reason(read(other, source))
    assert "a spreadsheet" in said
    assert (created_at if id == "a" else id) in said
    assert not other.database(PLANS).exists()


def test_a_time_without_quotes_is_no_text_of_ours(project: Project, tmp_path: Path) -> None:
    text = exported(project, tmp_path / "x.csv").read_text()
    (tmp_path / "y.csv").write_text(text.replace('"2026-11-01 12:00:00.000000"', "08:38.1"))
    assert "a spreadsheet" in reason(read(made(tmp_path / "other"), tmp_path / "y.csv"))


def test_a_time_in_a_field_is_one_still(project: Project, tmp_path: Path) -> None:
    begun = {"session_id": "s", "status": "active", "version": 1,
             "started_at": "2026-11-01 12:00:00.250000"}  # fmt: skip
    put(project, [row("s", json.dumps(begun))], APPLICATION_SESSIONS)
    write(project, tmp_path / "x.csv", "csv", parts_of(ApplicationSession))
    for cell in ("00:00.3", "46327.5"):
        source = edited(tmp_path / "x.csv", partial(dict.update, started_at=cell))
        assert "is no time" in reason(read(project, source, update=True, preference="columns"))


def test_what_a_spreadsheet_spells_otherwise_is_no_edit(project: Project, tmp_path: Path) -> None:
    fields = {"confidence": 0.123456789012, "planning_cost": 1e-05, "agent_count": 12_000_000,
              "workflow_pattern": "a\r\nb", "complexity": True}  # fmt: skip
    source = edited(
        exported(project, tmp_path / "x.csv", **fields),
        lambda cells: cells.update(
            confidence="0.123456789", planning_cost="0.00001", agent_count="1.2E+07",
            workflow_pattern="a\nb", complexity="TRUE",
        ),
    )  # fmt: skip
    assert read(project, source).purposes[PLANS[:-3]] == (0, 1, 0)


def test_an_edited_column_of_parquet_is_no_less_edited(project: Project, tmp_path: Path) -> None:
    put(project, [row("a", json.dumps(PLAN))])
    write(project, tmp_path / "x.parquet", "parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    at = table.schema.get_field_index("confidence")
    changed = table.set_column(at, "confidence", pa.array([0.1]))
    pq.write_table(changed, tmp_path / "y.parquet")
    said = reason(read(project, tmp_path / "y.parquet", update=True))
    assert said.startswith("the column confidence says 0.1, and content 0.9")
    assert read(project, tmp_path / "y.parquet", update=True, preference="columns").refused == 0
    assert content(project) == {**PLAN, "confidence": 0.1}
    # As other programs have a column of numbers in which one is missing.
    nothing = table.set_column(
        table.schema.get_field_index("planning_cost"), "planning_cost",
        pa.array([float("nan")]),
    )  # fmt: skip
    pq.write_table(nothing, tmp_path / "z.parquet")
    assert read(project, tmp_path / "z.parquet", update=True).refused == 0
    assert content(project) == PLAN
    noted = table.append_column("note", pa.array(["mine"]))
    pq.write_table(noted, tmp_path / "n.parquet")
    assert "no field takes the column 'note'" in reason(read(project, tmp_path / "n.parquet"))


@pytest.mark.parametrize(
    ("cell", "value", "same"),
    [
        ("0.9", 0.86, False),
        ("0.86", 0.86, True),
        ("0.860", 0.86, True),
        ("1.23457E+15", 1234567890123456, True),
        ("1.23458E+15", 1234567890123456, False),
        ("1", True, False),
        ("", "", True),
        ("", None, True),
        ("0", None, False),
        ("null", None, False),
        ("[1, 2]", [1, 2], True),
        ("[1, 3]", [1, 2], False),
        ("'=x", "=x", True),
        ("NaN", 1.5, False),
        ("1_0", 10, False),
    ],
    ids=str,
)
def test_cells_say_values(cell: str, value: Any, same: bool) -> None:
    assert is_equivalent(UnquotedCell(cell), value) is same
