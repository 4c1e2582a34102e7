"""A session that is named: its id itself, in all files, and only else the beginning of ids."""

from typing import Any, ClassVar

import anyio
import pytest

from khive_persist import Node, Outcome, PlannerSession, Purpose, Score, open_store, purpose
from khive_persist.capture.spool import Spool
from khive_persist.models.purposes import CONVERSATIONS, FOCUS_CHAINS
from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.factories import row, store_rows
from tests.server.filling import BEGIN, message


class Lap(Node):
    purpose: ClassVar[Purpose] = purpose("laps")


@pytest.fixture
def named(project: Project) -> Project:
    """Plans of three sessions; events of the second and the third."""

    async def save() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            for id in ("task-1", "task-10", "task-100"):
                await plans.save(PlannerSession(content={"session_id": id, "task_description": ""}))

    anyio.run(save)
    for id in ("task-10", "task-100"):
        Spool(project).accept("codex", f'{{"hook_event_name":"Stop","session_id":"{id}"}}'.encode())
    return project


@pytest.mark.parametrize(
    ("words", "named_so", "begun_so"),
    [
        (("export", "--purpose", "planner_sessions"), ["task-1"], 3),
        (("sessions", "--jsonl"), ["task-1"], 3),
        (("outcomes", "--jsonl"), ["task-1"], 3),
        # It has no event: those of the others are not its own.
        (("events", "--jsonl"), [], 2),
        (("tail", "--no-follow", "--jsonl"), [], 2),
    ],
)
def test_an_exact_id_wins_over_those_that_begin_so(
    named: Project, khive: Khive, words: tuple[str, ...], named_so: list[str], begun_so: int
) -> None:
    def found(session: str) -> list[str]:
        lines = khive(*words, "--session", session).lines
        return [one.get("session_id") or one["content"]["session_id"] for one in lines]

    assert found("task-1") == named_so
    assert len(found("task-")) == begun_so
    assert sorted(found("task-10")) == ["task-10"]


def test_stats_are_those_of_the_session(named: Project, khive: Khive) -> None:
    assert khive("stats", "--session", "task-1", "--json").json["events"] == []
    assert len(khive("stats", "--session", "task-10", "--json").json["events"]) == 1


@pytest.fixture(params=["verdict", "score", "own kind"])
def elsewhere(project: Project, request: pytest.FixtureRequest) -> Project:
    """A session that one odd file alone knows, and another of a longer id with all there is."""
    odd: dict[str, tuple[type[Node], dict[str, Any]]] = {
        "verdict": (Outcome, {"verdict": "success", "source": "person"}),
        "score": (Score, {"name": "exam", "value": 1}),
        "own kind": (Lap, {"seconds": 9}),
    }
    record, content = odd[request.param]

    async def save() -> None:
        async with open_store(record, dir=project.root) as records:
            await records.save(record(content={"session_id": "task-1", **content}))
        async with open_store(PlannerSession, dir=project.root) as plans:
            content_of_plan: Any = {"session_id": "task-10", "task_description": "other"}
            await plans.save(PlannerSession(id="task-1-plan", content=content_of_plan))

    anyio.run(save)
    store_rows(project, CONVERSATIONS, [message("task-10", BEGIN, text="other", cwd="/x")])
    items = [{"text": "other", "status": "pending"}]
    focus = {"session_id": "task-10", "tool": "codex", "position": 0, "items": items}
    store_rows(project, FOCUS_CHAINS, [row(focus, BEGIN)])
    stop = b'{"hook_event_name":"Stop","session_id":"task-10","last_assistant_message":"other"}'
    Spool(project).accept("codex", stop)
    return project


@pytest.mark.parametrize(
    "words",
    [
        ("events", "--session"),
        ("sessions", "--session"),
        ("outcomes", "--session"),
        ("tail", "--no-follow", "--session"),
        ("stats", "--session"),
        ("export", "--session"),
        ("show",),
        ("show", "--json"),
        ("replay", "--speed", "max"),
        ("replay", "--to-html", "-"),
        ("lineage",),
        ("focus",),
        ("doctor", "--session"),
    ],
    ids=" ".join,
)
def test_no_command_takes_another_session_for_one_that_is_known(
    elsewhere: Project, khive: Khive, words: tuple[str, ...]
) -> None:
    done = khive(*words, "task-1")
    assert "other" not in done.out
    assert "task-10" not in done.out + done.err
    assert "internal error" not in done.err
    # The beginning of an id is one still, where no session is named so.
    other = khive(*words, "task-10").out
    assert khive(*words, "task-1").out != other


def test_a_verdict_is_on_the_session_that_is_named(elsewhere: Project, khive: Khive) -> None:
    said = khive("outcome", "set", "task-1", "failure", "--json").json
    assert said["content"]["session_id"] == "task-1"


@pytest.mark.parametrize("others", [1, 9])
def test_an_exact_record_wins_over_sessions_and_records_that_begin_so(
    project: Project, khive: Khive, others: int
) -> None:
    ids = [*(f"r1{number}" for number in range(others)), "r1"]

    async def save() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            for id in ids:
                content: Any = {"session_id": f"{id}-session", "task_description": id}
                await plans.save(PlannerSession(id=id, content=content))

    anyio.run(save)
    assert khive("show", "r1", "--json").json["id"] == "r1"
    assert khive("show", "r10", "--json").json["id"] == "r10"


def test_an_exact_agent_wins_over_those_that_begin_so(project: Project, khive: Khive) -> None:
    items = [{"text": "x", "status": "pending"}]
    content = {"session_id": "s1", "tool": "claude-code", "items": items}
    rows = [row({**content, "position": 0, "agent_id": id}, BEGIN) for id in ("a1", "a10")]
    store_rows(project, FOCUS_CHAINS, rows)
    assert "a10" not in khive("focus", "s1", "--agent", "a1").out
    assert "a10" in khive("focus", "s1", "--agent", "a").out
