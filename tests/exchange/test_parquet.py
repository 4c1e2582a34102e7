"""Parquet: typed columns, bounded row groups."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from khive_persist.errors import InvalidFileError
from khive_persist.project import Project
from khive_persist.transfer.writing.parquet import GROUP_BYTES
from tests.exchange.rows import CLAUDE, all_parts, made, put, read, row, write


def test_columns_have_their_types(project: Project, tmp_path: Path) -> None:
    content = {"session_id": "=1", "agent_count": 3, "confidence": 1, "planning_cost": "free"}
    put(project, [row("a", json.dumps(content)), row("b", "{}", "2026-11-01T13:00:00+01:00")])
    put(project, [row("e", '{"event_type":"stop","success":true,"duration_ms":2}')], CLAUDE)
    write(project, tmp_path / "x.parquet", "parquet", all_parts())
    table = pq.read_table(tmp_path / "x.parquet")
    types = {field.name: field.type for field in table.schema}
    assert types["created_at"] == pa.timestamp("us", tz="UTC")
    assert (types["agent_count"], types["confidence"]) == (pa.int64(), pa.float64())
    assert (types["success"], types["duration_ms"]) == (pa.bool_(), pa.float64())
    assert types["content"] == types["id"] == types["session_id"] == pa.string()
    first, second, event = table.to_pylist()
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert (first["session_id"], first["agent_count"], first["confidence"]) == ("=1", 3, 1.0)
    assert first["planning_cost"] is None
    assert first["content"] == json.dumps(content)
    assert first["created_at"] == second["created_at"] == noon
    assert (event["purpose"], event["success"], event["duration_ms"]) == ("claude_hooks", True, 2.0)
    assert pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0).column(0).compression == (
        "ZSTD"
    )


def test_row_groups_are_bounded_by_bytes(project: Project, tmp_path: Path) -> None:
    content = json.dumps({"task_description": "x" * 1_000_000})
    put(project, [row(str(number), content) for number in range(30)])
    write(project, tmp_path / "x.parquet", "parquet")
    file = pq.ParquetFile(tmp_path / "x.parquet")
    rows = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert sum(rows) == 30
    assert max(rows) <= GROUP_BYTES // 1_000_000 + 1


@pytest.mark.parametrize("cut", [100, 1])
def test_a_damaged_file_is_refused(project: Project, tmp_path: Path, cut: int) -> None:
    put(project, [row("a")])
    write(project, tmp_path / "x", "parquet")
    whole = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(whole[:-cut])
    with pytest.raises(InvalidFileError, match="is damaged"):
        read(made(tmp_path / "there"), tmp_path / "x")


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "x")
    with pytest.raises(InvalidFileError, match="was not exported by khive-persist"):
        read(made(tmp_path / "there"), tmp_path / "x")
