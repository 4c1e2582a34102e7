"""Plans beside what became of them: every side may be missing, and each number is by hand."""

import json
import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

import anyio
import pytest

from khive_persist import calibration, record_outcome
from khive_persist.analytics.outcomes import PlanOutcome
from khive_persist.copies import mirrored
from khive_persist.errors import InvalidQueryError, InvalidRecordError, NotFoundError
from khive_persist.mirror.verify import compared
from khive_persist.models.node import Node
from khive_persist.models.purposes import OUTCOMES, PLANNER_SESSIONS
from khive_persist.models.query import field
from khive_persist.project import Project
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.verdicts import find_session
from khive_persist.store.reader import Reader
from tests.analysis.records import at, event, found, plan
from tests.factories import message, outcome, save_many, todos
from tests.store import old_files

PRICES = "[cost]\nprices = ['priced input=1 output=10 cache_read=0.5 cache_write=2']\n"


def one(project: Project, **wanted: Any) -> PlanOutcome:
    (only,) = found(project, **wanted)
    return only


def test_a_plan_beside_all_that_happened(project: Project) -> None:
    project.config.write_text(PRICES)
    calls = [
        event("session_start", "agent", 1),
        event("pre_command", "agent", 2),
        event("post_command", "agent", 3, success=True),
        event("pre_edit", "agent", 4),
        event("post_edit", "agent", 5, success=False),
        event("pre_agent_spawn", "agent", 6),
        event("post_agent_spawn", "agent", 7, success=True),
        event("notification", "agent", 8, agent_id="a1"),
        event("subagent_stop", "agent", 8, agent_id="a1"),
        event("post_tool_use_failure", "agent", 9, success=False, agent_id="a2"),
        event("stop_failure", "agent", 10, success=False),
        event("pre_command", "other", 500),
    ]
    save_many(
        project,
        [
            plan(
                "p",
                agent_session_id="agent",
                complexity="complex",
                workflow_pattern="parallel",
                confidence=0.8,
                agent_count=3,
                planning_cost=0.25,
            ),
            *calls,
            message("agent", 0.5, model="priced", tokens={"input": 1_000_000, "output": 100_000}),
            message("agent", 11, model="priced", tokens={"cache_read": 500_000, "output": 1}),
            message("agent", 12, model="nobody's", tokens={"input": 0, "output": 0}),
            message("other", 12, model="nobody's", tokens={"input": 5}),
            todos("agent", 1, ("read", "in_progress"), ("write", "pending"), ("test", "pending")),
            todos("agent", 2, ("read", "completed"), ("write", "in_progress")),
            todos("agent", 3),
            todos("agent", 3, ("read", "completed"), agent_id="a1"),
            outcome("agent", "partial", 20, note="no tests"),
        ],
    )
    assert one(project)._asdict() == {
        "plan_id": "p",
        "session_id": "session-of-p",
        "agent_session_id": "agent",
        "planned_at": "2026-11-21 12:00:00.000000",
        "task_description": "do p",
        "complexity": "complex",
        "workflow_pattern": "parallel",
        "confidence": 0.8,
        "agent_count": 3,
        "planning_cost": 0.25,
        "is_superseded": False,
        "tool": "claude-code",
        "started": "2026-11-21 12:00:30.000000",
        "ended": "2026-11-21 12:12:00.000000",
        "duration_seconds": 690.0,
        # Each that ended, one of which shows no beginning; a turn that failed is no call.
        "tool_calls": 4,
        "failures": 2,
        "subagents": 2,
        # read, write and test of the session's own agent, and read of a1's.
        "todos": 4,
        "todos_finished": 2,
        "tokens": {"input": 1_000_000, "cache_read": 500_000, "cache_write": 0, "output": 100_001},
        # 1 + 1 and 0.25 + 0.00001 dollars.
        "actual_cost": pytest.approx(2.25001),
        "verdict": "partial",
        "verdict_source": "person",
        "note": "no tests",
        "unpriced": 0,
    }


