"""Every reading command, where nobody can write: it reads, makes nothing, and says what waits."""

import json
from typing import Any

import anyio
import pytest

from khive_persist import HookEvent, PlannerSession, open_store
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.read_only import listing, read_only, run

COMMANDS = {
    "events": 0,
    "events --jsonl": 0,
    "sessions --json": 0,
    "show s1": 0,
    "show s1 --json": 0,
    "stats --json": 0,
    "query SELECT_count(*)_FROM_events --json": 0,
    "export --purpose all": 0,
    "replay s1 --speed max": 0,
    "outcomes --json": 0,
    "outcomes --calibration --json": 0,
    "lineage s1 --json": 0,
    "similar parser --json": 0,
    "tail --no-follow --jsonl": 0,
    "experiment list --json": 0,
    # Nothing to find is no failure to read.
    "compare --by complexity --json": 1,
    "focus s1": 1,
    "doctor --json": 1,
}


@pytest.fixture
def filled(project: Project) -> Project:
    async def save() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            await plans.save_many(
                PlannerSession(
                    content={
                        "session_id": f"s{n}",
                        "task_description": f"fix the parser {n}",
                        "complexity": ("simple", "complex")[n % 2],
                    }
                )
                for n in range(4)
            )
        async with open_store(HookEvent, dir=project.root) as events:
            await events.save_many(
                HookEvent(
                    content={"event_type": "stop", "session_id": f"s{n}", "tool": "claude-code"}
                )
                for n in range(4)
            )

    anyio.run(save)
    for file in project.khive.glob("*.lock"):
        file.unlink()
    (project.khive / "redaction.key").unlink()
    return project


def run_all(project: Project, *commands: str) -> dict[str, Any]:
    done: dict[str, Any] = json.loads(
        run("-m", "tests.programs.commands", str(project.root), *commands)
    )
    return done


def test_every_reading_command_reads_makes_nothing_and_says_what_waits(filled: Project) -> None:
    Spool(filled).accept("claude-code", b'{"hook_event_name": "Stop", "session_id": "s1"}')
    with read_only(filled.khive) as before:
        done = run_all(filled, *COMMANDS)
        assert listing(filled.khive) == before
    codes = {line: code for line, (code, _, _) in done.items()}
    assert codes == COMMANDS, {line: done[line] for line in done if codes[line] != COMMANDS[line]}
    for line, (_, out, err) in done.items():
        if line.endswith("--json"):
            json.loads(out)
        if line == "doctor --json":
            assert any("1 events wait in" in problem for problem in json.loads(out)["problems"])
        else:
            assert [text for text in err.splitlines() if "1 events wait in" in text], line
            assert "events wait in" not in out
    assert len(done["events --jsonl"][1].splitlines()) == 4
    assert json.loads(done["query SELECT_count(*)_FROM_events --json"][1]) == [{"count(*)": 4}]


def test_reading_makes_nothing_where_writing_is_allowed_either(filled: Project) -> None:
    before = set(listing(filled.khive))
    run_all(filled, *(line for line in COMMANDS if not line.startswith("compare")))
    made = set(listing(filled.khive)) - before
    # SQLite's own readers make these.
    assert not {name for name in made if not name.endswith(("-wal", "-shm"))}
