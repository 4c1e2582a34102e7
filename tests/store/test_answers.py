"""The first record, whether there is one, aggregates, deletions, and where a record lies."""

import json
import random
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.copies import verify
from khive_persist.errors import InvalidQueryError, NotFoundError
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import Field, column, field
from khive_persist.opening import open_store, save_planning_session
from khive_persist.project import Project
from khive_persist.store.aggregates import Aggregate
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from tests.factories import event, plan
from tests.store import old_files
from tests.store.records import opened, plan_store

WORDS = ("simple", "medium", "complex", None)


def explained(path: Path, sql: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))


def contents(count: int) -> list[dict[str, Any]]:
    chosen = random.Random(7)
    return [
        {
            "complexity": chosen.choice(WORDS),
            "confidence": chosen.choice([chosen.random(), None, 1, "0.99"]),
            "planning_cost": chosen.choice([chosen.randrange(9), chosen.random()]),
            "agent_count": chosen.randrange(5),
        }
        for _ in range(count)
    ]


def numbers(values: list[Any]) -> list[float]:
    return [value for value in values if isinstance(value, int | float)]


async def test_aggregates_are_those_that_python_computes(plans: PlannerSessionStore) -> None:
    every = contents(300)
    await plans.save_many(
        plan(**{k: v for k, v in one.items() if k != "confidence"}, metadata=one) for one in every
    )
    confidence, cost = field("metadata.confidence"), field("planning_cost")
    rows = await plans.aggregate(
        number=Aggregate.count(),
        certain=Aggregate.count(confidence),
        mean=Aggregate.avg(confidence),
        total=Aggregate.sum(cost),
        agents=Aggregate.sum(field("agent_count")),
        least=Aggregate.min(cost),
        most=Aggregate.max(confidence),
        group_by=field("complexity"),
    )
    groups = defaultdict(list)
    for one in every:
        groups[one["complexity"]].append(one)
    assert [row["complexity"] for row in rows] == [None, "complex", "medium", "simple"]
    for row in rows:
        group = groups[row["complexity"]]
        known = [one["confidence"] for one in group if one["confidence"] is not None]
        assert row["number"] == len(group)
        assert row["certain"] == len(known)
        assert row["mean"] == pytest.approx(sum(numbers(known)) / len(numbers(known)))
        assert row["total"] == pytest.approx(sum(one["planning_cost"] for one in group))
        assert row["agents"] == sum(one["agent_count"] for one in group)
        assert type(row["agents"]) is int
        assert row["least"] == min(one["planning_cost"] for one in group)
        assert row["most"] == "0.99"


async def test_an_aggregate_finds_a_key_that_no_path_can_name(plans: PlannerSessionStore) -> None:
    key = 'a "quoted" one'
    await plans.save_many(plan(metadata={key: number}) for number in (1, 2, 4))
    total = Aggregate.sum(field("metadata", key))
    assert await plans.aggregate(total=total) == [{"total": 7}]


async def test_without_a_group_there_is_one_row(plans: PlannerSessionStore) -> None:
    cost = field("planning_cost")
    answers: dict[str, Any] = {
        "number": Aggregate.count(),
        "mean": Aggregate.avg(cost),
        "total": Aggregate.sum(cost),
        "least": Aggregate.min(cost),
    }
    nothing = {"number": 0, "mean": None, "total": 0, "least": None}
    assert await plans.aggregate(**answers) == [nothing]
    assert await plans.aggregate(**answers, group_by=field("complexity")) == []
    await plans.save_many([plan("a", planning_cost=2), plan("b", planning_cost=3)])
    assert await plans.aggregate(cost > 2.5, **answers) == [
        {"number": 1, "mean": 3.0, "total": 3, "least": 3}
    ]