@pytest.mark.parametrize("left_out", ["events", "messages", "todos", "verdicts", "all"])
def test_each_side_may_be_missing(project: Project, left_out: str) -> None:
    project.config.write_text(PRICES)
    sides: dict[str, list[Node]] = {
        "events": [event("post_command", "session-of-p", 1, tool="codex")],
        "messages": [
            message("session-of-p", 3, tool="codex", model="priced", tokens={"output": 100_000})
        ],
        "todos": [todos("session-of-p", 1, ("read", "pending"))],
        "verdicts": [outcome("session-of-p", "success", 9)],
    }
    records = [r for name, given in sides.items() if left_out not in (name, "all") for r in given]
    save_many(project, [plan("p"), *records])
    shown = one(project)
    events, messages = (left_out not in (name, "all") for name in ("events", "messages"))
    assert shown.tool == ("codex" if events or messages else None)
    assert shown.tool_calls == (1 if events else None)
    assert shown.failures == (0 if events else None)
    assert shown.subagents == (0 if events or messages else None)
    assert shown.actual_cost == (1.0 if messages else None)
    assert (shown.tokens is None) is not messages
    seconds = 120.0 if events and messages else 0.0 if events or messages else None
    assert shown.duration_seconds == seconds
    assert shown.todos == (None if left_out in ("todos", "all") else 1)
    assert shown.verdict == (None if left_out in ("verdicts", "all") else "success")


def test_a_cost_of_which_a_part_is_unknown_is_not_known(project: Project) -> None:
    project.config.write_text(PRICES)
    known = message("session-of-p", 1, model="priced", tokens={"input": 10})
    unknown = message("session-of-p", 2, model="nobody's", tokens={"input": 32})
    save_many(project, [plan("p"), known, unknown])
    shown = one(project)
    assert shown.actual_cost is None
    assert shown.tokens is not None
    assert shown.tokens["input"] == 42


def test_of_two_plans_of_a_session_the_later_one_is_judged(project: Project) -> None:
    own = {"session_id": "s", "complexity": "simple"}
    save_many(
        project,
        [
            plan("early", 1, confidence=0.1, **own),
            plan("late", 2, confidence=0.9, **own),
            plan("elsewhere", 3, confidence=0.3, agent_session_id="agent"),
            plan("there", 4, confidence=0.5, session_id="agent"),
            outcome("s", "success", 9),
            outcome("agent", "failure", 9),
        ],
    )
    shown = found(project)
    assert [(plan.plan_id, plan.is_superseded, plan.verdict) for plan in shown] == [
        ("there", False, "failure"),
        ("elsewhere", True, "failure"),
        ("late", False, "success"),
        ("early", True, "success"),
    ]
    # That a filter passes only the earlier one makes it no more the one that was carried out.
    assert one(project, until=at(2)).is_superseded
    judged = anyio.run(partial(calibration, dir=project.root, bins=10))
    assert (judged.plans, judged.judged) == (2, 2)
    assert {round(b.low, 1): (b.plans, b.success) for b in judged.bins if b.plans} == {
        0.5: (1, 0.0),
        0.9: (1, 1.0),
    }


def test_two_plans_of_one_instant_are_not_both_the_last(project: Project) -> None:
    save_many(project, [plan("a", 0, session_id="s"), plan("b", 0, session_id="s")])
    assert {plan.plan_id: plan.is_superseded for plan in found(project)} == {"a": True, "b": False}


def test_the_latest_verdict_counts_and_a_persons_before_a_rules(project: Project) -> None:
    save_many(
        project,
        [
            plan("p", session_id="s"),
            outcome("s", "success", 3, note="at last"),
            outcome("s", "failure", 2),
            outcome("s", "failure", 4, source="rule"),
            plan("q", session_id="t"),
            outcome("t", "failure", 1, source="rule"),
            outcome("t", "partial", 2, source="rule"),
        ],
    )
    judged = {plan.session_id: plan[-4:-1] for plan in found(project)}
    assert judged == {"s": ("success", "person", "at last"), "t": ("partial", "rule", None)}


def test_a_verdict_on_the_plans_own_session_is_one_on_the_plan(project: Project) -> None:
    save_many(
        project, [plan("p", session_id="s", agent_session_id="agent"), outcome("s", "success", 1)]
    )
    assert one(project).verdict == "success"
    save_many(project, [outcome("agent", "failure", 0)])
    assert one(project).verdict == "failure"


