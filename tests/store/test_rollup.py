"""A rollup says what a recount of the files says, whatever was done to them."""

import json
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_persist import clock
from khive_persist.models.event_types import POST
from khive_persist.models.purposes import (
    BUILT_IN,
    CONVERSATIONS,
    EVENT_FILES,
    HOOK_EVENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.definitions import spent
from khive_persist.sessions.rollup import follower as following
from khive_persist.sessions.rollup.follower import Follower
from khive_persist.sessions.rollup.hours import BY, Hours, Overview
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.sessions.rollup.session_item import SORTS, SessionItem
from khive_persist.sessions.rollup.sessions import SessionQuery, session, sessions
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.connection import open_writer
from tests.factories import make_project, row, store_rows
from tests.hypotheses import examples
from tests.server.filling import BEGIN, delete, event, fill, message
from tests.stored import select

PRICES = PriceTable(
    ["priced input=1 output=2 cache_read=0.5", "priced prompt_over=500 input=3 output=4"]
)
NOTHING: list[Any] = [0, 0, 0, 0, 0, 0, 0, 0, None, 0]
MODELS = ("priced", "of-no-price")
SESSIONS = ("ß", "ß", None)


@asynccontextmanager
async def following_project(project: Project) -> AsyncIterator[Follower]:
    rollup = Rollup()
    follower = Follower(
        lambda purpose: Reader([(project.database(purpose.file), purpose)]), rollup, PRICES
    )
    try:
        yield follower
    finally:
        await follower.close()
        rollup.close()


def rows_of(project: Project, purpose: Purpose) -> list[tuple[str, str, dict[str, Any]]]:
    """Id, time and content of each row, read with nothing of ours."""
    sql = f"SELECT id, created_at, content FROM {purpose.table}"
    found = select(project, purpose.file, sql)
    return [(id, at, json.loads(content)) for id, at, content in found]


def recounted(
    project: Project, by: str, listed: Mapping[str, SessionItem]
) -> dict[tuple[str, str | None], list[Any]]:
    """The sums by hour and group, counted row by row.

    What names no group counts with its session, which is in the group that the list shows; what it
    spent does not.
    """
    sums: dict[tuple[str, str | None], list[Any]] = {}
    field = {"project": "cwd"}.get(by, by)

    def group(at: str, name: str | None) -> list[Any]:
        return sums.setdefault((at[:13], name or None), [0, 0, 0, 0, 0, 0, 0, 0, None, 0])

    for purpose in (*EVENT_FILES.values(), CONVERSATIONS):
        for _, at, content in rows_of(project, purpose):
            item = listed.get(content.get("session_id") or "")
            name = content.get(field)
            counts = group(at, name or getattr(item, by, None))
            if purpose != CONVERSATIONS:
                counts[0] += 1
                counts[1] += content["event_type"] in POST and content.get("success") is False
                continue
            counts[3] += 1
            tokens = content.get("tokens") or {}
            if not any(tokens.values()):
                continue
            spending = group(at, name)
            for number, kind in enumerate(("input", "cache_read", "cache_write", "output"), 4):
                spending[number] += tokens.get(kind, 0)
            instant = clock.from_column(at)
            assert instant is not None
            cost = spent(content, instant, PRICES).cost
            if cost is not None:
                spending[8] = (spending[8] or 0.0) + cost
            else:
                spending[9] += 1
    return sums


def told(found: Overview) -> dict[tuple[str, str | None], list[Any]]:
    return {(at[:13], group): list(sums) for at, group, sums in found.series}


def recounted_sessions(project: Project) -> dict[str, dict[str, Any]]:
    """What is known of each session, gathered row by row."""
    found: dict[str, dict[str, Any]] = {}
    for purpose in (*EVENT_FILES.values(), CONVERSATIONS, PLANNER_SESSIONS):
        for row_id, at, content in rows_of(project, purpose):
            id = content.get("session_id")
            if purpose == PLANNER_SESSIONS:
                id = content.get("agent_session_id") or id
            if not id:
                continue
            one = found.setdefault(
                id,
                {"times": [], "events": 0, "failures": 0, "messages": 0, "tokens": 0, "plans": [],
                 "used": {}, "tools": []},
            )  # fmt: skip
            if purpose == PLANNER_SESSIONS:
                one["plans"].append((at, row_id, content))
                continue
            one["times"].append(at)
            one["tools"].append((purpose == CONVERSATIONS, at, content["tool"]))
            used = sum((content.get("tokens") or {}).values())
            before, last = one["used"].get(content.get("model"), (0, ""))
            one["used"][content.get("model")] = (before + used, max(last, at))
            if purpose == CONVERSATIONS:
                one["messages"] += 1
                one["tokens"] += used
            else:
                one["events"] += 1
                one["failures"] += content["event_type"] in POST and content.get("success") is False
    given: dict[str, list[Any]] = {}
    for row_id, at, content in rows_of(project, OUTCOMES):
        if id := content.get("session_id"):
            order = (content.get("source") != "rule", at, row_id)
            given.setdefault(id, []).append((*order, content["verdict"]))
    return {id: summed(one, id, given) for id, one in found.items()}


def summed(one: dict[str, Any], id: str, given: dict[str, list[Any]]) -> dict[str, Any]:
    # Of two plans of one instant the one with the larger id counts.
    plan: dict[str, Any] = max(one["plans"], key=lambda row: row[:2], default=("", "", {}))[2]
    verdicts = given.get(id) or given.get(plan.get("session_id", ""))
    times = one["times"] or [at for at, *_ in one["plans"]]
    uses = [(*use, model) for model, use in one["used"].items() if model]
    return {
        "started": min(times),
        "last": max(times),
        **{name: one[name] for name in ("events", "failures", "messages", "tokens")},
        "tool": min(one["tools"])[2] if one["tools"] else None,
        "model": max(uses)[2] if uses else None,
        "plans": len(one["plans"]),
        "task_description": plan.get("task_description"),
        "verdict": max(verdicts)[-1] if verdicts else None,
    }


def check(project: Project, follower: Follower, hours: Hours) -> None:
    assert follower.problems == []
    assert follower.progress.is_complete
    everything, rest = sessions(follower.rollup, SessionQuery(), None, 10_000)
    assert rest is None
    listed = {session.session_id: session for session in everything}
    for by in BY:
        expected = recounted(project, by, listed)
        overview = hours.overview(None, None, "hour", by)
        found = told(overview)
        # A session is counted once, and may be of a model that did nothing in that hour.
        of_sessions = [sums[2] for sums in found.values()]
        assert sum(of_sessions) == overview.totals.sessions
        assert sum(sums.sessions for _, sums in overview.groups) == overview.totals.sessions
        for key, sums in found.items():
            more = [*sums[:2], 0, *sums[3:]]
            assert more == pytest.approx(expected.pop(key, NOTHING), abs=1e-9), (by, key)
        assert not expected
        expected = recounted(project, by, listed)
        days: dict[tuple[str, str | None], int] = {}
        for (hour, group), sums in expected.items():
            days[hour[:10], group] = days.get((hour[:10], group), 0) + sums[0]
        by_day = hours.overview(None, None, "day", by)
        events = {(at[:10], group): sums.events for at, group, sums in by_day.series}
        assert {key: count for key, count in events.items() if count or key in days} == days
        assert by_day.totals.events == sum(days.values())
        for since, until in (("2026-11-01 23", None), (None, "2026-11-02 00")):
            some = hours.overview(since, until, "day", by)
            within = [
                sums[0]
                for (hour, _), sums in expected.items()
                if (since is None or hour >= since) and (until is None or hour < until)
            ]
            assert some.totals.events == sum(within)
            assert sum(sums.events for _, sums in some.groups) == sum(within)
    expected_sessions = recounted_sessions(project)
    assert {one.session_id for one in everything} == expected_sessions.keys()
    for one in everything:
        known = {name: getattr(one, name) for name in expected_sessions[one.session_id]}
        assert known == expected_sessions[one.session_id]
    worked = {
        content["session_id"]
        for purpose in (*EVENT_FILES.values(), CONVERSATIONS)
        for *_, content in rows_of(project, purpose)
        if content.get("session_id")
    }
    assert hours.overview(None, None, "day", "model").totals.sessions == len(worked)


# Few of each, so that many rows have all in common: around a midnight.
TIMES = st.integers(0, 3 * 60).map(lambda m: BEGIN + timedelta(hours=12, minutes=m, microseconds=m))
COUNTS = st.integers(0, 700)
TOKENS = st.none() | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("input", "cache_read", "cache_write", "output"), COUNTS)
)
IDS = st.integers(0, 60).map(lambda n: f"id-{n:03}")
COMMON = {"session": st.sampled_from(SESSIONS), "at": TIMES, "id": IDS}
EVENTS = st.fixed_dictionaries(
    COMMON
    | {
        "kind": st.just("event"),
        "tool": st.sampled_from(["claude-code", "codex"]),
        "success": st.sampled_from([True, False, None]),
        "event_type": st.sampled_from(["post_command", "pre_command", "stop_failure"]),
        "cwd": st.sampled_from(["/a", None]),
        "model": st.sampled_from(MODELS),
    }
)
MESSAGES = st.fixed_dictionaries(
    COMMON | {"kind": st.just("message"), "tokens": TOKENS, "model": st.sampled_from(MODELS)}
)
OTHERS = st.fixed_dictionaries(
    COMMON
    | {
        "kind": st.sampled_from(["plan", "verdict"]),
        "word": st.sampled_from("xyz"),
        "source": st.sampled_from(["person", "rule", None]),
        "agent_session_id": st.sampled_from(["agent", "", None]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.lists(EVENTS | MESSAGES | OTHERS, min_size=4, max_size=30)),
        st.tuples(st.just("store"), st.lists(EVENTS | MESSAGES, min_size=10, max_size=30)),
        st.tuples(st.just("settle"), st.none()),
        st.tuples(st.just("delete"), st.sets(IDS, min_size=1, max_size=30)),
        st.tuples(st.just("keep"), st.none()),
        st.tuples(st.just("restore"), st.none()),
        st.tuples(st.just("prune"), st.none()),
        st.tuples(st.just("vacuum"), st.none()),
        st.tuples(st.just("look"), st.none()),
        st.tuples(st.just("settle"), st.none()),
    ),
    min_size=4,
    max_size=14,
)


