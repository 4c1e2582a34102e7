"""A session that is named: its id itself, in all files, and only else the beginning of ids."""

import anyio
import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.capture.spool import Spool
from khive_persist.place import Place
from tests.cli.conftest import Khive


@pytest.fixture
def named(place: Place) -> Place:
    """Plans of three sessions; events of the second and the third."""

    async def save() -> None:
        async with open_store(PlannerSession, dir=place.root) as plans:
            for id in ("task-1", "task-10", "task-100"):
                await plans.save(PlannerSession(content={"session_id": id, "task_description": ""}))

    anyio.run(save)
    for id in ("task-10", "task-100"):
        Spool(place).accept("codex", f'{{"hook_event_name":"Stop","session_id":"{id}"}}'.encode())
    return place


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
    named: Place, khive: Khive, words: tuple[str, ...], named_so: list[str], begun_so: int
) -> None:
    def found(session: str) -> list[str]:
        lines = khive(*words, "--session", session).lines
        return [one.get("session_id") or one["content"]["session_id"] for one in lines]

    assert found("task-1") == named_so
    assert len(found("task-")) == begun_so
    assert sorted(found("task-10")) == ["task-10"]


def test_stats_are_those_of_the_session(named: Place, khive: Khive) -> None:
    assert khive("stats", "--session", "task-1", "--json").json["events"] == []
    assert len(khive("stats", "--session", "task-10", "--json").json["events"]) == 1
