"""Exported and imported, the rows are the same: all five columns, with their types."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.transfer.export import Form
from tests.exchange.rows import (
    LOSSLESS,
    METADATA,
    PLANS,
    all_parts,
    everything,
    made,
    put,
    read,
    row,
    stored,
    write,
)
from tests.exchange.test_formats import JSON
from tests.hypotheses import examples
from tests.payloads import sample_payloads
from tests.store.old_files import ROWS

ODD = [
    row("=1+1"), row("'=x"), row("\t tab"), row('quote"d'), row("a,b\nc"), row("é😀"),
    row("real", created_at=1_793_534_400.25), row("integer", created_at=1_793_534_400),
    row("naive", created_at="2026-11-01T12:00:00"), row("odd", created_at="=yesterday"),
    row("offset", created_at="2026-11-01 14:20:00+02:00"), row("null", created_at=None),
    row("before", created_at="0001-01-01 00:00:00.000000"), row("empty", created_at=""),
    row("infinite", created_at=float("inf")),
    row("nothing", None, None, None, None), row("json null", "null", None, "null", "null"),
    row("number", "5"), row("float", "0.1"), row("text", '"=cmd"'), row("negative", "-5"),
    row("spaces", '{ "session_id" : "s",\n\t"n" : 1.0 }'),
    row("escapes", '{"a":"\\u00e9\\/\\ud800","b":1e2,"c":123456789012345678901234567890}'),
    row("twice", '{"a":1,"a":2}'), row("metadata", "{}", metadata="[1]"),
    row("embedding", "{}", embedding="[0.1,-1e-300,3]"),
    row("types", '{"session_id":5,"confidence":"high","agent_count":2.5,"planning_cost":true}'),
    row("large", json.dumps({"session_id": "s", "task_description": "x" * 3_000_000})),
]  # fmt: skip


@pytest.mark.parametrize("form", LOSSLESS)
def test_odd_rows_come_back(tmp_path: Path, form: Form) -> None:
    project = made(tmp_path / "here")
    path = put(project, ODD)
    target = tmp_path / f"x.{form}"
    assert write(project, target, form) == len(ODD)
    other = made(tmp_path / "there")
    done = read(other, target)
    assert done.refused == 0, done.listed
    assert stored(other.database(PLANS)) == stored(path)
    assert read(other, target).purposes["planner_sessions"] == (0, len(ODD), 0)


@pytest.mark.parametrize("form", LOSSLESS)
def test_old_rows_come_back(tmp_path: Path, form: Form) -> None:
    project = made(tmp_path / "here")
    path = put(project, [row(r.id, r.content, r.created_at, r.node_metadata, r.embedding)
                       for r in ROWS])  # fmt: skip
    write(project, tmp_path / "x", form)
    other = made(tmp_path / "there")
    assert read(other, tmp_path / "x").refused == 0
    assert stored(other.database(PLANS)) == stored(path)


INSTANTS = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
    | st.datetimes().map(str)
)  # fmt: skip
ROW = st.builds(
    row,
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200
    ),
    st.none() | JSON.map(json.dumps) | JSON.map(lambda value: json.dumps(value, indent=1)),
    INSTANTS,
    st.sampled_from([None, METADATA, "{}", "null", '{"a":"=1"}']),
    st.none() | st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(json.dumps),
)


@settings(max_examples=examples(100), deadline=None)
@given(rows=st.lists(ROW, max_size=12, unique_by=lambda row: row[0]))
def test_any_rows_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("any")
    project = made(folder / "here", redacts=False)
    path = put(project, rows)
    for form in LOSSLESS:
        write(project, folder / form, form)
        other = made(folder / f"to {form}", redacts=False)
        assert read(other, folder / form).refused == 0
        found = stored(other.database(PLANS)) if rows else {}
        assert found == stored(path)
    shutil.rmtree(folder)


@pytest.mark.parametrize("form", LOSSLESS)
def test_everything_of_a_project_comes_back(project: Project, tmp_path: Path, form: Form) -> None:
    for tool in ("claude-code", "codex", "gemini-cli"):
        for payload in sample_payloads(tool)[:10]:
            Spool(project).accept(tool, payload)
    Spool(project).accept("codex", b'{ "no": JSON \xff}')
    drain(project)
    put(project, [row("plan")])
    assert write(project, tmp_path / "x", form, all_parts()) == 32
    other = made(tmp_path / "there")
    assert read(other, tmp_path / "x").refused == 0
    assert everything(other) == everything(project)
