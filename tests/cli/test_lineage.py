"""`lineage`: the agents of a session, and the sessions it came from."""

from pathlib import Path

from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.lineage.agent_lines import SESSION, codex

SCENARIOS = Path(__file__).parents[1] / "transcripts" / "scenarios"


def test_a_tree_for_a_person(khive: Khive) -> None:
    khive("sync", str(SCENARIOS / "claude-code" / "deep"))
    (path,) = (SCENARIOS / "claude-code" / "deep").glob("*.jsonl")
    lines = khive("lineage", path.stem[:8]).out.splitlines()
    assert lines[0].split()[:2] == ["agent", "type"]
    assert lines[1].startswith("the session's own")
    depths = [len(line) - len(line.lstrip()) for line in lines[2:8]]
    assert depths == [2, 4, 6, 8, 10, 2]
    assert lines[1].split()[-3:] == ["3779", "0.0392", "14"]
    assert f"session  {path.stem}" in lines


def test_for_a_program(khive: Khive) -> None:
    khive("sync", str(SCENARIOS / "claude-code" / "branch"))
    (branch,) = [
        path
        for path in (SCENARIOS / "claude-code" / "branch").glob("*.jsonl")
        if "forkedFrom" in path.read_text()
    ]
    found = khive("lineage", branch.stem, "--json").json
    assert set(found) == {"session_id", "tool", "starts", "agents", "links"}
    assert found["links"]["forked_from"]["messages"] == 4
    assert found["links"]["forked_from"]["at"].startswith("2026-11-21 ")
    (own,) = found["agents"]
    assert own["own"]["tokens"] == own["total"]["tokens"] == 377
    assert own["own"]["started_at"] < own["own"]["ended_at"]
    assert "forked from" in khive("lineage", branch.stem).out


def test_what_has_no_price_and_no_parent_is_said(
    project: Project, khive: Khive, tmp_path: Path
) -> None:
    for path in codex(tmp_path / "t", {"a": "gone"}):
        khive("sync", str(path))
    out = khive("lineage", SESSION).out
    assert "2 unpriced" in out
    assert "a  (parent not recorded)" in out


def test_who_is_not_there_is_one_line(khive: Khive) -> None:
    done = khive("lineage", "nobody")
    assert (done.code, done.err.count("\n")) == (1, 1)
