"""Which sessions are in progress, and what each waits for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from khive_persist.models.purposes import EVENT_FILES
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.in_progress import SessionInProgress, sessions_in_progress
from tests.factories import event, in_own_thread, save_many

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CALL = {"tool_name": "Bash", "tool_use_id": "t1"}
ASKED = {"payload": {"notification_type": "permission_prompt"}}

# What a session did: the type of an event, so many minutes ago, and its fields.
SESSIONS: dict[str, tuple[tuple[str, float, Any], ...]] = {
    "asks": (("prompt_submitted", 9, {}), ("pre_command", 8, CALL),
             ("permission_request", 7, {"tool_name": "Bash"}), ("notification", 6, ASKED)),
    "asks by a notification": (("prompt_submitted", 9, {}), ("notification", 5, ASKED)),
    "was answered": (("prompt_submitted", 9, {}), ("permission_request", 8, {"tool_name": "Bash"}),
                     ("post_command", 7, CALL)),
    "in a long call": (("prompt_submitted", 30, {}), ("pre_command", 25, CALL)),
    "in a short call": (("prompt_submitted", 30, {}), ("pre_command", 3, CALL)),
    "silent in a turn": (("prompt_submitted", 90, {}), ("pre_command", 80, CALL),
                         ("post_command", 70, CALL)),
    "rests": (("prompt_submitted", 90, {}), ("pre_command", 85, CALL), ("stop", 80, {})),
    "is new": (("session_start", 2, {"payload": {"source": "startup"}}),),
    "compacts": (("prompt_submitted", 5, {}),
                 ("session_start", 4, {"payload": {"source": "compact"}})),
    "its agent works on": (("stop", 5, {}), ("pre_command", 4, CALL | {"agent_id": "x"})),
    # Their ids are in another order.
    "begins and rests at once": (("stop", 60, {"id": "1"}),
                                 ("post_command", 60, CALL | {"id": "2"}),
                                 ("pre_command", 60, CALL | {"id": "3"}),
                                 ("prompt_submitted", 60, {"id": "4"})),
    "ended": (("stop", 5, {}), ("session_end", 4, {})),
    "was left": (("pre_command", 13 * 60, CALL),),
}  # fmt: skip


@pytest.fixture
def found(project: Project) -> dict[str, SessionInProgress]:
    save_many(
        project,
        [
            event(kind, session, NOW - timedelta(minutes=ago), tool="claude-code", **fields)
            for session, events in SESSIONS.items()
            for kind, ago, fields in events
        ],
    )

    async def read() -> list[SessionInProgress]:
        async with reading(project, *EVENT_FILES.values()) as reader:
            return await sessions_in_progress(reader, NOW)

    sessions = in_own_thread(read)
    assert [s.status for s in sessions] == sorted(
        (s.status for s in sessions),
        key=["waits_for_permission", "stuck", "working", "waits_for_user"].index,
    )
    return {session.session_id: session for session in sessions}


def test_the_state_of_each_session(found: dict[str, SessionInProgress]) -> None:
    def minutes(text: str) -> float:
        return (NOW - datetime.fromisoformat(text).replace(tzinfo=UTC)).total_seconds() / 60

    assert {id: (s.status, s.call, minutes(s.since)) for id, s in found.items()} == {
        "asks": ("waits_for_permission", "Bash", 7),
        "asks by a notification": ("waits_for_permission", None, 5),
        "was answered": ("working", None, 7),
        "in a long call": ("stuck", "Bash", 25),
        "in a short call": ("working", "Bash", 3),
        "silent in a turn": ("stuck", None, 70),
        "rests": ("waits_for_user", None, 80),
        "is new": ("waits_for_user", None, 2),
        "begins and rests at once": ("waits_for_user", None, 60),
        "compacts": ("working", None, 4),
        "its agent works on": ("working", "Bash", 4),
    }