def apply(project: Project, kept: Path, step: str, value: Any) -> None:
    if step == "store":
        for one in value:
            _store(project, dict(one))
    elif step == "delete":
        for purpose in BUILT_IN:
            if project.database(purpose.file).exists():
                marks = ", ".join("?" * len(value))
                delete(project, purpose, f"id IN ({marks})", *value)
    elif step == "keep":
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for purpose in BUILT_IN:
            if (path := project.database(purpose.file)).exists():
                connection = open_writer(path, purpose)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.close()
                shutil.copy(path, kept / path.name)
    elif step == "restore" and kept.exists():
        for purpose in BUILT_IN:
            path = project.database(purpose.file)
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            if (copy := kept / path.name).exists():
                shutil.copy(copy, path)
    elif step == "prune":
        before = BEGIN + timedelta(hours=13, minutes=20)
        for purpose in EVENT_FILES.values():
            if project.database(purpose.file).exists():
                delete(project, purpose, "created_at < ?", clock.to_text(before))
    elif step == "vacuum":
        for purpose in BUILT_IN:
            if (path := project.database(purpose.file)).exists():
                connection = open_writer(path, purpose)
                connection.execute("VACUUM")
                connection.close()


def _store(project: Project, one: dict[str, Any]) -> None:
    kind, id, at = one.pop("kind"), one.pop("id"), one.pop("at")
    named = {name: value for name, value in one.items() if value is not None and name != "session"}
    if one["session"] is not None:
        named["session_id"] = one["session"]
    match kind:
        case "event":
            purpose = HOOK_EVENTS[one["tool"]]
            content = named
        case "message":
            purpose, content = CONVERSATIONS, {"tool": "codex", "role": "assistant", **named}
        case "plan":
            purpose = PLANNER_SESSIONS
            content = {"task_description": named.pop("word"), "complexity": "simple", **named}
        case _:
            purpose = OUTCOMES
            content = {"verdict": named.pop("word"), "session_id": "s1", **named}
    store_rows(project, purpose, [row(content, at, id)])


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(steps=STEPS, few_rows=st.sampled_from([3, 2_000]))
def test_it_equals_a_recount_after_whatever_is_done_to_the_files(
    steps: list[tuple[str, Any]], few_rows: int
) -> None:
    async def run(root: Path) -> None:
        project = make_project(root)
        async with following_project(project) as follower:
            hours = Hours(follower.rollup)
            for step, value in steps:
                apply(project, root / "kept", step, value)
                if step == "look":
                    await follower.look()
                elif step == "settle":
                    await follower.settle()
                    check(project, follower, hours)
            await follower.settle()
            check(project, follower, hours)

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(following, "CHUNK_ROWS", few_rows)
        patch.setattr(following, "TAIL_ROWS", 5)
        anyio.run(run, Path(folder))