async def test_groups_of_several_fields_and_times(plans: PlannerSessionStore) -> None:
    times = [datetime(2026, 11, day, tzinfo=UTC) for day in (3, 1, 2)]
    for number, instant in enumerate(times):
        one = plan("s", complexity="simple", metadata={"n": number})
        await plans.save(one.model_copy(update={"created_at": instant}))
    at = column("created_at")
    (row,) = await plans.aggregate(
        first=Aggregate.min(at),
        last=Aggregate.max(at),
        group_by=(field("session_id"), field("complexity")),
    )
    assert row == {
        "session_id": "s",
        "complexity": "simple",
        "first": times[1],
        "last": times[0],
    }
    (row,) = await plans.aggregate(number=Aggregate.count(), group_by=field("metadata", "odd key"))
    assert row == {"metadata.odd key": None, "number": 3}
    rows = await plans.aggregate(number=Aggregate.count(), group_by=at)
    assert [row["created_at"] for row in rows] == sorted(times)


async def test_sums_beyond_64_bits_are_sums(plans: PlannerSessionStore) -> None:
    await plans.save_many([plan(metadata={"n": 2**62}) for _ in range(4)])
    (row,) = await plans.aggregate(total=Aggregate.sum(field("metadata.n")))
    assert row["total"] == float(2**64)


async def test_events_of_all_tools_are_one_table(events: HookEventStore) -> None:
    await events.save_many(
        [event("stop", tool=tool) for tool in ("claude-code", "codex", "codex", "gemini-cli")]
    )
    rows = await events.aggregate(number=Aggregate.count(), group_by=field("tool"))
    assert {row["tool"]: row["number"] for row in rows} == {
        "claude-code": 1,
        "codex": 2,
        "gemini-cli": 1,
    }


async def test_what_is_no_aggregate_is_refused(plans: PlannerSessionStore) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"number": 5},
        {"number": Aggregate("median", field("a"))},  # type: ignore[arg-type]
        {"number": Aggregate("sum")},
        {"number": Aggregate.count(), "group_by": "complexity"},
        {"complexity": Aggregate.count(), "group_by": field("complexity")},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidQueryError):
            await plans.aggregate(**arguments)


async def test_an_aggregate_of_indexed_fields_uses_the_index(
    plans: PlannerSessionStore, database: Path
) -> None:
    await plans.save(plan())
    seen: list[str] = []
    read = plans._reader.fetch

    async def noting(build: Any) -> list[Any]:
        def noted(source: Any) -> Any:
            statement = build(source)
            seen.append(statement.sql.replace("f0.", ""))
            return statement

        return await read(noted)

    plans._reader.fetch = noting  # type: ignore[method-assign]
    await plans.aggregate(
        cost=Aggregate.sum(field("planning_cost")),
        mean=Aggregate.avg(field("confidence")),
        group_by=field("complexity"),
    )
    assert "INDEX planner_sessions_complexity_planning_cost" in explained(database, seen[0])


async def test_first_and_exists(plans: PlannerSessionStore) -> None:
    cost = field("planning_cost")
    assert await plans.first() is None
    assert await plans.exists() is False
    await plans.save_many([plan("a", planning_cost=1), plan("b", planning_cost=2)])
    dearest = await plans.first(order_by=-cost)
    assert dearest is not None
    assert dearest.content["session_id"] == "b"
    assert await plans.first(cost > 2) is None
    assert (await plans.exists(cost > 1), await plans.exists(cost > 2)) == (True, False)


@pytest.mark.parametrize("record", [PlannerSession, HookEvent])
async def test_deleting_by_filters_deletes_both_copies(
    project: Project, record: type[PlannerSession] | type[HookEvent]
) -> None:
    async with open_store(record, dir=project.root) as store:
        await store.save_many(
            [
                plan(f"s{n % 3}", planning_cost=n) if record is PlannerSession else
                event("stop", session_id=f"s{n % 3}", tool=("codex", "claude-code")[n % 2])
                for n in range(12)
            ]
        )  # fmt: skip
        with pytest.raises(InvalidQueryError, match="clear"):
            await store.delete_where()
        assert await store.delete_where(field("session_id") == "s1") == 4
        assert await store.delete_where(field("session_id") == "s1") == 0
        assert await store.count() == 8
        assert (await verify(record, dir=project.root)).is_equal
        assert await store.clear() == 8
        assert await store.count() == 0
        assert await store.clear() == 0
    done = await verify(record, dir=project.root)
    assert done.is_equal
    assert {tally.copies for tally in done.tallies.values()} == {0}


