"""A small place whose every figure can be counted by hand, and reports of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio

from khive_persist.analytics.periodic_report.report import read_report
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.project import Project
from tests.factories import Row, row, store_rows
from tests.server.filling import event, message

# A Monday; the week before begins on the 9th.
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
AFTER = MONDAY + timedelta(days=8)
TICK = timedelta(microseconds=1)
PRICES = '[cost]\nprices = ["m input=1 output=2", "n input=10"]\n'


def day(number: float) -> datetime:
    """A time so many days after the Monday."""
    return MONDAY + timedelta(days=number)


def call(session: str, at: datetime, name: str = "Bash", **fields: Any) -> list[Row]:
    """A tool call as it is recorded: an event before and one after."""
    own = {"tool_name": name, "tool": fields.pop("tool", "claude-code"), "cwd": "/p"}
    begun = event(session, at, event_type="pre_command", **own)
    ended = event(session, at, event_type="post_command", **{"success": True, **own, **fields})
    return [begun, ended]


def events(project: Project, rows: Sequence[Row], tool: str = "claude-code") -> None:
    store_rows(project, HOOK_EVENTS[tool], rows)


def messages(project: Project, *rows: Row) -> None:
    store_rows(project, CONVERSATIONS, rows)


def said(session: str, at: datetime, model: str | None = "m", **tokens: int) -> Row:
    return message(session, at, model=model, cwd="/p", tokens=tokens)


def plans(project: Project, *rows: Row) -> None:
    store_rows(project, PLANNER_SESSIONS, rows)


def plan(session: str, at: datetime, **content: Any) -> Row:
    return row({"session_id": session, "task_description": "t", **content}, at)


def verdicts(project: Project, *given: tuple[str, datetime, str, str]) -> None:
    store_rows(
        project,
        OUTCOMES,
        [
            row({"session_id": session, "verdict": verdict, "source": source}, at)
            for session, at, verdict, source in given
        ],
    )


def report(
    project: Project, kind: Any = "week", at: datetime | None = MONDAY, now: datetime = AFTER
) -> dict[str, Any]:
    return anyio.run(partial(read_report, project, kind, at, now))


def totals(found: dict[str, Any], which: str = "now") -> dict[str, Any]:
    return {one["name"]: one[which] for one in found["totals"]}
