"""Sessions with all that the dashboard shows of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.assignment import Assignment
from khive_persist.models.experiment import Experiment
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.outcome import Outcome
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.score import Score
from khive_persist.project import Project
from tests.factories import record as at
from tests.factories import save_many

SESSIONS = 261
MODEL = "claude-opus-4-5"
# Beyond these two, they are many and small.
STORY = "story-0000"
LONG = "story-long"
ENTRIES = 3_000
LAST = SESSIONS - 2
TOOLS = ("claude-code", "codex", "gemini-cli")
WORDS = ("importer", "drainer", "exporter", "scrubber")
# Two tools with sessions enough to be compared.
COMPARED = "#/compare?by=tool&group=codex&group=gemini-cli"
# A plan by its session, and a session of an application with the number of its measurements.
PLAN = "#/plans/session-0255"
TRIAL = "trial-02"
TRIAL_PAGE = f"#/application_sessions/{TRIAL}"
MEASUREMENTS = 30
# Nothing is of the future, whenever it is.
BEGAN = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=30)
# Both its week and the one before have sessions.
REPORTED = BEGAN + timedelta(days=12)
REPORT = f"#/report?at={REPORTED:%Y-%m-%d}"


def fill(project: Project) -> None:
    """Sessions of three tools in three weeks, every fifth with a plan and a verdict."""
    records = [*story(), *long_story(), *trials()]
    for number in range(1, LAST + 1):
        began = BEGAN + timedelta(hours=2 * number)
        about = {"session_id": f"session-{number:04}", "tool": TOOLS[number % 3]}
        task = f"mend the {WORDS[number % 4]}, part {number}"
        records += [
            at(HookEvent, began, event_type="session_start", cwd="/src/place", **about),
            at(Message, began, role="user", kind="message", text=task, cwd="/src/place", **about),
            at(Message, began + timedelta(seconds=9), role="assistant", kind="message",
               text="done", model=MODEL, tokens={"input": 1000 + number, "output": 50}, **about),
            at(HookEvent, began + timedelta(seconds=20), event_type="post_command",
               tool_name="Bash", command="make test", success=number % 7 > 0, **about),
        ]  # fmt: skip
        if number % 5 == 0:
            records += plan(about["session_id"], task, number, began)
    save_many(project, records)


def plan(session_id: str, task: str, number: int, when: datetime) -> list[Node]:
    content = {
        "task_description": task,
        "complexity": ("simple", "medium", "complex", "very_complex")[number // 5 % 4],
        "confidence": 0.3 + number % 13 / 20,
        "planning_cost": 0.01 * (1 + number % 30),
        "agent_count": 1 + number % 3,
        "workflow_pattern": ("parallel", "sequential")[number % 2],
        "phases": [
            {"name": "look around", "agents": [{"role": "reader", "domain": "files"}]},
            {"name": "mend it", "depends_on": ["look around"], "agents": ["writer"]},
        ],
        "evaluations": [
            {"config": {"name": "first planner"}, "response_time_ms": 1200, "cost": 0.004,
             "evaluation": {"complexity": "medium", "agent_count": 2, "confidence": 0.7}},
        ],
        "consensus": {"agreed on": "two phases"},
    }  # fmt: skip
    verdict = ("success", "success", "partial", "failure")[number // 5 % 4]
    return [
        at(PlannerSession, when, session_id=session_id, **content),
        at(Outcome, when, session_id=session_id, verdict=verdict),
    ]


def long_story() -> list[Node]:
    about = {"session_id": LONG, "tool": "codex", "role": "user", "kind": "message"}
    return [
        at(Message, BEGAN + timedelta(seconds=number), text=f"line {number}\n" * 20, **about)
        for number in range(ENTRIES)
    ]


def story() -> list[Node]:
    """One session of two agents: a prompt, an edit, a failure, a list of to-dos."""
    about = {"session_id": STORY, "tool": "claude-code"}

    def said(second: int, role: str, **content: Any) -> Node:
        when = BEGAN + timedelta(seconds=second)
        return at(Message, when, role=role, kind="message", **about, **content)

    def called(second: int, id: str, name: str, asked: dict[str, Any], **content: Any) -> Node:
        call = {"tool_use_id": id, "name": name, "input": asked}
        return said(second, "assistant", model=MODEL, tool_calls=[call],
                    tokens={"input": 500, "output": 100}, **content)  # fmt: skip

    def answered(second: int, id: str, output: str, *, is_error: bool = False) -> Node:
        result = {"tool_use_id": id, "output": output, "is_error": is_error}
        # As `sync` counts calls that no hook told of.
        counts = {"unreported_calls": 1, "unreported_failures": int(is_error)}
        return said(second, "tool", tool_results=[result], **counts)

    def listed(second: int, *states: str) -> Node:
        items = [{"text": f"step {n}", "status": state} for n, state in enumerate(states)]
        return at(FocusChain, BEGAN + timedelta(seconds=second), items=items, **about)

    return [
        said(0, "user", text="Rewrite the whole importer", cwd="/src/place"),
        listed(1, "in_progress", "pending"),
        called(2, "t1", "Edit", {"file_path": "/src/a.py", "old_string": "old line",
                                 "new_string": "new line"}),
        answered(3, "t1", "edited"),
        called(5, "t2", "Bash", {"command": "make test"}),
        answered(6, "t2", "it broke badly", is_error=True),
        called(8, "t3", "Read", {"file_path": "/src/b.py"}, agent_id="helper-agent"),
        answered(9, "t3", "contents"),
        listed(10, "completed", "in_progress"),
        said(12, "assistant", text="The importer is done", thinking="I wonder", model=MODEL,
             tokens={"input": 10, "output": 10}),
        at(HookEvent, BEGAN, event_type="session_start", cwd="/src/place", **about),
        at(HookEvent, BEGAN + timedelta(seconds=13), event_type="session_end", **about),
    ]  # fmt: skip


def trials() -> list[Node]:
    """Three sessions of an application, in an experiment of two variants."""
    variants = [{"name": "control", "weight": 1}, {"name": "hints", "weight": 1}]
    records: list[Node] = [at(Experiment, BEGAN, name="prompt", variants=variants)]
    for number in range(3):
        id, began = f"trial-{number:02}", BEGAN + timedelta(hours=number)
        about = {"session_id": id}
        is_done = number < 2
        ended = {"status": "completed", "completed_at": str(began + timedelta(minutes=12)),
                 "outcome": "passed"} if is_done else {}  # fmt: skip
        records += [
            at(ApplicationSession, began, application="training", participant=f"ann {number}",
               scenario="chest_pain", group="ab"[number % 2], **about, **ended),
            at(Assignment, began, experiment="prompt", variant=variants[number % 2]["name"],
               method="random", is_late=False, variants=variants, **about),
            *(at(Measurement, began + timedelta(seconds=20 * n), name="heart_rate",
                 value=70 + 3 * n % 17, unit="bpm", **about) for n in range(MEASUREMENTS)),
            *(at(Score, began + timedelta(minutes=4 * n), name="triage", value=5 + n,
                 max_value=10, note="saw it in time", **about) for n in range(3)),
        ]  # fmt: skip
    return records
