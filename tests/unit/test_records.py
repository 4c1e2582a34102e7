"""Records: what can be made, and what a row of any age becomes."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from khive_persist.errors import InvalidRecordError
from khive_persist.models.columns import MAX_ID_CHARACTERS
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import EVENT_FILES, HOOK_EVENTS, PLANNER_SESSIONS, purpose

PLAN = {"session_id": "s", "task_description": ""}


def test_a_record_has_an_id_and_a_time_of_its_own() -> None:
    before = datetime.now(UTC)
    one, other = Node(), Node()
    assert before <= one.created_at <= other.created_at <= datetime.now(UTC)
    assert UUID(one.id)
    # The name of its file in the mirror begins so.
    assert one.id[:8] != other.id[:8]


@pytest.mark.parametrize("id", ["", "a\0b", "\ud800", "x" * (MAX_ID_CHARACTERS + 1), 5, None])
def test_an_id_that_cannot_be_stored_is_refused(id: Any) -> None:
    with pytest.raises(ValidationError):
        Node(id=id)
    one = Node()
    with pytest.raises(ValidationError):
        one.id = id


@pytest.mark.parametrize("id", ["a", "x" * MAX_ID_CHARACTERS, "é 𝒳 ' \" ;"])
def test_an_id_is_any_text(id: str) -> None:
    assert Node(id=id).id == id


def test_a_time_is_kept_in_utc() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    for given in (noon, noon.astimezone(india), noon.replace(tzinfo=None)):
        found = Node(created_at=given).created_at
        assert found == noon
        assert found.tzinfo is UTC


def test_a_time_that_utc_cannot_hold_is_refused() -> None:
    behind = timezone(timedelta(hours=-8))
    with pytest.raises(ValidationError):
        Node(created_at=datetime.max.replace(tzinfo=behind))


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ValidationError):
        Node.model_validate({"text": "x"})


def test_unknown_fields_of_content_are_kept() -> None:
    plan = PlannerSession.model_validate({"content": PLAN | {"complexity": "own", "new": [1]}})
    assert dict(plan.content) == PLAN | {"complexity": "own", "new": [1]}
    event = HookEvent.model_validate({"content": {"event_type": "own", "new": {"a": None}}})
    assert dict(event.content) == {"event_type": "own", "new": {"a": None}}


@pytest.mark.parametrize(
    "content", [{}, {"event_type": None}, {"event_type": "x", "duration_ms": float("nan")}, "x"]
)
def test_an_event_that_breaks_its_contract_is_not_made(content: Any) -> None:
    with pytest.raises(ValidationError):
        HookEvent.model_validate({"content": content})


def test_an_event_lives_in_the_file_of_its_tool() -> None:
    for tool, where in EVENT_FILES.items():
        assert HookEvent.purpose_of({"tool": tool}) is where
    assert HookEvent.purpose_of({}) is HOOK_EVENTS["claude-code"]
    assert list(HookEvent.purposes()) == list(EVENT_FILES.values())
    for wrong in ({"tool": "vim"}, {"tool": None}, {"tool": ["codex"]}, None, "x"):
        with pytest.raises(InvalidRecordError):
            HookEvent.purpose_of(wrong)


def test_a_plan_lives_in_its_file() -> None:
    assert list(PlannerSession.purposes()) == [PLANNER_SESSIONS]
    assert PLANNER_SESSIONS.file == "planner_sessions.db"
    with pytest.raises(InvalidRecordError, match="Node names no file"):
        Node.purposes()


def test_a_purpose_names_its_table_after_itself_unless_told_otherwise() -> None:
    assert purpose("notes").table == "notes"
    assert purpose("notes", "jottings").table == "jottings"
    with pytest.raises(InvalidRecordError):
        purpose("x" * 64)


@pytest.mark.parametrize(
    ("stored", "instant"),
    [
        ("2026-11-01 12:00:00.000000", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T14:00:00+02:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        (1_793_534_400.5, datetime(2026, 11, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_row_of_any_age_becomes_a_record(stored: Any, instant: datetime) -> None:
    found = PlannerSession.from_stored("x", {"old": True}, {"lion_class": "a.B"}, stored, [1.0])
    assert (found.id, dict(found.content)) == ("x", {"old": True})
    assert found.created_at == instant
    assert (found.node_metadata, found.embedding) == ({"lion_class": "a.B"}, [1.0])


@pytest.mark.parametrize("stored", ["yesterday", None, b"\xff", float("inf"), "9" * 400])
def test_a_time_that_cannot_be_read_is_said_to_be(stored: Any) -> None:
    found = PlannerSession.from_stored("x", None, "no object", stored, "no list")
    assert found.created_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert set(found.node_metadata) == {"unreadable_created_at"}
    assert found.embedding is None
