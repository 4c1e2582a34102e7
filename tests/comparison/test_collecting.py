"""From what is recorded to samples: every session once, in its group, or counted as left out."""

import json
import re
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import record_outcome
from khive_persist.analytics.compare.collect import CollectedSamples, collect
from khive_persist.analytics.compare.metric import ABSENT, NO_NUMBER
from khive_persist.analytics.stats import read_stats
from khive_persist.cli.root import run
from khive_persist.errors import InvalidQueryError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.score import Score
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.facts import SessionFacts, session_facts
from tests.factories import NOON, record, row, save_many, store_rows


def save(
    project: Project, kind: type[Node], *contents: dict[str, Any], at: datetime = NOON
) -> None:
    times = (at + timedelta(seconds=number) for number in range(len(contents)))
    save_many(
        project,
        [record(kind, time, **content) for time, content in zip(times, contents, strict=True)],
    )


def plan(session: str, **content: Any) -> dict[str, Any]:
    return {"session_id": session, "task_description": "t", **content}


def event(session: str, kind: str, use: str, **content: Any) -> dict[str, Any]:
    return {"event_type": kind, "tool": "codex", "session_id": session, "tool_use_id": use,
            **content}  # fmt: skip


def said(session: str, output: int, **content: Any) -> dict[str, Any]:
    return {"tool": "codex", "role": "assistant", "kind": "message", "session_id": session,
            "model": "m", "tokens": {"input": 1, "output": output}, **content}  # fmt: skip


def found(project: Project) -> dict[str, SessionFacts]:
    async def read() -> dict[str, SessionFacts]:
        return {one.session_id: one async for one in session_facts(project)}

    return anyio.run(read)


def collected(project: Project, by: str, *names: str, **options: Any) -> CollectedSamples:
    words = (names,) if names else ()
    return anyio.run(partial(collect, project, by, *words, **options))


def values(done: CollectedSamples, name: str) -> dict[str, list[float]]:
    (metric,) = [metric for metric in done.samples if metric.name == name]
    return {group: sorted(sample.values) for group, sample in done.samples[metric].items()}


def test_all_that_tells_of_a_session_is_in_its_facts(project: Project) -> None:
    project.config.write_text('[cost]\nprices = ["m input=1 output=2"]\n')
    save(project, PlannerSession, plan("planned", confidence=0.5),
         plan("planner", agent_session_id="acted", confidence=0.9, extra={"deep": 3}))  # fmt: skip
    save(project, HookEvent, event("acted", "pre_command", "a", cwd="/p", agent_id="x"),
         event("acted", "post_command", "a", success=False),
         event("acted", "pre_command", "b"))  # fmt: skip
    save(project, Message, said("acted", 10), said("acted", 30, model="n"), said("said", 5),
         at=NOON + timedelta(minutes=1))  # fmt: skip
    save(project, ApplicationSession, {"session_id": "taught", "group": "A"})
    save(project, Score, {"session_id": "taught", "name": "s", "value": 2},
         {"session_id": "taught", "name": "s", "value": 4})  # fmt: skip
    anyio.run(partial(record_outcome, "planner", "success", dir=project.root))
    facts = found(project)
    assert list(facts) == sorted(["planned", "planner", "acted", "said", "taught"])
    acted = facts["acted"]
    assert (acted.tool, acted.model, acted.project) == ("codex", "n", "/p")
    assert (acted.tool_calls, acted.failures, acted.agents, acted.tokens) == (1, 1, 1, 42)
    assert acted.duration_seconds == 61
    assert acted.plan["confidence"] == 0.9
    assert acted.verdict == "success"
    # One of its models has no price, and no part is shown as the whole.
    assert acted.cost is None
    assert facts["said"].cost == pytest.approx((1 + 2 * 5) / 1e6)
    assert facts["planned"].plan["confidence"] == 0.5
    # Its plan is that of the session that carried it out.
    assert facts["planner"].plan == {}
    assert facts["taught"].scores == {"s": 3}
    assert facts["taught"].application["group"] == "A"


