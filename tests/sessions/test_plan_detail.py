"""One plan with its phases, the planners' evaluations and their consensus, whatever was saved."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import NotFoundError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.plan_detail import PlanDetail, find_plan, plan_detail
from khive_persist.store import codec
from tests.factories import make_project, plan, save_many


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def detail(project: Project, id: str) -> PlanDetail | None:
    async def read() -> PlanDetail | None:
        async with reading(project, PLANNER_SESSIONS) as reader:
            return await plan_detail(reader, id)

    return anyio.run(read)


def found(project: Project, id: str) -> str:
    async def read() -> str:
        async with reading(project, PLANNER_SESSIONS) as reader:
            return await find_plan(reader, id)

    return anyio.run(read)


def test_a_plan_is_shown_with_all_that_its_planners_saved(project: Project) -> None:
    phases = [
        {
            "name": "analyse",
            "description": "look at the importer",
            "agents": [{"role": "researcher", "domain": "async"}, {"role": "critic"}, "opus"],
            "quality_gate": "basic",
        },
        {"title": "build", "goal": "streams", "dependencies": ["analyse"]},
        "review",
        7,
    ]
    answer = {"complexity": "complex", "total_agents": 4, "confidence": 0.9, "summary": "go on"}
    evaluations = [
        {"config": {"name": "opus"}, "cost": 0.2, "response_time_ms": 1834.5, "evaluation": answer},
        {"config": "sonnet", "evaluation": "simple"},
        {"config": {"temperature": 1}, "cost": "much", "evaluation": {"agent_count": True}},
    ]
    content: dict[str, Any] = {
        "task_description": "Move the importer",
        "complexity": "complex",
        "workflow_pattern": "parallel",
        "confidence": 1.2,
        "agent_session_id": "agent",
        "phases": phases,
        "evaluations": evaluations,
        "consensus": {"method": "vote", "rounds": 2},
        "reviewer": "person",
    }
    save_many(project, [plan("planner", 1, id="p1", **content), plan("agent", 2, id="p2")])
    shown = detail(project, "p1")
    assert shown is not None
    assert (shown.plan_id, shown.superseded_by) == ("p1", "p2")
    assert [phase[:5] for phase in shown.phases] == [
        (1, "analyse", "look at the importer", ["researcher (async)", "critic", "opus"], []),
        (2, "build", "streams", [], ["analyse"]),
        (3, "review", None, [], []),
        (4, None, None, [], []),
    ]
    assert [phase.saved for phase in shown.phases] == phases
    assert [evaluation[:7] for evaluation in shown.evaluations] == [
        (1, "opus", "complex", 4, 0.9, 1834.5, 0.2),
        (2, "sonnet", None, None, None, None, None),
        (3, None, None, None, None, None, None),
    ]
    assert shown.evaluations[0].saved == evaluations[0]
    assert shown.consensus == {"method": "vote", "rounds": 2}
    assert shown.other == {"reviewer": "person"}
    assert set(shown.odd_numbers) == {"confidence", "evaluations[2].cost"}
    shown_again = detail(project, "p2")
    assert shown_again is not None
    assert shown_again.superseded_by is None
    assert (shown_again.phases, shown_again.evaluations, shown_again.consensus) == ([], [], None)
    assert detail(project, "p") is None
    assert codec.load(codec.dump_lossy(shown))["phases"][1]["depends_on"] == ["analyse"]


def test_a_plan_is_named_by_its_id_its_sessions_or_a_beginning(project: Project) -> None:
    save_many(
        project,
        [
            plan("s-one", 1, id="aa1"),
            plan("s-one", 3, id="aa2"),
            plan("planner", 2, id="bb1", agent_session_id="s-one-more"),
            plan("planner", 4, id="cc1", agent_session_id="other"),
        ],
    )
    assert found(project, "aa1") == "aa1"
    assert found(project, "bb") == "bb1"
    assert found(project, "s-one") == "aa2"
    assert found(project, "s-one-m") == "bb1"
    assert found(project, "planner") == "cc1"
    for text, message in (
        ("aa", "several plans begin with 'aa'"),
        ("s-", "several plans begin with 's-'"),
        ("plan", "several plans begin with 'plan'"),
        ("zz", "no plan, and no session of one"),
    ):
        with pytest.raises(NotFoundError, match=message):
            found(project, text)