async def test_what_is_new_and_changes_at_the_end_are_seen_at_the_next_look(
    project: Project,
) -> None:
    fill(project)
    async with following_project(project) as follower:
        hours = Hours(follower.rollup)
        await follower.settle()
        check(project, follower, hours)
        at = BEGIN + timedelta(days=20)
        new = message("s-new", at, tokens={"input": 3}, model="priced")
        store_rows(project, CONVERSATIONS, [new])
        store_rows(project, HOOK_EVENTS["codex"], [event("s-new", at, "codex", success=False)])
        await follower.look()
        check(project, follower, hours)
        content = json.loads(new[1]) | {"tokens": {"input": 9, "output": 1}}
        store_rows(project, CONVERSATIONS, [(new[0], json.dumps(content), "{}", new[3], None)])
        await follower.look()
        check(project, follower, hours)
        delete(project, HOOK_EVENTS["codex"], "rowid = (SELECT max(rowid) FROM hook_events)")
        store_rows(project, HOOK_EVENTS["codex"], [event("another", at, "codex")])
        await follower.look()
        check(project, follower, hours)


async def test_the_newest_rows_are_counted_first(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CHUNK_ROWS", 10)
    events = [
        event(f"s{number}", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number))
        for number in range(25)
    ]
    store_rows(project, HOOK_EVENTS["claude-code"], events)
    async with following_project(project) as follower:
        assert await follower.look()
        assert follower.progress == (False, 0, 25)
        assert await follower.look()
        assert follower.progress == (False, 10, 25)
        assert session(follower.rollup, "s24")
        assert not session(follower.rollup, "s14")
        store_rows(project, HOOK_EVENTS["claude-code"], [event("new", BEGIN)])
        assert await follower.look()
        assert session(follower.rollup, "new")
        assert not session(follower.rollup, "s4")
        await follower.settle()
        assert follower.progress == (True, 26, 26)