def test_more_sessions_than_are_read_at_once_come_once_each(project: Project) -> None:
    save(project, PlannerSession, *(plan(f"s{n:04}", confidence=n / 2000) for n in range(1_200)))
    save(project, HookEvent, *(event(f"s{n:04}", "post_command", "u") for n in range(600, 1_800)))
    facts = found(project)
    assert list(facts) == [f"s{n:04}" for n in range(1_800)]
    assert facts["s0700"].plan["confidence"] == 0.35
    assert facts["s1500"].tool_calls == 1


def test_values_go_to_their_groups_and_the_others_are_counted(project: Project) -> None:
    save(project, PlannerSession,
         *(plan(f"a{n}", workflow_pattern="act", planning_cost=n) for n in range(4)),
         *(plan(f"b{n}", workflow_pattern="plan", planning_cost=10 + n) for n in range(2)),
         plan("c", planning_cost=3), plan("d", workflow_pattern="act"),
         plan("e", workflow_pattern="plan", planning_cost=1e300),
         plan("f", workflow_pattern="odd", planning_cost=1))  # fmt: skip
    done = collected(project, "workflow_pattern", "planning_cost")
    assert done.groups == {"act": 5, "plan": 3, "odd": 1}
    assert (done.sessions, done.ungrouped, done.unwanted, done.pairs) == (10, 1, 0, None)
    assert values(done, "planning_cost") == {"act": [0, 1, 2, 3], "plan": [10, 11], "odd": [1]}
    (samples,) = done.samples.values()
    assert samples["act"].left_out == {ABSENT: 1}
    assert samples["plan"].left_out == {NO_NUMBER: 1}
    some = collected(project, "workflow_pattern", "planning_cost", groups=("plan", "none"))
    assert some.groups == {"plan": 3, "none": 0}
    assert (some.ungrouped, some.unwanted) == (1, 6)
    assert values(some, "planning_cost") == {"plan": [10, 11], "none": []}


def test_pairs_are_means_of_one_task_in_both_groups(project: Project) -> None:
    rows = [("t1", "A", 1), ("t1", "A", 3), ("t1", "B", 5), ("t2", "A", 7), ("t2", "B", 8),
            ("t3", "A", 9), ("t4", "B", 2)]  # fmt: skip
    save(project, PlannerSession, *(
        plan(f"s{n}", task_description=task, workflow_pattern=group, planning_cost=cost)
        for n, (task, group, cost) in enumerate(rows)
    ))  # fmt: skip
    done = collected(project, "workflow_pattern", "planning_cost", groups=("A", "B"),
                     paired_by="task_description")  # fmt: skip
    assert done.pairs == 2
    (samples,) = done.samples.values()
    assert [tuple(sample.values) for sample in samples.values()] == [(2, 7), (5, 8)]
    assert {sum(sample.left_out.values()) for sample in samples.values()} == {2}
    with pytest.raises(InvalidQueryError, match="pairs are of two groups"):
        collected(project, "tool", "cost", paired_by="task_description")


def test_the_time_is_that_of_the_session(project: Project) -> None:
    save(project, HookEvent, event("old", "pre_command", "u"), at=NOON - timedelta(days=2))
    save(project, HookEvent, event("new", "pre_command", "u"))
    assert collected(project, "tool", "tool_calls", since=NOON).groups == {"codex": 1}
    assert collected(project, "tool", "tool_calls", until=NOON).groups == {"codex": 1}
    assert collected(project, "tool", "tool_calls").groups == {"codex": 2}


