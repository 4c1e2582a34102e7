"""What a store promises, in files and in PostgreSQL alike."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from khive_persist import (
    Aggregate,
    ApplicationSession,
    CallbackMetadata,
    Experiment,
    FocusChain,
    HookEvent,
    Measurement,
    Message,
    PlannerSession,
    column,
    field,
    open_store,
)
from khive_persist.errors import (
    ConflictError,
    InvalidQueryError,
    InvalidRecordError,
    NotFoundError,
    StoreClosedError,
    VersionError,
)
from khive_persist.project import Project
from tests.factories import NOON, event, plan, record

pytestmark = pytest.mark.postgres
Url = str | None


@pytest.fixture(autouse=True)
def in_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHIVE_DIR", str(project.root))


async def test_a_record_comes_back_as_it_was_saved(url: Url) -> None:
    content: dict[str, Any] = {
        "session_id": "s", "task_description": "NUL \0, \u200f, 漢字, 🦀", "confidence": 0.1,
        "empty": {}, "list": [1, 2.0, None, True, "x"], "nested": {"a": {"b": [{"c": 1}]}},
        "long": 2**62 + 1, "beyond": 10**40, "zero": -0.0, "small": 5e-324, "large": 1.7e308,
        "key \0 with": "NUL", "a.b": 1, "": "no name", "order": {"z": 1, "a": 2},
    }  # fmt: skip
    saved = PlannerSession(
        id="an id", content=content, created_at=NOON, embedding=[0.5, -1.25],
        node_metadata={"lion_class": "x", "own": ["\0"]},
    )  # fmt: skip
    async with open_store(PlannerSession, url) as plans:
        await plans.save(saved)
        loaded = await plans.get("an id")
    assert loaded == saved
    assert json.dumps(loaded.content) == json.dumps(content)
    assert loaded.created_at == NOON


async def test_saving_again_replaces_all_but_the_time(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        await plans.save(plan("s", 0, id="p", confidence=0.1))
        await plans.save(plan("s", 5, id="p", confidence=0.2))
        # Another session of the same record.
        await plans.save(plan("t", 9, id="p", confidence=0.3))
        (only,) = await plans.find()
        assert (only.content["session_id"], only.content["confidence"]) == ("t", 0.3)
        assert only.created_at == NOON
        await plans.save_many([plan("u", 9, id="p"), plan("u", 9, id="q")])
        assert (await plans.get("p")).created_at == NOON
        assert await plans.count() == 2


async def test_filters_and_orders(url: Url) -> None:
    contents: list[dict[str, Any]] = [
        {"n": 1}, {"n": 2.5}, {"n": -3}, {"n": "1"}, {"n": "B"}, {"n": "a"}, {"n": ""}, {"n": None},
        {}, {"n": True}, {"n": False}, {"n": 2**53}, {"n": 2**53 + 1}, {"n": [1, "x", None]},
        {"n": "ünïcode"}, {"n": "50%"}, {"n": "500"}, {"other": {"k": ["y"]}},
    ]  # fmt: skip
    async with open_store(PlannerSession, url) as plans:
        for number, content in enumerate(contents):
            await plans.save(plan("s", number, id=f"{number:02}", **content))
        n = field("n")

        async def ids(*filters: Any, **options: Any) -> list[int]:
            return [int(one.id) for one in await plans.find(*filters, **options)]

        assert await ids(n == 1) == [0, 9]
        assert await ids(n == "1") == [3]
        assert await ids(n > 1) == [1, 11, 12]
        assert await ids(n > 2**53) == [12]
        assert await ids(n <= 0) == [2, 10]
        assert await ids(n >= "a") == [5, 14]
        assert await ids(n < "B") == [3, 6, 15, 16]
        assert await ids(n != 1) == [i for i in range(18) if i not in (0, 9)]
        assert await ids(n.is_null()) == [7, 8, 17]
        assert await ids(n.in_([1, "B", None])) == [0, 4, 7, 8, 9, 17]
        assert await ids(n.in_([])) == []
        assert await ids(n.like("5%")) == [15, 16]
        assert await ids(n.like("50\\%", escape="\\")) == [15]
        assert await ids(n.like("b")) == [4]
        assert await ids(n.contains("x")) == [13]
        assert await ids(n.contains(None)) == [13]
        assert await ids(field("other.k[0]") == "y") == [17]
        assert await ids(field("other.k[#-1]") == "y") == [17]
        assert await ids(~(n == 1), n > 0) == [1, 11, 12]
        assert await ids((n == "a") | (n == 2.5)) == [1, 5]
        assert await ids(column("id") == "04") == [4]
        at = column("created_at")
        assert await ids(at >= NOON + timedelta(minutes=16)) == [16, 17]
        numbers = [2, 10, 0, 9, 1, 11, 12]
        assert (await ids(n > -9, order_by=[n, column("id")])) == numbers
        assert (await ids(n > -9, order_by=[-n, -column("id")])) == numbers[::-1]
        assert (await ids(order_by=[n, column("id")]))[:3] == [7, 8, 17]
        assert (await ids(order_by=-column("id"), limit=2, offset=1)) == [16, 15]
        assert await ids(offset=16) == [16, 17]
        with pytest.raises(InvalidQueryError):
            await ids(at > "no time")


async def test_aggregates(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        for number, price in enumerate([1, 2, 0.5, "dear", None]):
            await plans.save(
                plan("s", number, complexity="ab"[number % 2], planning_cost=price, agent_count=2)
            )
        cost = field("planning_cost")
        assert await plans.aggregate(
            number=Aggregate.count(), costs=Aggregate.count(cost), mean=Aggregate.avg(cost),
            sum=Aggregate.sum(cost), least=Aggregate.min(cost), most=Aggregate.max(cost),
            agents=Aggregate.sum(field("agent_count")), group_by=field("complexity"),
        ) == [
            {"complexity": "a", "number": 3, "costs": 2, "mean": 0.75, "sum": 1.5, "least": 0.5,
             "most": 1, "agents": 6},
            {"complexity": "b", "number": 2, "costs": 2, "mean": 2.0, "sum": 2, "least": 2,
             "most": "dear", "agents": 4},
        ]  # fmt: skip
        (times,) = await plans.aggregate(first=Aggregate.min(column("created_at")))
        assert times == {"first": NOON}
        stats = await plans.get_stats()
        assert (stats["total_sessions"], stats["complexities"]) == (5, {"a": 3, "b": 2})
        assert (stats["total_cost"], stats["not_numbers"]) == (3.5, {"planning_cost": 1})
        assert await plans.stats() == {
            "total": 5, "first": NOON, "last": NOON + timedelta(minutes=4)
        }  # fmt: skip
        assert await plans.exists(cost == 0.5)
        assert (await plans.first(order_by=-cost)) is not None


async def test_a_float_with_a_whole_value_stays_one(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        for number, value in enumerate([1.0, 0.5, 3, -2.0, 1e22, 0.0]):
            await plans.save(plan("s", number, confidence=value, planning_cost=2.0))
        confidence, cost = field("confidence"), field("planning_cost")
        least, most = Aggregate.min(confidence), Aggregate.max(confidence)
        assert (
            repr(await plans.aggregate(least=least, most=most))
            == "[{'least': -2.0, 'most': 1e+22}]"
        )
        small = await plans.aggregate(
            confidence < 4, least=least, most=most, cost=Aggregate.max(cost)
        )
        assert repr(small) == "[{'least': -2.0, 'most': 3, 'cost': 2.0}]"
        none = await plans.aggregate(confidence < -4, least=least, most=most)
        assert none == [{"least": None, "most": None}]
        counted = await plans.aggregate(
            number=Aggregate.count(), most=most, group_by=[cost, confidence]
        )
        assert [repr(group["confidence"]) for group in counted] == [
            "-2.0", "0.0", "0.5", "1.0", "3", "1e+22",
        ]  # fmt: skip
        assert [repr(group["most"]) for group in counted][:2] == ["-2.0", "0.0"]
        assert repr(counted[0]["planning_cost"]) == "2.0"


async def test_many_save_at_once(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(plans.save, plan(f"s{number}"))
        assert await plans.count() == 100
        # One that is no JSON refuses itself alone.
        with pytest.raises(InvalidRecordError):
            await plans.save(plan("s", odd=float("nan")))


async def test_the_later_save_of_an_id_stays(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        async with anyio.create_task_group() as tasks:
            for number in range(150):
                tasks.start_soon(
                    plans.save, plan(f"s{number}", id=f"{number % 3}", agent_count=number)
                )
        numbers = [one.content["agent_count"] for one in await plans.find(order_by=column("id"))]
        assert numbers == [147, 148, 149]


async def test_two_bulks_of_the_same_records(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        async with anyio.create_task_group() as tasks:
            for number in range(2):
                records = [plan("s", id=f"{n}", n=number) for n in range(2_500)]
                tasks.start_soon(plans.save_many, records)
        assert await plans.count() == 2_500


async def test_bulks_streams_and_deletion(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        assert await plans.save_many(plan("s", n, id=f"{n:05}") for n in range(6_000)) == 6_000
        streamed = [one.id async for one in plans.stream(order_by=-column("id"), limit=1_500)]
        assert streamed == [f"{n:05}" for n in range(5_999, 4_499, -1)]
        async for one in plans.stream():
            assert one.id == "00000"
            break
        assert await plans.delete("00000")
        assert not await plans.delete("00000")
        assert await plans.delete_where(column("id") >= "01000") == 5_000
        assert await plans.count() == 999
        assert await plans.clear() == 999
        with pytest.raises(InvalidQueryError):
            await plans.delete_where()
        with pytest.raises(NotFoundError):
            await plans.get("00001")
    with pytest.raises(StoreClosedError):
        await plans.count()


async def test_a_follower_gets_each_record_once(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        await plans.save(plan("before"))
        following = await plans.follow(poll_seconds=0.01)

        async def save() -> None:
            for number in range(20):
                await plans.save(plan(f"{number}"))

        sessions: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(save)
            with anyio.fail_after(20):
                async for one in following:
                    sessions.append(one.content["session_id"])
                    if len(sessions) == 20:
                        break
        assert sessions == [str(number) for number in range(20)]


async def test_versions_of_sessions(url: Url) -> None:
    async with open_store(ApplicationSession, url) as sessions:
        begun = await sessions.start({"session_id": "a", "participant": "p1"})
        assert begun.is_new
        assert not (await sessions.start({"session_id": "a", "participant": "p1"})).is_new
        outcomes: list[str] = []

        async def update(word: str) -> None:
            try:
                await sessions.update("a", {"group": word}, 1)
            except VersionError:
                outcomes.append("refused")
            else:
                outcomes.append("made")

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(update, str(number))
        assert sorted(outcomes) == ["made"] + ["refused"] * 7
        completed = await sessions.complete("a", {"outcome": "won"}, 2)
        assert completed.content["version"] == 3


async def test_what_never_changes(url: Url) -> None:
    async with open_store(Experiment, url) as experiments:
        made = Experiment(
            content={
                "name": "e",
                "variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
            }
        )
        results = []

        async def insert() -> None:
            results.append((await experiments.insert_if_absent(made)).created)

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(insert)
        assert sorted(results) == [False] * 5 + [True]
        await experiments.save(made)
        other = made.model_copy(update={"content": {**made.content, "note": "other"}})
        with pytest.raises(ConflictError):
            await experiments.save(other)


async def test_series_lists_messages_and_events(url: Url) -> None:
    async with open_store(Measurement, url) as measurements:
        await measurements.save_many(
            record(Measurement, n, session_id="s", name="load", value=n) for n in (2, 1, 3)
        )
        assert [one.content["value"] for one in await measurements.get_by_session("s", "load")] == [
            1, 2, 3,
        ]  # fmt: skip
    async with open_store(FocusChain, url) as lists:
        for number, status in enumerate(("pending", "completed")):
            items = [{"text": "a", "status": status}]
            await lists.save(record(FocusChain, number, session_id="s", items=items))
        (_, second) = await lists.get_history("s")
        assert (second.content["position"], second.content["completed"]) == (2, ["a"])
    async with open_store(Message, url) as messages:
        await messages.save(record(Message, 0, tool="codex", role="user", session_id="s", text="x"))
        assert await messages.count(field("text") == "x") == 1
    async with open_store(HookEvent, url) as events:
        await events.save_many(
            [event("stop", "s", 1, tool="codex"), event("pre_command", "s", 0, tool="claude-code")]
        )
        types = [one.content["event_type"] for one in await events.get_by_session("s")]
        assert types == ["pre_command", "stop"]
        assert await events.delete_where(field("tool") == "codex") == 1
        assert await events.count() == 1


async def test_a_cancelled_save_leaves_the_store_usable(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        for number in range(10):
            with anyio.move_on_after(number / 2_000):
                await plans.save(plan("s", id=f"c{number}"))
        await plans.save(plan("t"))
        assert await plans.count(field("session_id") == "t") == 1


async def test_callbacks_are_told_of_what_was_saved_and_loaded(url: Url) -> None:
    events: list[tuple[str, int]] = []

    def on_save(metadata: CallbackMetadata) -> None:
        events.append(("saved", metadata.items))

    def on_load(metadata: CallbackMetadata) -> None:
        events.append(("loaded", metadata.items))

    async with open_store(PlannerSession, url, on_save=on_save, on_load=on_load) as plans:
        await plans.save(plan("s"))
        await plans.save_many([plan("t"), plan("u")])
        await plans.find()
    assert events == [("saved", 1), ("saved", 2), ("loaded", 3)]


async def test_reading_only(url: Url) -> None:
    async with open_store(PlannerSession, url) as plans:
        await plans.save(plan("s"))
    async with open_store(PlannerSession, url, read_only=True) as plans:
        assert await plans.count() == 1
        with pytest.raises(Exception, match=r"read"):
            await plans.save(plan("t"))


async def test_secrets_do_not_leave(url: Url) -> None:
    secret = "AKIA" + "QYLPMN5HFIQR7XYA"
    async with open_store(PlannerSession, url) as plans:
        await plans.save(plan("s", id="p", task_description=f"key {secret}"))
        assert secret not in (await plans.get("p")).content["task_description"]


async def test_times_of_the_original(database: str) -> None:
    from khive_persist.store.postgres.rows import to_postgres

    instant = datetime(2025, 3, 9, 8, 15, tzinfo=UTC)
    for spelled in ("2025-03-09T08:15:00", "2025-03-09T10:15:00+02:00", instant.timestamp()):
        row = to_postgres(("id", "{}", None, spelled, None))
        assert row[5] == instant
        assert row[6] == (spelled if isinstance(spelled, str) else repr(spelled))