async def test_more_new_rows_than_a_chunk_are_counted_while_the_old_ones_are_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CHUNK_ROWS", 3)
    purpose = HOOK_EVENTS["codex"]
    store_rows(project, purpose, [event("old", BEGIN, "codex") for _ in range(12)])
    async with following_project(project) as follower:
        assert await follower.look()
        store_rows(project, purpose, [event("new", BEGIN, "codex") for _ in range(10)])
        while await follower.look():
            continue
        check(project, follower, Hours(follower.rollup))


async def test_rows_that_are_gone_are_noticed_without_a_recount_being_due(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "TAIL_ROWS", 3)
    fill(project)
    async with following_project(project) as follower:
        while await follower.look():
            continue
        for file in follower._files:
            # Long after this test: only their number can tell.
            file.recount_at += 1_000
        delete(project, HOOK_EVENTS["claude-code"], "rowid = 1")
        while await follower.look():
            continue
        check(project, follower, Hours(follower.rollup))


async def test_numbers_of_deleted_rows_that_are_given_again_are_new(project: Project) -> None:
    purpose = HOOK_EVENTS["codex"]
    store_rows(project, purpose, [event("s", BEGIN, "codex") for _ in range(5)])
    async with following_project(project) as follower:
        hours = Hours(follower.rollup)
        await follower.settle()
        delete(project, purpose, "1")
        await follower.settle()
        check(project, follower, hours)
        store_rows(project, purpose, [event("t", BEGIN, "codex")])
        await follower.look()
        check(project, follower, hours)