def test_a_rule_judges_where_nobody_has(project: Project) -> None:
    def calls(session: str, good: int, bad: int) -> list[Any]:
        ended = [True] * good + [False] * bad
        return [event("post_command", session, n, success=ok) for n, ok in enumerate(ended)]

    save_many(
        project,
        [
            *(plan(name) for name in ("at", "above", "said", "idle", "absent")),
            *calls("session-of-at", 3, 1),
            *calls("session-of-above", 2, 1),
            *calls("session-of-said", 0, 5),
            event("session_start", "session-of-idle", 0),
            outcome("session-of-said", "success", 9),
        ],
    )
    assert {plan.plan_id: plan.verdict for plan in found(project)}["above"] is None
    project.config.write_text("[outcomes]\nrule = 'failures'\nfailure_rate = 0.25\n")
    assert {plan.plan_id: (plan.verdict, plan.verdict_source) for plan in found(project)} == {
        "at": ("success", "rule"),
        "above": ("failure", "rule"),
        "said": ("success", "person"),
        "idle": (None, None),
        "absent": (None, None),
    }
    assert not project.database(OUTCOMES.file).exists() or len(rows(project)) == 1


def rows(project: Project) -> list[Any]:
    with closing(sqlite3.connect(project.database(OUTCOMES.file))) as connection:
        return [json.loads(c) for (c,) in connection.execute("SELECT content FROM outcomes")]


def test_only_a_confidence_that_is_one_is_judged(project: Project) -> None:
    odd = ["null", '"high"', "true", "1.5", "-1", "[0.5]"]
    save_many(project, [plan("missing"), plan("null", confidence=None), plan("sure", confidence=1)])
    save_many(project, [plan("zero", confidence=0.0), plan("half", confidence=0.5)])
    save_many(project, [plan(f"odd-{n}", confidence=0.5) for n in range(len(odd))])
    save_many(project, [outcome(f"session-of-{p.plan_id}", "success", 1) for p in found(project)])
    with (
        closing(sqlite3.connect(project.database(PLANNER_SESSIONS.file))) as connection,
        connection,
    ):
        for number, text in enumerate(odd):
            connection.execute(
                "UPDATE planner_sessions SET content = json_set(content, '$.confidence', json(?))"
                " WHERE id = ?",
                (text, f"odd-{number}"),
            )
    sure = {plan.plan_id: plan.confidence for plan in found(project)}
    assert [sure[f"odd-{n}"] for n in range(len(odd))] == [None, None, None, 1.5, -1, None]
    judged = anyio.run(partial(calibration, dir=project.root, bins=4))
    assert (judged.plans, judged.judged) == (11, 3)
    assert [one.plans for one in judged.bins] == [1, 0, 1, 1]
    assert judged.brier is not None
    assert judged.brier.score == pytest.approx((0 + 0.25 + 1) / 3)


@pytest.mark.parametrize(("partial_counts", "score"), [(0.5, 0.01), (0.0, 0.16), (1.0, 0.36)])
def test_what_partial_counts_is_a_choice(
    project: Project, partial_counts: float, score: float
) -> None:
    save_many(project, [plan("p", confidence=0.4), outcome("session-of-p", "partial", 1)])
    judged = anyio.run(partial(calibration, dir=project.root, partial=partial_counts))
    assert judged.brier is not None
    assert judged.brier.score == pytest.approx(score)


def test_cost_errors_are_by_complexity_and_by_pattern(project: Project) -> None:
    project.config.write_text(PRICES)
    plans = [
        plan("a", complexity="simple", workflow_pattern="parallel", planning_cost=1),
        plan("b", complexity="simple", planning_cost=2),
        plan("c", complexity="complex", workflow_pattern="parallel", planning_cost=4),
        plan("free", complexity="simple"),
        plan("dark", complexity="simple", planning_cost=7),
    ]
    spent = {"a": 3, "b": 1, "c": 5, "free": 9}
    used = [
        message(f"session-of-{id}", 1, model="priced", tokens={"input": dollars * 1_000_000})
        for id, dollars in spent.items()
    ]
    save_many(project, [*plans, *used])
    said = anyio.run(partial(calibration, dir=project.root))
    # Of simple ones 3 were said, 4 spent, by 2 and 1 wrong; c cost 5 of 4.
    assert [(e.group, e.plans, e.error, e.absolute_error) for e in said.cost_by_complexity] == [
        ("complex", 1, 1.0, 1.0),
        ("simple", 2, 0.5, 1.5),
    ]
    assert [(e.group, e.plans, e.planned, e.actual) for e in said.cost_by_pattern] == [
        ("parallel", 2, 2.5, 4.0),
        (None, 1, 2.0, 1.0),
    ]


