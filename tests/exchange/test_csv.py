"""CSV: what any other program reads, and what comes back from other programs."""

import csv
import json
from pathlib import Path

from khive_persist.models.hook_event import HookEvent
from khive_persist.project import Project
from khive_persist.transfer.export import parts_of
from tests.exchange.rows import CLAUDE, PLANS, made, put, read, row, stored, write

HARD = {
    "session_id": 's,"1"', "task_description": 'lines\r\nand "quotes", é😀 \x01 ' + "x" * 500_000,
    "complexity": "=HYPERLINK()", "agent_count": -3, "confidence": 0.5, "planning_cost": None,
}  # fmt: skip


def cells(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(10_000_000)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_another_reader_sees_the_same(project: Project, tmp_path: Path) -> None:
    content = json.dumps(HARD)
    put(project, [row("a", content), row("-b", "{}", "x\0y")])
    write(project, tmp_path / "x.csv", "csv")
    first, second = cells(tmp_path / "x.csv")
    assert first["id"] == "a"
    assert first["purpose"] == "planner_sessions"
    assert first["content"] == content
    assert first["task_description"] == HARD["task_description"]
    assert first["session_id"] == HARD["session_id"]
    assert first["complexity"] == "'=HYPERLINK()"
    assert [first["agent_count"], first["confidence"]] == ["-3", "0.5"]
    assert first["planning_cost"] == ""
    assert second["id"] == "'-b"
    assert second["created_at"] == "x\0y"


def test_numbers_are_bare_and_text_of_digits_is_not(project: Project, tmp_path: Path) -> None:
    put(project, [row("a", '{"session_id":"-1.5","confidence":-1.5}'), row("b", None)])
    write(project, tmp_path / "x.csv", "csv")
    lines = (tmp_path / "x.csv").read_bytes().decode().split("\r\n")
    assert lines[1].startswith('"a","planner_sessions","2026-11-01 12:00:00.000000","\'-1.5",,')
    assert ",-1.5," in lines[1]
    assert lines[2].endswith(',,"' + row("b")[2].replace('"', '""') + '",')


def test_a_file_that_another_program_saved_again_is_read(project: Project, tmp_path: Path) -> None:
    rows = [row("a", '{"session_id":"é\\n"}'), row("7", "{}", 1_793_534_400.5), row("c", None)]
    path = put(project, rows)
    write(project, tmp_path / "x.csv", "csv")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        saved = list(csv.reader(file))
    # Quotes only where they must be, other line ends, other columns, and a byte order mark.
    with (tmp_path / "y.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [*each, "note" * (at == 0)] for at, each in enumerate(saved)
        )
    other = made(tmp_path / "there")
    assert read(other, tmp_path / "y.csv").refused == 0
    assert stored(other.database(PLANS)) == stored(path)


def test_bad_records_are_listed_with_their_lines(tmp_path: Path) -> None:
    project = made(tmp_path)
    source = tmp_path / "x.csv"
    source.write_bytes(
        b'id,content,created_at,purpose\n'
        b'a,"{}",2026-11-01,planner_sessions\n'
        b'b,"{""x"":""\ny""}",2026-11-01,planner_sessions\n'
        b'c,{},2026-11-01\n'
        b',{},2026-11-01,planner_sessions\n'
        b'd,not json,2026-11-01,planner_sessions\n'
        b'e,{},2026-11-01,nowhere\n'
        b'f,{},2026-11-01,\n'
        b'g,"\xff",2026-11-01,planner_sessions\n'
        b'h,{},2026-11-01,planner_sessions\n'
        b'i,"{},2026-11-01,planner_sessions\n'
        b'j,{},2026-11-01,planner_sessions\n'
    )  # fmt: skip
    done = read(project, source)
    assert sorted(stored(project.database(PLANS))) == ["a", "h"]
    wheres = [where for where, _ in done.listed]
    assert wheres == ["lines 3 to 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10",
                      "lines 12 to 13"]  # fmt: skip
    reasons = [reason for _, reason in done.listed]
    for reason, said in zip(reasons, ["content is no JSON", "3 cells instead of 4", "an id has",
                                      "content is no JSON", "'nowhere' is not known",
                                      "does not say what it is", "no UTF-8",
                                      "a quote is not closed"], strict=True):  # fmt: skip
        assert said in reason


def test_events_of_all_tools_are_one_table(project: Project, tmp_path: Path) -> None:
    put(project, [row("a", '{"event_type":"stop","success":false,"duration_ms":1.5}')], CLAUDE)
    write(project, tmp_path / "x.csv", "csv", parts_of(HookEvent))
    (only,) = cells(tmp_path / "x.csv")
    assert (only["purpose"], only["success"], only["duration_ms"]) == (
        "claude_hooks", "false", "1.5",
    )  # fmt: skip