async def test_what_changes_while_a_file_is_counted_anew_is_not_undone_by_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CHUNK_ROWS", 2)
    purpose = HOOK_EVENTS["codex"]
    rows = [event(f"s{n}", BEGIN, "codex", success=True) for n in range(9)]
    store_rows(project, purpose, rows)
    async with following_project(project) as follower:
        hours = Hours(follower.rollup)
        await follower.settle()
        (file,) = [one for one in follower._files if one.purpose == purpose]
        file.has_changed, file.recount_at = True, 0.0
        assert await follower.look()
        content = json.loads(rows[0][1]) | {"success": False}
        store_rows(project, purpose, [(rows[0][0], json.dumps(content), *rows[0][2:])])
        while file.recounted is not None:
            await follower.look()
        check(project, follower, hours)


async def test_a_damaged_file_keeps_the_others_and_says_so(project: Project) -> None:
    fill(project)
    project.database(HOOK_EVENTS["codex"].file).write_bytes(b"no database" * 1_000)
    async with following_project(project) as follower:
        for _ in range(5):
            await follower.look()
        assert len(follower.problems) == 1
        assert not follower.progress.is_complete
        found, _ = sessions(follower.rollup, SessionQuery(), None, 100)
        assert {one.tool for one in found} == {"claude-code", "gemini-cli"} | {
            one.tool for one in found if one.events == 0
        }


async def test_pages_of_sessions_together_are_all_of_them_in_any_order(project: Project) -> None:
    ids = fill(project, sessions=30)
    async with following_project(project) as follower:
        await follower.settle()
        for sort in SORTS:
            for descending in (True, False):
                wanted = SessionQuery(sort=sort, descending=descending)
                found: list[SessionItem] = []
                after = None
                while True:
                    some, after = sessions(follower.rollup, wanted, after, 7)
                    found += some
                    if after is None:
                        break
                assert sorted(one.session_id for one in found) == sorted(ids)
                name = "duration_seconds" if sort == "duration" else sort
                values = [getattr(one, name) for one in found]
                missing = [value is None for value in values]
                # What is not known is below all that is.
                assert missing == sorted(missing, reverse=not descending)
                keys = [value for value in values if value is not None]
                folded = [key.lower() if isinstance(key, str) else key for key in keys]
                assert folded == sorted(folded, reverse=descending)