def test_the_filters_are_those_of_sessions(project: Project) -> None:
    save_many(
        project,
        [
            plan("old", -100, complexity="simple", confidence=0.2, planning_cost=2),
            plan("new", 0, complexity="complex", confidence=0.9, planning_cost=1),
            plan("linked", 1, complexity="complex", agent_session_id="agent-7", confidence=0.5),
            event("stop", "session-of-old", 1, tool="codex"),
            event("stop", "agent-7", 1, tool="gemini-cli"),
        ],
    )

    def ids(**wanted: Any) -> list[str]:
        return [plan.plan_id for plan in found(project, **wanted)]

    assert ids() == ["linked", "new", "old"]
    assert ids(limit=2) == ["linked", "new"]
    assert ids(limit=0) == []
    assert ids(complexity="complex") == ["linked", "new"]
    assert ids(min_confidence=0.5) == ["linked", "new"]
    assert ids(max_cost=1) == ["new"]
    assert ids(since=at(-1)) == ["linked", "new"]
    assert ids(until=at(0)) == ["old"]
    assert ids(tool="codex") == ids(tool="codex", limit=1) == ["old"]
    assert ids(tool="gemini-cli", limit=1) == ["linked"]
    assert ids(session_id="agent") == ["linked"]
    assert ids(session_id="session-of-l") == ["linked"]
    with pytest.raises(InvalidQueryError):
        ids(limit=-1)


def test_more_plans_than_are_read_at_once(project: Project) -> None:
    save_many(project, [plan(f"p{n:04}", n) for n in range(600)])
    save_many(project, [event("post_edit", f"session-of-p{n:04}", n) for n in range(0, 600, 3)])
    shown = found(project)
    assert [plan.plan_id for plan in shown] == [f"p{n:04}" for n in reversed(range(600))]
    assert [plan.plan_id for plan in shown if plan.tool_calls] == [
        f"p{n:04}" for n in reversed(range(0, 600, 3))
    ]


def test_nothing_at_all_is_no_plans(project: Project) -> None:
    assert found(project) == []
    said = anyio.run(partial(calibration, dir=project.root))
    assert (said.plans, said.judged, said.brier, said.cost_by_pattern) == (0, 0, None, [])


def test_plans_of_old_files_and_one_that_is_no_json(project: Project) -> None:
    old_files.make(project.database(PLANNER_SESSIONS.file), [*old_files.ROWS, old_files.MALFORMED])
    shown = found(project)
    assert len(shown) == len(old_files.ROWS) + 1
    assert {plan.plan_id for plan in shown if plan.agent_session_id is None} == {"empty", "nan"}
    last = {"naive", "behind", "epoch text", "zulu", "empty", "nan"}
    assert {plan.plan_id for plan in shown if not plan.is_superseded} == last


def test_the_facts_of_a_session_are_found_by_its_indexes(project: Project) -> None:
    save_many(
        project,
        [event("stop", "s", 1), message("s", 1), todos("s", 1), outcome("s", "partial", 1)],
    )

    async def details() -> list[str]:
        told: list[str] = []
        files = [(project.database(purpose.file), purpose) for purpose in facts.PURPOSES]
        reader = Reader(files)
        for ask in (facts.event_facts, facts.message_facts, facts.todo_facts, facts.verdicts):
            asked: list[Any] = []
            await ask(_Explaining(reader, asked), ["s"])  # type: ignore[arg-type]
            told += [row[3] for row in asked]
        await reader.close()
        return told

    shown = anyio.run(details)
    for table in ("hook_events", "messages", "focus_chains", "outcomes"):
        assert any(f".{table} USING INDEX {table}_session_id" in line for line in shown)
        assert not any("SCAN" in line and f".{table}" in line for line in shown)


class _Explaining:
    """Asks a reader how it would find the rows, and gives none."""

    def __init__(self, reader: Reader, asked: list[Any]) -> None:
        self._reader, self._asked = reader, asked

    async def fetch(self, build: Any) -> list[Any]:
        self._asked += await self._reader.fetch(
            lambda source: build(source)._replace(sql=f"EXPLAIN QUERY PLAN {build(source).sql}")
        )
        return []

    async def fetch_by_key(self, _key: str, _record: type[Any], build: Any) -> list[Any]:
        return await self.fetch(build)


def test_a_verdict_is_a_record_in_both_copies_and_no_plan_changes(project: Project) -> None:
    save_many(project, [plan("p")])
    before = project.database(PLANNER_SESSIONS.file).read_bytes()
    saved = anyio.run(
        partial(
            record_outcome, "session-of-p", "success", note="well", metadata={"by": "ada"},
            dir=project.root,
        )
    )  # fmt: skip
    assert rows(project) == [
        {
            "session_id": "session-of-p",
            "verdict": "success",
            "source": "person",
            "note": "well",
            "metadata": {"by": "ada"},
        }
    ]
    assert project.database(PLANNER_SESSIONS.file).read_bytes() == before
    (copy,) = project.sessions.glob("outcome_*.json")
    assert json.loads(copy.read_bytes())["id"] == saved.id
    with compared(project, mirrored(project)) as comparison:
        assert comparison.is_equal
    assert one(project).verdict == "success"


