"""Excel: read back by another library."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import openpyxl
import pyarrow.parquet
import pytest
from pydantic import BaseModel, ConfigDict

from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Node
from khive_persist.models.purposes import APPLICATION_SESSIONS, PLANNER_SESSIONS, Purpose, purpose
from khive_persist.project import Project
from khive_persist.transfer.export import parts_of
from khive_persist.transfer.writing import Table
from khive_persist.transfer.writing.excel import CELL_CHARACTERS, ExcelWriter, cell_text
from tests.exchange.rows import CLAUDE, all_parts, put, row, write


def test_a_sheet_a_purpose_with_typed_cells(project: Project, tmp_path: Path) -> None:
    content = {"session_id": "=1+1", "task_description": "a\x01é😀\n", "agent_count": 3,
               "confidence": -0.5, "planning_cost": 2**60}  # fmt: skip
    put(project, [row("a", json.dumps(content), "2026-11-01T13:00:00.25+01:00"),
                row("b", None, "yesterday")])  # fmt: skip
    put(project, [row("e", '{"event_type":"stop","success":true}')], CLAUDE)
    assert write(project, tmp_path / "x.xlsx", "xlsx", all_parts()) == 3
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    files = ["claude_hooks", "codex_hooks", "gemini_hooks", "agent_hooks"]
    assert book.sheetnames == ["planner_sessions", *files]
    sheet = book["planner_sessions"]
    header, first, second = sheet.iter_rows(values_only=True)
    assert sheet.freeze_panes == "A2"
    found = dict(zip(header, first, strict=True))
    assert found["id"] == "a"
    assert found["created_at"] == datetime(2026, 11, 1, 12, 0, 0, 250_000)  # noqa: DTZ001
    assert found["session_id"] == "'=1+1"
    assert sheet["C2"].data_type == "s"
    assert found["task_description"] == "a_x0001_é😀\n"
    assert (found["agent_count"], found["confidence"]) == (3, -0.5)
    assert found["planning_cost"] == str(2**60)
    assert found["content"] == json.dumps(content)
    assert dict(zip(header, second, strict=True))["created_at"] == "yesterday"
    events = book["claude_hooks"]
    titles = [cell.value for cell in events[1]]
    assert events.cell(2, titles.index("success") + 1).value is True
    assert book["codex_hooks"].max_row == 1


@pytest.mark.parametrize("head", ["", "😀", "a😀b" * 1_000])
@pytest.mark.parametrize("tail", ["x" * 40_000, "😀" * 20_000])
def test_a_cell_is_cut_by_units_of_utf_16(head: str, tail: str) -> None:
    text = head + tail
    for begin in ("", "x"):
        cell = cell_text(begin + text)
        kept, mark = cell[: cell.index("… [cut: ")], cell[cell.index("… [cut: ") :]
        assert mark == f"… [cut: {len(begin + text)} characters]"
        assert (begin + text).startswith(kept)
        units = len(cell.encode("utf-16-le")) // 2
        assert CELL_CHARACTERS - 1 <= units <= CELL_CHARACTERS


class Visit(BaseModel):
    model_config = ConfigDict(extra="allow")

    day: date
    begun: datetime | None = None
    paid: Decimal = Decimal(0)
    count: int = 0


class Visits(Node):
    purpose: ClassVar[Purpose] = purpose("visits", fields=("day", "begun", "paid", "count"))
    content: Visit


def test_dates_have_their_types(project: Project, tmp_path: Path) -> None:
    started = "2026-11-01 12:00:00.250000"
    session = {"session_id": "s", "status": "active", "version": 1, "started_at": started,
               "updated_at": "soon"}  # fmt: skip
    put(project, [row("s", json.dumps(session))], APPLICATION_SESSIONS)
    visit = {"day": "2026-11-02", "begun": "2026-11-02T13:00:00+01:00", "paid": 2.5, "count": 3}
    put(project, [row("v", json.dumps(visit)), row("w", '{"day":"1899-01-01"}')], Visits.purpose)
    parts = [*parts_of(ApplicationSession), *parts_of(Visits)]
    write(project, tmp_path / "x.xlsx", "xlsx", parts)
    write(project, tmp_path / "x.parquet", "parquet", parts)
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    header, first = book["application_sessions"].iter_rows(values_only=True)
    cells = dict(zip(header, first, strict=True))
    assert cells["started_at"] == datetime(2026, 11, 1, 12, 0, 0, 250_000)  # noqa: DTZ001
    assert cells["updated_at"] == "soon"
    header, first, second = book["visits"].iter_rows(values_only=True)
    cells = dict(zip(header, first, strict=True))
    assert cells["day"] == datetime(2026, 11, 2)  # noqa: DTZ001
    assert book["visits"]["C2"].number_format == "yyyy-mm-dd"
    assert cells["begun"] == datetime(2026, 11, 2, 12)  # noqa: DTZ001
    assert (cells["paid"], cells["count"]) == (2.5, 3)
    assert dict(zip(header, second, strict=True))["day"] == "1899-01-01"
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    rows = {one["id"]: one for one in table.to_pylist()}
    assert rows["s"]["started_at"] == datetime(2026, 11, 1, 12, 0, 0, 250_000, UTC)
    assert rows["s"]["updated_at"] is None
    assert rows["v"]["day"] == date(2026, 11, 2)
    assert rows["v"]["begun"] == datetime(2026, 11, 2, 12, tzinfo=UTC)
    assert rows["w"]["day"] == date(1899, 1, 1)


def test_sheets_whose_names_would_be_one_have_each_its_own(tmp_path: Path) -> None:
    long = "measurements_of_the_laboratory_in_"
    names = [f"{long}leeds", f"{long}lyon", f"{long}linz", "history", "History_2"]
    with (tmp_path / "x.xlsx").open("wb") as file:
        writer = ExcelWriter(file, tmp_path, sheet_rows=2)
        for name in names:
            writer.begin(Table(Purpose(name, name), ()))
            writer.write([row(f"{name}-{number}") for number in range(2)])
        writer.end()
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    ids = [sheet["A2"].value for sheet in book]
    assert ids == [f"{name}-{number}" for name in names for number in range(2)]
    titles = [title.lower() for title in book.sheetnames]
    assert len(set(titles)) == len(titles)
    assert "history" not in titles
    assert max(map(len, titles)) <= 31


@pytest.mark.parametrize("character", ["x", "😀", "="])
def test_a_long_cell_is_cut_and_marked(project: Project, tmp_path: Path, character: str) -> None:
    put(project, [row("a", json.dumps({"task_description": character * 70_000}))])
    put(project, [row("b", json.dumps({"task_description": "y" * CELL_CHARACTERS}))])
    write(project, tmp_path / "x.xlsx", "xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["planner_sessions"]
    text = sheet["D2"].value
    units = len(text.encode("utf-16-le")) // 2
    assert CELL_CHARACTERS - 2 <= units <= CELL_CHARACTERS
    assert text.endswith(f"… [cut: {70_000 + (character == '=')} characters]")
    assert sheet["D3"].value == "y" * CELL_CHARACTERS


def test_a_full_sheet_goes_on_in_another(tmp_path: Path) -> None:
    with (tmp_path / "x.xlsx").open("wb") as file:
        writer = ExcelWriter(file, tmp_path, sheet_rows=4)
        writer.begin(Table(PLANNER_SESSIONS, ()))
        writer.write([row(str(number)) for number in range(7)])
        writer.begin(Table(CLAUDE, ()))
        writer.write([row("e")])
        writer.end()
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    rows = {
        sheet.title: [cell.value for cell in next(sheet.iter_cols(max_col=1))] for sheet in book
    }
    assert rows == {
        "planner_sessions": ["id", "0", "1", "2"],
        "planner_sessions 2": ["id", "3", "4", "5"],
        "planner_sessions 3": ["id", "6"],
        "claude_hooks": ["id", "e"],
    }
    assert book["planner_sessions 2"].freeze_panes == "A2"


def test_events_of_one_tool(project: Project, tmp_path: Path) -> None:
    put(project, [row("e", '{"event_type":"stop"}')], CLAUDE)
    write(project, tmp_path / "x.xlsx", "xlsx", parts_of(HookEvent)[:1])
    assert openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames == ["claude_hooks"]