async def test_words_are_looked_for_in_titles_tasks_and_projects_and_ids(project: Project) -> None:
    prompt = {"event_type": "prompt_submitted", "payload": {"prompt": "Größe ändern"}}
    store_rows(
        project, HOOK_EVENTS["codex"], [event("abc-1", BEGIN, "codex", cwd="/src/Parser", **prompt)]
    )
    plan = {"session_id": "abc-2", "task_description": "Write the parser", "complexity": "simple"}
    store_rows(project, PLANNER_SESSIONS, [row(plan, BEGIN)])
    async with following_project(project) as follower:
        await follower.settle()

        def found(*words: str) -> set[str]:
            some, _ = sessions(follower.rollup, SessionQuery(words=words), None, 10)
            return {one.session_id for one in some}

        assert found("GRÖSSE") == found("größe", "parser") == {"abc-1"}
        assert found("parser") == found("abc") == {"abc-1", "abc-2"}
        assert found("write", "abc-2") == {"abc-2"}
        assert found("bc-2") == found("parser", "nothing") == set()


async def test_what_a_tool_tells_in_the_users_name_is_no_title(project: Project) -> None:
    texts = (
        "<environment_context>\n<cwd>/src</cwd>", "<session_context>\nToday is",
        "<user_instructions>\nBe brief", "<subagent_notification>\n{}",
        "<command-name>/clear</command-name>", "<local-command-stdout>",
        "<b> is drawn wrong", "Later",
    )  # fmt: skip
    said = [
        message("s", BEGIN + timedelta(seconds=n), role="user", text=text)
        for n, text in enumerate(texts)
    ]
    store_rows(project, CONVERSATIONS, said)
    async with following_project(project) as follower:
        await follower.settle()
        assert session(follower.rollup, "s")[0].title == "<b> is drawn wrong"


async def test_words_that_many_sessions_have_are_found_in_the_same_order(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project, sessions=40)
    async with following_project(project) as follower:
        await follower.settle()
        for words in (("page",), ("write", "3"), ("write", "project1")):
            wanted = SessionQuery(words=words, sort="events")
            assert follower.rollup.find(words) is not None
            in_all, _ = sessions(follower.rollup, wanted, None, 100)
            with monkeypatch.context() as patch:
                patch.setattr("khive_persist.sessions.rollup.rollup._ONE_IN", 1_000_000)
                assert follower.rollup.find(words) is None
                one_by_one, _ = sessions(follower.rollup, wanted, None, 100)
            assert in_all == one_by_one
            assert in_all


async def test_the_latest_plan_and_verdict_are_those_that_are_told(project: Project) -> None:
    async with following_project(project) as follower:
        for minute, word in ((5, "middle"), (9, "last"), (1, "first")):
            at = BEGIN + timedelta(minutes=minute)
            plan = {"session_id": "s", "task_description": word, "complexity": "simple"}
            store_rows(project, PLANNER_SESSIONS, [row(plan, at)])
            store_rows(project, OUTCOMES, [row({"session_id": "s", "verdict": word}, at)])
            await follower.look()
        found = session(follower.rollup, "s")[0]
        assert (found.task_description, found.verdict) == ("last", "last")
        assert found.started == clock.to_text(BEGIN + timedelta(minutes=1))


async def test_prices_that_change_are_those_of_all_messages_then(project: Project) -> None:
    store_rows(
        project, CONVERSATIONS, [message("s", BEGIN, model="dear", tokens={"input": 1_000_000})]
    )
    async with following_project(project) as follower:
        await follower.settle()
        assert session(follower.rollup, "s")[0].cost is None
        follower.set_prices(PriceTable(["dear input=7"]))
        await follower.settle()
        assert session(follower.rollup, "s")[0].cost == 7.0


async def test_the_time_of_an_old_file_counts_as_it_is_read(project: Project) -> None:
    odd = [
        (str(uuid.uuid4()), '{"event_type":"stop","session_id":"old"}', "{}", at, None)
        for at in ("2026-11-02T10:00:00+02:00", 1_762_000_000.5, "never")
    ]
    store_rows(project, HOOK_EVENTS["claude-code"], odd)
    async with following_project(project) as follower:
        await follower.settle()
        found = session(follower.rollup, "old")[0]
        # What cannot be read is no time of the session.
        assert found.started == "2025-11-01 12:26:40.500000"
        assert found.last == "2026-11-02 08:00:00.000000"
        assert found.events == 3
