"""One plan over HTTP is what the commands say of it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from khive_persist.cli.root import run
from khive_persist.models.purposes import CONVERSATIONS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.project import Project
from tests.factories import row, store_rows
from tests.server.filling import BEGIN, message
from tests.server.process import Server

TASK = "mend the importer of old files"
PLANS: dict[str, dict[str, Any]] = {
    "p1": {"task_description": TASK, "complexity": "complex", "workflow_pattern": "parallel",
           "confidence": 0.8, "planning_cost": 0, "phases": [{"name": "look"}, "mend"],
           "evaluations": [{"config": "a", "cost": 0.1}], "consensus": {"x": 1}},
    "p2": {"task_description": "mend the exporter", "complexity": "complex", "confidence": 0.85},
    "p3": {"task_description": "importer of files", "complexity": "simple", "confidence": 1,
           "planning_cost": 0.2},
    "p4": {"task_description": "ـנב " + "ל" * 10_000, "confidence": 1.5},
    "p5": {},
}  # fmt: skip
VERDICTS = {"p1": "success", "p2": "failure", "p3": "partial"}


@pytest.fixture
def project(project: Project) -> Project:
    def at(id: str) -> Any:
        return BEGIN + timedelta(hours=int(id[1:]))

    plans = [row({"session_id": f"s-{id}", **plan}, at(id), id) for id, plan in PLANS.items()]
    store_rows(project, PLANNER_SESSIONS, plans)
    verdicts = [row({"session_id": f"s-{p}", "verdict": v}, at(p)) for p, v in VERDICTS.items()]
    store_rows(project, OUTCOMES, verdicts)
    tokens = {"input": 1000, "output": 200}
    spent = [
        message(f"s-{id}", at(id) + timedelta(minutes=n), model="claude-opus-4-5", tokens=tokens)
        for id in ("p1", "p2")
        for n in range(3)
    ]
    store_rows(project, CONVERSATIONS, spent)
    return project


def test_a_plan_its_outcome_its_place_and_its_like_are_those_of_the_commands(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def cli(*words: str) -> Any:
        assert run(["--dir", str(server.project.root), *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    outcomes = {one["plan_id"]: one for one in cli("outcomes")}
    calibration = cli("outcomes", "--calibration")
    with server.client() as client:

        def asked(path: str) -> Any:
            answer = client.get(f"/v1/plans/{path}")
            assert answer.status_code == 200, answer.text
            return answer.json()

        for id in PLANS:
            answer = asked(id)
            assert answer["outcome"] == outcomes[id]
            assert answer["plan"]["plan_id"] == id
            standing = asked(f"{id}/calibration")
            assert standing["calibration"] == calibration
            if id in VERDICTS:
                # Each is one of those that it is set beside.
                low, high = standing["interval"]["low"], standing["interval"]["high"]
                confidence = PLANS[id]["confidence"]
                assert low <= confidence < high or confidence == high == 1
                assert standing["interval"] in calibration["bins"]
            else:
                assert standing["interval"] is None
        assert asked("p1/calibration")["interval"]["plans"] == 2
        assert asked("p1/calibration")["cost_by_complexity"]["plans"] == 1
        assert asked("p4/calibration")["cost_by_complexity"] is None
        plan = asked("p1")["plan"]
        assert [phase["name"] for phase in plan["phases"]] == ["look", "mend"]
        assert (plan["evaluations"][0]["planner"], plan["consensus"]) == ("a", {"x": 1})
        similar = cli("similar", TASK, "--complexity", "complex", "--pattern", "parallel")
        assert [one["plan_id"] for one in similar] == ["p1", "p2", "p3"]
        named = [
            {"score": one["score"], "words": one["words"], **one["plan"]}
            for one in asked("p1/similar")["plans"]
        ]
        assert named == similar[1:]
        assert asked("p1/similar?limit=1")["plans"] == asked("p1/similar")["plans"][:1]
        assert asked("p4/similar")["plans"] == asked("p5/similar")["plans"] == []
        # A chart has those with both numbers, the latest first.
        points = asked("points")
        assert [point["plan_id"] for point in points["points"]] == ["p3", "p1"]
        assert (points["points"][1]["planning_cost"], points["is_cut"]) == (0, False)
        cut = asked("points?limit=1")
        assert (len(cut["points"]), cut["is_cut"]) == (1, True)
        assert asked("points?complexity=complex")["points"] == points["points"][1:]
        # By its session, and by a beginning of an id that is one plan's alone.
        assert asked("s-p2")["plan"]["plan_id"] == asked("p2")["plan"]["plan_id"] == "p2"
        for unknown in ("nowhere", "p"):
            for rest in ("", "/calibration", "/similar"):
                assert client.get(f"/v1/plans/{unknown}{rest}").status_code == 404
