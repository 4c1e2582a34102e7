"""Each session has one title, by which it is told from others."""

from datetime import datetime, timedelta
from typing import Any

import anyio

from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    HOOK_EVENTS,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.project import Project
from khive_persist.sessions.listing import SessionFilter
from khive_persist.sessions.projects import sessions_of
from tests.factories import NOON, row, store_rows
from tests.server.filling import event, message

LATER = NOON + timedelta(hours=1)


def titles(project: Project, rows: dict[Purpose, list[Any]]) -> dict[str, str | None]:
    for purpose, some in rows.items():
        store_rows(project, purpose, some)
    listed = anyio.run(sessions_of, project, SessionFilter())
    return {one.session_id: one.title for one in listed}


def prompt(session: str, at: datetime, text: Any) -> Any:
    return event(session, at, event_type="prompt_submitted", payload={"prompt": text})


def application(session: str, **fields: Any) -> Any:
    return row({"session_id": session, **fields}, NOON, session)


def test_a_title_is_the_first_that_there_is(project: Project) -> None:
    plans = [{"session_id": name, "task_description": "the task"} for name in ("plan", "both")]
    assert titles(
        project,
        {
            HOOK_EVENTS["codex"]: [
                prompt("both", LATER, "later"),
                prompt("both", NOON, "  first\n\tline\r"),
                prompt("event", LATER, "of the event"),
                event("none", NOON),
                prompt("long", NOON, "é" * 10_000),
            ],
            CONVERSATIONS: [
                message("event", NOON, role="user", text="of a message"),
                message("rtl", NOON, role="user", text="\u202eשלום 😀"),
                *(message(f"train-000{n}", NOON, role="user", text="Hello") for n in range(4)),
            ],
            PLANNER_SESSIONS: [row(plan, NOON) for plan in plans],
            APPLICATION_SESSIONS: [
                application("train-0000", participant="ann", scenario="chest_pain"),
                application("train-0001", participant="bob", scenario="chest_pain"),
                application("train-0002", scenario="sepsis", participant=" "),
                application("train-0003", group="a"),
                application("alone", participant="has no events and no messages"),
            ],
        },
    ) == {
        "both": "first  line",
        "event": "of the event",
        "none": None,
        "long": "é" * 160,
        "rtl": "\u202eשלום 😀",
        "plan": "the task",
        "train-0000": "ann · chest_pain",
        "train-0001": "bob · chest_pain",
        "train-0002": "sepsis",
        "train-0003": "Hello",
    }