async def test_more_than_a_transaction_takes_are_deleted(plans: PlannerSessionStore) -> None:
    await plans.save_many(plan(f"s{n}", planning_cost=n % 2) for n in range(5_000))
    assert await plans.delete_where(field("planning_cost") == 1) == 2_500
    assert await plans.count(field("planning_cost") == 0) == 2_500


async def test_old_rows_are_deleted_by_their_time_and_fields(folder: Path) -> None:
    """Their time may be a number, or spelled otherwise; their content need not be JSON."""
    now = datetime.now(UTC)
    rows = [
        ("new", '{"planner": "a"}', now.timestamp()),
        ("old", '{"planner": "a"}', "2020-01-01T00:00:00+00:00"),
        ("very-old", '{"planner": "a"}', 1.5),
        ("damaged", "no JSON", now.timestamp()),
    ]
    old_files.make(folder / "planner_sessions.db", [], "planner_sessions")
    with closing(sqlite3.connect(folder / "planner_sessions.db")) as connection, connection:
        sql = "INSERT INTO planner_sessions (id, content, created_at) VALUES (?, ?, ?)"
        connection.executemany(sql, rows)
    async with opened(plan_store(folder)) as plans:
        assert await plans.delete_where(column("created_at") < now - timedelta(days=1)) == 2
        assert {one.id for one in await plans.find()} == {"new", "damaged"}
        assert await plans.delete_where(field("planner") == "a") == 1
        assert {one.id for one in await plans.find()} == {"damaged"}


async def test_clearing_takes_what_waits_in_the_spool(project: Project) -> None:
    Spool(project).accept("codex", b'{"hook_event_name": "Stop"}')
    async with open_store(HookEvent, dir=project.root) as events:
        assert await events.clear() == 1
        assert await events.count() == 0


async def test_paths_name_both_copies(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        saved = await plans.save(plan("s1"))
        paths = await plans.paths_of(saved.id)
        assert paths.database == project.database("planner_sessions.db")
        assert paths.mirror is not None
        assert json.loads(paths.mirror.read_text("utf-8"))["id"] == saved.id
        assert await saved.paths() == paths
        with pytest.raises(NotFoundError):
            await plans.paths_of("nobody")
    async with open_store(HookEvent, dir=project.root) as events:
        one = await events.save(event("stop", session_id="s1", tool="codex"))
        paths = await events.paths_of(one.id)
        assert paths.database.name == "codex_hooks.db"
        assert paths.mirror is not None
        assert one.id in paths.mirror.read_text("utf-8")
    single = await save_planning_session(dir=project.root, session_id="s", task_description="t")
    async with open_store(PlannerSession, dir=project.root):
        assert (await single.paths()).mirror is not None


async def test_without_a_mirror_there_is_no_second_path(project: Project) -> None:
    url = f"sqlite:{project.root / 'apart.db'}"
    async with open_store(PlannerSession, url, dir=project.root) as plans:
        saved = await plans.save(plan("s1"))
        assert await plans.paths_of(saved.id) == (project.root / "apart.db", None)
    project.local_config.write_text(f'[mirror]\noff = ["{PLANNER_SESSIONS.name}"]\n')
    async with open_store(PlannerSession, dir=project.root) as plans:
        saved = await plans.save(plan("s1"))
        assert (await plans.paths_of(saved.id)).mirror is None


def test_an_aggregate_is_named_in_an_error() -> None:
    assert "avg" in repr(Aggregate.avg(Field(column="id")))
