"""What is asked of plans."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from khive_persist.errors import InvalidRecordError
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.query import Filter, field
from khive_persist.store.planner_sessions import PlannerSessionStore
from tests.factories import plan
from tests.store.records import costs

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def hourly(hours: int, session_id: str, **content: Any) -> PlannerSession:
    return plan(session_id, NOON + timedelta(hours=hours), planning_cost=hours, **content)


async def test_the_plans_of_a_session_come_oldest_first(plans: PlannerSessionStore) -> None:
    for hours, session_id in ((2, "a"), (1, "b"), (0, "a"), (3, "a")):
        await plans.save(hourly(hours, session_id))
    assert costs(await plans.get_by_session_id("a")) == [0, 2, 3]
    assert await plans.get_by_session_id("A") == []


async def test_the_plans_of_a_complexity_come_newest_first(plans: PlannerSessionStore) -> None:
    for hours, complexity in ((2, "complex"), (1, "simple"), (0, "complex"), (3, "complex")):
        await plans.save(hourly(hours, "s", complexity=complexity))
    assert costs(await plans.get_by_complexity("complex")) == [3, 2, 0]
    assert costs(await plans.get_by_complexity("complex", limit=2)) == [3, 2]


async def test_stats_of_nothing(plans: PlannerSessionStore) -> None:
    assert await plans.get_stats() == {
        "total_sessions": 0,
        "complexities": {},
        "avg_agent_count": None,
        "avg_confidence": None,
        "total_cost": 0,
        "not_numbers": {},
    }


async def test_stats_average_over_the_plans_that_have_a_value(plans: PlannerSessionStore) -> None:
    await plans.save_many(
        [
            plan(complexity="simple", agent_count=2, confidence=0.5, planning_cost=0.25),
            plan(complexity="complex", agent_count=4, planning_cost=1),
            plan(complexity="complex", agent_count=None, confidence=1.0),
            plan(complexity="own word", agent_count=0),
            plan(),
        ]
    )
    assert await plans.get_stats() == {
        "total_sessions": 5,
        "complexities": {"complex": 2, "own word": 1, "simple": 1},
        "avg_agent_count": 2,
        "avg_confidence": 0.75,
        "total_cost": 1.25,
        "not_numbers": {},
    }


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"session_id": "s"},
        {"session_id": "s", "task_description": "", "evaluations": 5},
        {"session_id": 5, "task_description": ""},
        [],
    ],
)
def test_a_plan_that_breaks_its_contract_is_not_made(content: object) -> None:
    with pytest.raises(ValidationError):
        PlannerSession.model_validate({"content": content})


async def test_a_plan_of_odd_numbers_is_kept_and_marked_until_they_are_right(
    plans: PlannerSessionStore,
) -> None:
    odd: dict[str, Any] = {
        "confidence": 1.2,
        "planning_cost": -1,
        "agent_count": 2.5,
        "evaluations": [{"cost": 1}, {"cost": float("inf"), "response_time_ms": "slow"}],
    }
    saved = await plans.save(plan(**odd))
    found = await plans.get(saved.id)
    assert found.content["confidence"] == 1.2
    assert found.content["evaluations"][1] == {"cost": "inf", "response_time_ms": "slow"}
    assert found.node_metadata["odd_numbers"] == {
        "agent_count": "is no whole number",
        "confidence": "is not 0 to 1",
        "planning_cost": "is less than 0",
        "evaluations[1].cost": "is no number",
        "evaluations[1].response_time_ms": "is no number",
    }
    found.content.update(
        {"confidence": 0.5, "planning_cost": 1, "agent_count": 2, "evaluations": []}
    )
    await plans.save(found)
    assert "odd_numbers" not in (await plans.get(saved.id)).node_metadata


async def test_a_number_as_text_becomes_one_and_a_word_is_kept(plans: PlannerSessionStore) -> None:
    saved = plan(confidence="0.5", planning_cost="n/a")
    assert saved.content["confidence"] == 0.5
    assert {**saved.content}["planning_cost"] == "n/a"
    assert saved.odd_numbers(saved.content) == {"planning_cost": "is no number"}


async def test_a_plan_that_was_changed_is_validated_when_it_is_saved(
    plans: PlannerSessionStore,
) -> None:
    saved = await plans.save(plan())
    saved.content["task_description"] = 5  # type: ignore[typeddict-item]
    with pytest.raises(InvalidRecordError, match=r"content\.task_description: .*text|string"):
        await plans.save(saved)
    with pytest.raises(InvalidRecordError, match="save again"):
        await plans.save_many([plan("other"), saved])
    (found,) = await plans.find()
    assert found.content["task_description"] == ""


async def test_text_is_no_number_of_a_threshold_an_average_or_a_sum(
    plans: PlannerSessionStore, database: Path
) -> None:
    """SQLite takes text for larger than any number, and in a sum its beginning for a number."""
    await plans.save(plan("a", complexity="complex", confidence=0.9, planning_cost=1.0))
    await plans.save(plan("b", complexity="complex", confidence="high", planning_cost="n/a"))
    with closing(sqlite3.connect(database)) as connection:
        for id, content in (
            (
                "c",
                '{"session_id":"c","complexity":"complex","confidence":"0.95","planning_cost":"2"}',
            ),
            (
                "d",
                '{"session_id":"d","complexity":"simple","confidence":[1],"agent_count":"3 or so"}',
            ),
        ):
            connection.execute(
                "INSERT INTO planner_sessions (id, content) VALUES (?, ?)", (id, content)
            )
        connection.commit()

    async def sessions(*filters: Filter) -> list[str]:
        found = await plans.find(*filters, order_by=field("session_id"))
        return [one.content["session_id"] for one in found]

    assert await sessions(field("confidence") > 0.8) == ["a"]
    assert await sessions(field("complexity") == "complex", field("planning_cost") >= 0) == ["a"]
    assert await sessions(field("confidence") < "z") == ["b", "c", "d"]
    assert await plans.get_stats() == {
        "total_sessions": 4,
        "complexities": {"complex": 3, "simple": 1},
        "avg_agent_count": None,
        "avg_confidence": 0.9,
        "total_cost": 1.0,
        "not_numbers": {"agent_count": 1, "confidence": 3, "planning_cost": 2},
    }