@pytest.mark.parametrize(
    ("session", "wrong"),
    [("s", {"verdict": "good"}), ("s", {"source": "me"}), ("", {}), ("s", {"note": 7})],
)
def test_what_is_no_verdict_is_refused(
    project: Project, session: str, wrong: dict[str, Any]
) -> None:
    given = {"verdict": "success", "dir": project.root, **wrong}
    with pytest.raises(InvalidRecordError):
        anyio.run(partial(record_outcome, session, **given))
    assert not project.database(OUTCOMES.file).exists()


def test_a_session_is_found_by_the_beginning_of_its_id_in_any_record(project: Project) -> None:
    save_many(
        project,
        [
            plan("p", session_id="plan-1", agent_session_id="agent-1"),
            event("stop", "event-1", 0, tool="codex"),
            message("said-1", 0),
            message("said-10", 0),
            todos("todo-1", 0),
            outcome("judged-1", "partial", 0),
        ],
    )

    def find(prefix: str) -> str:
        return anyio.run(find_session, project, prefix)

    for whole in ("plan-1", "agent-1", "event-1", "todo-1", "judged-1"):
        assert find(whole[:-2]) == find(whole) == whole
    assert find("said-1") == "said-1"
    for prefix in ("said", "nobody", "", "%", "said-1' OR 1"):
        with pytest.raises(NotFoundError):
            find(prefix)


def test_no_letter_of_an_id_names_no_session_not_even_the_only_one(project: Project) -> None:
    save_many(project, [plan("p")])
    with pytest.raises(NotFoundError):
        anyio.run(find_session, project, "")


@pytest.mark.parametrize("wanted", [{"partial": 1.1}, {"bins": 0}, {"bins": 1001}])
def test_a_calibration_out_of_range_is_refused(project: Project, wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidQueryError):
        anyio.run(partial(calibration, dir=project.root, **wanted))


def test_one_session_in_the_files_of_two_tools_is_added_up(project: Project) -> None:
    save_many(
        project,
        [
            plan("p"),
            event("post_command", "session-of-p", 2, agent_id="a"),
            event("post_command", "session-of-p", 5, tool="codex", agent_id="b"),
            event("post_edit", "session-of-p", 1, tool="codex"),
            plan("q"),
            event("pre_command", "session-of-q", 0),
            event("post_command", "session-of-q", 4, tool="codex", success=False),
            event("stop", "session-of-q", 9),
        ],
    )
    q, p = found(project)
    assert (p.tool_calls, p.failures, p.subagents, p.duration_seconds) == (3, 0, 2, 240.0)
    assert p.tool == "codex"
    assert (q.tool_calls, q.failures, q.subagents, q.duration_seconds) == (1, 1, 0, 540.0)


def test_subagents_of_which_only_messages_tell_are_counted(project: Project) -> None:
    of_agents = [message("session-of-p", n, agent_id=f"a{n % 2}") for n in range(5)]
    save_many(project, [plan("p"), event("stop", "session-of-p", 1, agent_id="a0"), *of_agents])
    assert one(project).subagents == 2


def test_a_filter_of_the_store_reads_plans_alone(project: Project) -> None:
    save_many(project, [plan("p", complexity="odd' word"), event("stop", "s", 1)])
    assert one(project, complexity="odd' word").plan_id == "p"
    with pytest.raises(InvalidQueryError):
        field("complexity'")


def test_a_planned_cost_without_an_end_is_in_no_error(project: Project) -> None:
    project.config.write_text('[cost]\nprices = ["m input=1"]\n')
    plans = [("a", 1.0), ("b", 1e308), ("c", 1e300)]
    save_many(project, [
        *(plan(id, complexity="simple", planning_cost=cost) for id, cost in plans),
        *(message(f"session-of-{id}", 1, model="m", tokens={"input": 2_000_000})
          for id, _ in plans),
    ])  # fmt: skip
    (simple,) = anyio.run(partial(calibration, dir=project.root)).cost_by_complexity
    assert (simple.plans, simple.planned, simple.actual, simple.error) == (1, 1, 2, 1)