@pytest.mark.parametrize(
    ("by", "name", "said"),
    [
        ("nothing", "cost", "nothing to group by"),
        ("tool", "nothing", "no metric 'nothing'"),
        ("tool", "score:", "no metric"),
        ("tool", "score:a=b", "no metric"),
        ("tool", "plan:=b", "no metric"),
        ("plan:", "cost", "nothing to group by"),
    ],
)
def test_an_unknown_name_is_said(project: Project, by: str, name: str, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        collected(project, by, name)


def compared(project: Project, *words: str) -> int:
    return run(["--dir", str(project.root), "compare", *words])


def test_the_command_says_every_figure_and_a_sentence(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for group, base in (("A", 1.0), ("B", 2.0)):
        save(project, PlannerSession, *(
            plan(f"{group}{n}", workflow_pattern=group, planning_cost=base + n / 100)
            for n in range(12)
        ))  # fmt: skip
    words = ("A", "B", "--by", "workflow_pattern", "--metric", "planning_cost")
    assert compared(project, *words, "--definitions") == 0
    text = capsys.readouterr().out
    assert "24 sessions by workflow_pattern: A 12, B 12" in text
    assert "planning_cost: what the plan says that planning cost; sessions with a plan." in text
    assert "Planning cost is higher in B than in A, by 1 USD on average" in text
    assert compared(project, *words, "--effect", "0.5") == 0
    # R: power.t.test(power = 0.8, delta = 0.5)$n is 63.77
    assert "standard deviations 4 times in 5, each of two groups needs 64 sessions" in (
        capsys.readouterr().out
    )
    assert compared(project, *words, "--effect", "1e-9") == 0
    assert "needs more than 10,000,000 sessions" in capsys.readouterr().out
    assert compared(project, *words, "--effect", "0.2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["planned"] == {"effect": 0.2, "needed": 394}
    assert compared(project, *words, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (metric,) = document["metrics"]
    assert metric["welch"]["difference"] == pytest.approx(1)
    assert metric["groups"][0]["description"]["n"] == 12
    assert metric["effect"]["g_interval"]["level"] == 0.95
    assert "higher in B" in metric["sentence"]


def test_where_nothing_can_be_compared_it_fails_and_says_why(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(project) == 1
    assert "0 sessions by model: no group" in capsys.readouterr().out
    save(project, PlannerSession, plan("s", complexity="simple", planning_cost=1))
    assert compared(project, "--by", "complexity", "--metric", "planning_cost") == 1
    text = capsys.readouterr().out
    assert "Nothing can be said of planning cost: one group alone" in text
    assert compared(project, "--by", "nothing") == 2


@pytest.mark.parametrize(
    "metric", ["score:triage", "measurement:pulse", "application:length", "plan:depth.of"]
)
def test_metrics_by_a_path_take_numbers_alone(project: Project, metric: str) -> None:
    for number in range(3):
        content = {"depth": {"of": number}} if number else {"depth": {"of": "three"}}
        save(project, PlannerSession, plan(f"s{number}", complexity="x", **content))
        fields = {"session_id": f"s{number}", "length": number or True}
        save(project, ApplicationSession, fields)
        if number:
            own = {"session_id": f"s{number}", "value": number}
            save(project, Score, own | {"name": "triage"})
            save(project, Measurement, *({**own, "name": "pulse", "value": number + off}
                                       for off in (-1, 1)))  # fmt: skip
    done = collected(project, "complexity", metric)
    assert values(done, metric) == {"x": [1, 2]}


def test_a_share_is_of_the_sessions_in_which_anything_stands(project: Project) -> None:
    found = ["passed", "failed", "passed", None, True, 7]
    for number, outcome in enumerate(found):
        given = {} if outcome is None else {"outcome": outcome, "case": {"of": outcome}}
        save(project, ApplicationSession, {"session_id": f"s{number}", "group": "A", **given})
    name = "application:outcome=passed"
    done = collected(project, "group", name)
    assert values(done, name) == {"A": [0, 0, 0, 1, 1]}
    (metric,) = done.samples
    assert metric.kind == "share"
    assert metric.definition == (
        "whether outcome of the application's session is passed; sessions that have it"
    )
    name = "application:case.of=true"
    assert values(collected(project, "group", name), name) == {"A": [0, 0, 0, 0, 1]}


def test_the_bad_cases_are_said_as_they_are(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """One group constant, one too small, all pairs apart by the same, numbers without an end."""
    rows = [("a", 0), ("a", 0), *(("b", n) for n in (1, 2, 3)), *(("c", n) for n in (2, 3, 4))]
    for number, (group, steps) in enumerate(rows * 3):
        save(project, PlannerSession, plan(f"{group}{number}", workflow_pattern=group, steps=steps))
    save(project, PlannerSession, plan("d", workflow_pattern="d", steps=1))
    words = ("a", "b", "c", "d", "--by", "workflow_pattern", "--metric", "plan:steps")
    assert compared(project, *words) == 0
    said = capsys.readouterr().out
    assert "b is higher than a; c is higher than a" in said
    assert "Left out for too few sessions: d 1." in said
    for number in range(6):
        for more in (0, 1):
            content = plan(f"{more}{number}", complexity=f"g{more}", steps=number + more)
            save(project, PlannerSession, content | {"task_description": f"task {number}"})
    paired = ("g0", "g1", "--by", "complexity", "--paired-by", "task_description")
    assert compared(project, *paired, "--metric", "plan:steps") == 0
    said = capsys.readouterr().out
    assert "in each of 6 pairs, by the sign test (p = 0.031)." in said


def test_numbers_beyond_all_floats_are_left_out_and_said(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = "1" + "0" * 400
    rows = [
        row({"session_id": f"{group}{n}", "workflow_pattern": group, "steps": n}, NOON)
        for group in ("a", "b")
        for n in range(7)
    ]
    spelled = [
        (id, text.replace('"steps": 0', f'"steps": {huge}').replace('"steps": 1', '"steps": 1e999'),
         metadata, at, vector)
        for id, text, metadata, at, vector in rows
    ]  # fmt: skip
    store_rows(project, PLANNER_SESSIONS, spelled)
    words = ("a", "b", "--by", "workflow_pattern", "--metric", "plan:steps")
    assert compared(project, *words, "--metric", "plan:steps=2") == 0
    said = capsys.readouterr().out
    assert f"Of a, 2 left out: {NO_NUMBER}." in said
    assert compared(project, *words, "--json") == 0
    (metric,) = json.loads(capsys.readouterr().out)["metrics"]
    assert [group["description"]["n"] for group in metric["groups"]] == [5, 5]
    assert (metric["finding"], metric["tested"]) == ("none found", [0, 1])


def test_a_tiny_p_is_shown_as_what_can_be_told(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for group, base in (("A", 0), ("B", 1_000_000), ("C", 2_000_000)):
        save(project, PlannerSession, *(
            plan(f"{group}{n}", workflow_pattern=group, planning_cost=base + n) for n in range(9)
        ))  # fmt: skip
    folder, page, text = tmp_path / "tables", tmp_path / "page.html", tmp_path / "page.txt"
    words = ["--by", "workflow_pattern", "--metric", "planning_cost", "--csv", str(folder)]
    assert compared(project, *words, "--html", str(page), "--text", str(text)) == 0
    assert "< 1e-12" in capsys.readouterr().out
    assert "&lt; 1e-12" in page.read_text()
    assert "p: < 1e-12" in text.read_text()
    figures = (folder / "tests.csv").read_text().splitlines()
    p = [line for line in figures if re.search('"p(_holm|_bh)?"', line)]
    assert len(p) > 6
    assert all(line.endswith('"< 1e-12"') for line in p if 'Brown-Forsythe"' not in line)


def test_a_number_that_is_no_confidence_is_in_no_mean(project: Project) -> None:
    numbers = (0.5, 0.7, 1.5, -1)
    plans = [plan(f"s{number}", complexity="complex", confidence=number) for number in numbers]
    save(project, PlannerSession, *plans)
    done = collected(project, "plan:complexity", "confidence")
    assert values(done, "confidence") == {"complex": [0.5, 0.7]}
    ((sample,),) = [by_group.values() for by_group in done.samples.values()]
    assert sample.left_out == {NO_NUMBER: 2}
    stats = anyio.run(read_stats, project, [], [], "complexity", PriceTable(), None)
    assert stats["plans"]["avg_confidence"] == pytest.approx(0.6)
    assert [one.avg_confidence for one in stats["plan_groups"]] == [pytest.approx(0.6)]
