"""`plans`: a list in an order, and one with its phases and evaluations; groups of `stats`."""

import pytest

from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.factories import message, outcome, plan, save_many


@pytest.fixture
def planned(project: Project) -> Project:
    complex_plan = plan(
        "s2", 2, id="p2", task_description="Move the importer", complexity="complex",
        confidence=0.9, planning_cost=1.5, agent_count=4, workflow_pattern="parallel",
        phases=[{"name": "analyse", "agents": [{"role": "critic"}]}, "build"],
        evaluations=[{"config": "opus", "cost": 0.2, "evaluation": {"summary": "go on"}}],
        consensus={"method": "vote"}, ticket="K-7",
    )  # fmt: skip
    save_many(
        project,
        [
            plan("s1", 1, id="p1", complexity="simple", confidence=0.5, planning_cost=0.25),
            complex_plan,
            plan("s3", 3, id="p3", complexity="complex", planning_cost="much"),
            plan("s4", 4, id="p4"),
            outcome("s2", "success", 5, note="as planned"),
            message("s2", 3, model="claude-opus-4-5", tokens={"input": 10}),
        ],
    )
    return project


def ids(khive: Khive, *words: str) -> list[str]:
    return [plan["id"] for plan in khive("plans", "--jsonl", *words).lines]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["p4", "p3", "p2", "p1"]),
        (("--reverse",), ["p1", "p2", "p3", "p4"]),
        (("--sort", "cost"), ["p2", "p1", "p4", "p3"]),
        (("--sort", "cost", "--reverse"), ["p1", "p2", "p4", "p3"]),
        (("--sort", "cost", "--limit", "1"), ["p2"]),
        (("--sort", "agents", "--limit", "3"), ["p2", "p4", "p3"]),
        (("--min-cost", "0.3"), ["p2"]),
        (("--max-cost", "0.3"), ["p1"]),
        (("--complexity", "complex", "--sort", "confidence"), ["p2", "p3"]),
        (("--session", "s3"), ["p3"]),
        (("--until", "2026-11-21T12:02:00"), ["p1"]),
    ],
)
def test_plans_are_listed_in_an_order(
    planned: Project, khive: Khive, words: tuple[str, ...], expected: list[str]
) -> None:
    assert ids(khive, *words) == expected


def test_the_table_and_its_empty_answer(planned: Project, khive: Khive) -> None:
    head, first, *_ = khive("plans", "--sort", "cost").out.splitlines()
    assert head.split()[:2] == ["id", "created_at"]
    assert first.split()[0] == "p2"
    assert "Move the importer" in first
    done = khive("plans", "--min-cost", "9")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"no plans in {planned.khive}: --min-cost 9\n"


def test_a_plan_is_shown_with_what_became_of_it(planned: Project, khive: Khive) -> None:
    done = khive("plans", "show", "s2")
    assert done.code == 0
    for text in (
        "task_description  Move the importer", "ticket            K-7", "phases (2)", "critic",
        "evaluations (1)", "opus", "go on", "method  vote", "success", "as planned",
    ):  # fmt: skip
        assert text in done.out, text
    shown = khive("plans", "show", "p2", "--json").json
    assert shown["plan"]["phases"][1]["name"] == "build"
    assert shown["outcome"]["verdict"] == "success"
    assert khive("plans", "show", "p2", "--jsonl").lines == [shown]
    bare = khive("plans", "show", "p4")
    assert "no phases were saved with this plan" in bare.err
    assert "khive-persist outcome set" in bare.err
    missing = khive("plans", "show", "nothing")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.count("\n") == 1


def test_stats_are_counted_by_what_was_planned(planned: Project, khive: Khive) -> None:
    stats = khive("stats", "--by", "complexity", "--json").json
    assert [(row["group"], row["plans"], row["planning_cost"]) for row in stats["plan_groups"]] == [
        ("complex", 2, 1.5),
        (None, 1, None),
        ("simple", 1, 0.25),
    ]
    assert [(row["complexity"], row["messages"]) for row in stats["tokens"]] == [("complex", 1)]
    table = khive("stats", "--by", "pattern").out
    assert any(line.split()[:2] == ["parallel", "1"] for line in table.splitlines())
    of_day = khive("stats", "--by", "day", "--since", "2026-11-22", "--json").json
    assert of_day["plan_groups"] == []
    assert khive("stats", "--json").json["plan_groups"] == []
