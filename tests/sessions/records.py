"""Random sessions, as files hold them, and what is to be said of each by the Python definitions."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from khive_persist import clock
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    HOOK_EVENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions import definitions
from khive_persist.sessions.definitions import ModelUse, Spent
from tests.factories import row, store_rows

# A Monday, so that all of it is in one week.
BEGIN: Final = datetime(2026, 11, 16, 22, 30, tzinfo=clock.now().tzinfo)
PRICES: Final = ("priced input=3 output=15.5 web_search=0.01", "long prompt_over=500 input=1.25")
TIMES = st.integers(0, 300).map(lambda minutes: BEGIN + timedelta(minutes=minutes))
SESSIONS = st.sampled_from(["s1", "s2", "s3"])
MODELS = st.sampled_from(["priced", "long", "of no price", None, ""])
COUNTS = st.integers(0, 900)


def _some(**fields: Any) -> Any:
    """Contents that may lack each of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


EVENTS = st.tuples(
    st.sampled_from(["claude-code", "codex"]).map(lambda tool: HOOK_EVENTS[tool]),
    TIMES,
    st.builds(
        lambda known, rest: known | rest,
        st.fixed_dictionaries(
            {
                "session_id": SESSIONS | st.sampled_from([None, "", 7]),
                "event_type": st.sampled_from(
                    ["pre_command", "post_command", "post_tool_use_failure", "permission_denied",
                     "stop_failure", "stop", "session_start", "prompt_submitted"]
                ),
            }
        ),
        _some(
            tool=st.sampled_from(["cursor", "codex", "claude-code", 5]),
            success=st.sampled_from([True, False, False, None]),
            tool_use_id=st.sampled_from(["t1", "t2", "t3"]),
            tool_name=st.sampled_from(["Bash", "Edit"]),
            payload=st.sampled_from([{"prompt": "an event"}, {"prompt": [{"text": "part"}]}, {}]),
            model=MODELS,
            cwd=st.sampled_from(["/a", "/b"]),
            agent_id=st.sampled_from(["x", "y"]),
            metadata=st.sampled_from([{"has_no_end_event": True}, {}, None]),
        ),
    ),
)  # fmt: skip
MESSAGES = st.tuples(
    st.just(CONVERSATIONS),
    TIMES,
    st.builds(
        lambda known, rest: known | rest,
        st.fixed_dictionaries(
            {"session_id": SESSIONS, "role": st.sampled_from(["assistant", "user", "none"])}
        ),
        _some(
            tool=st.sampled_from(["claude-code", "codex"]),
            text=st.sampled_from(["\n of a\tmessage ", "x" * 10_000, "<command-name>/x", " "]),
            model=MODELS,
            cwd=st.sampled_from(["/b", "/c"]),
            agent_id=st.sampled_from(["x", "y"]),
            tokens=st.none()
            | _some(
                input=COUNTS | st.sampled_from([-4, 2.5, True, "9", 2**70]),
                cache_read=COUNTS,
                cache_write_1h=COUNTS,
                output=COUNTS,
                reasoning=COUNTS,
            ),
            web_searches=st.integers(0, 2),
            prompt_tokens=COUNTS,
            unreported_calls=st.integers(-1, 2),
            unreported_failures=st.integers(0, 1),
        ),
    ),
)
PLANS = st.tuples(
    st.just(PLANNER_SESSIONS),
    TIMES,
    st.builds(
        lambda known, rest: known | rest,
        st.fixed_dictionaries(
            {
                "session_id": SESSIONS | st.just("planner"),
                "task_description": st.sampled_from(["mend it", "make it"]),
            }
        ),
        _some(
            agent_session_id=st.sampled_from(["s1", "only planned", "", None]),
            complexity=st.sampled_from(["simple", "complex", 3]),
            confidence=st.sampled_from([0.5, 0.9, 1.5, -1, "high", True, None]),
            planning_cost=st.sampled_from([0.25, 1]),
            agent_count=st.integers(1, 4),
        ),
    ),
)
VERDICTS = st.tuples(
    st.just(OUTCOMES),
    TIMES,
    st.builds(
        lambda known, rest: known | rest,
        st.fixed_dictionaries(
            {
                "session_id": SESSIONS | st.just("planner"),
                "verdict": st.sampled_from(["success", "partial", "failure"]),
            }
        ),
        _some(source=st.sampled_from(["person", "rule", "rule", None])),
    ),
)
APPLICATIONS = st.tuples(
    st.just(APPLICATION_SESSIONS),
    TIMES,
    st.fixed_dictionaries(
        {"session_id": st.sampled_from(["s1", "application"])},
        optional={
            "participant": st.sampled_from(["ann", "", 3]),
            "scenario": st.sampled_from(["chest_pain", "עברית"]),
        },
    ).map(lambda content: content | {"status": "active", "version": 1}),
)
RECORDS = st.lists(EVENTS | EVENTS | MESSAGES | PLANS | VERDICTS | APPLICATIONS, max_size=30)
Record = tuple[Purpose, datetime, dict[str, Any]]


class Told(NamedTuple):
    """What is to be said of a session."""

    tool: str | None
    model: str | None
    project: str | None
    started: str
    last: str
    duration_seconds: float | None
    events: int
    messages: int
    calls: int
    failures: int
    spent: Spent
    plans: int
    plan: dict[str, Any]
    verdict: str | None


def put(project: Project, records: list[Record]) -> None:
    """Store records, under ids whose order is not that of time."""
    rows: dict[Purpose, list[Any]] = {}
    for number, (purpose, at, content) in enumerate(records):
        id = f"{number * 7919 % 1000:03}"
        rows.setdefault(purpose, []).append(row(content, at, id))
    for purpose, some in rows.items():
        store_rows(project, purpose, some)


def read(
    project: Project, *purposes: Purpose
) -> Iterator[tuple[Purpose, str, str, dict[str, Any]]]:
    """Each row: purpose, id, time and content, read with nothing of ours."""
    for purpose in purposes:
        path = project.database(purpose.file)
        if path.exists():
            connection = sqlite3.connect(path)
            found = connection.execute(f"SELECT id, created_at, content FROM {purpose.table}")
            for id, at, content in found.fetchall():
                yield purpose, id, at, json.loads(content)
            connection.close()


def expected(project: Project, rule: float | None) -> dict[str, Told]:
    """What is to be said of each session, by the Python definitions, row by row."""
    prices = PriceTable(PRICES)
    events: dict[str, list[Any]] = {}
    messages: dict[str, list[Any]] = {}
    plans: dict[str, list[Any]] = {}
    verdicts: dict[str, list[Any]] = {}
    clients = {purpose: client for client, purpose in EVENT_FILES.items()}
    for purpose, _, at, content in read(project, *EVENT_FILES.values()):
        tool = definitions.tool_of(content, clients[purpose])
        events.setdefault(definitions.session_of(content), []).append((at, tool, content))
    for _, _, at, content in read(project, CONVERSATIONS):
        messages.setdefault(definitions.session_of(content), []).append((at, content))
    for _, id, at, content in read(project, PLANNER_SESSIONS):
        plans.setdefault(plan_session(content), []).append((at, id, content))
    for _, id, at, content in read(project, OUTCOMES):
        order = verdict_order(content, at, id)
        verdicts.setdefault(definitions.session_of(content), []).append((order, content["verdict"]))
    found = {}
    for session in (events.keys() | messages.keys() | plans.keys()) - {""}:
        mine, said, planned = (of.get(session, []) for of in (events, messages, plans))
        plan: dict[str, Any] = max(planned, key=lambda one: one[:2], default=("", "", {}))[2]
        spent = Spent()
        for at, content in said:
            spent = spent.plus(definitions.spent(content, _instant(at), prices))
        calls = sum(definitions.is_call_end(content) for *_, content in mine)
        calls += sum(definitions.unreported(content, "calls") for _, content in said)
        failures = sum(definitions.is_failed_call(content) for *_, content in mine)
        failures += sum(definitions.unreported(content, "failures") for _, content in said)
        given = verdicts.get(session) or verdicts.get(definitions.session_of(plan)) or []
        by_rule = definitions.ruled(calls, failures, rule)
        work = [at for at, *_ in (*mine, *said)]
        times = work or [at for at, *_ in planned]
        places = [(at, c["cwd"]) for at, *_, c in (*mine, *said) if c.get("cwd")]
        tools = [one[:2] for one in mine] or [(at, c.get("tool", "")) for at, c in said]
        found[session] = Told(
            tool=min(tools)[1] or None if tools else None,
            model=definitions.main_model(_uses(mine, said, prices)),
            project=min(places)[1] if places else None,
            started=min(times),
            last=max(times),
            duration_seconds=(_instant(max(work)) - _instant(min(work))).total_seconds()
            if work
            else None,
            events=len(mine),
            messages=sum(map(definitions.is_message, (content for _, content in said))),
            calls=calls,
            failures=failures,
            spent=spent,
            plans=len(planned),
            plan={name: plan_field(plan, name) for name in definitions.PLAN_FIELDS},
            verdict=max(given)[1] if given else by_rule,
        )
    return found


def plan_session(content: dict[str, Any]) -> str:
    """The session that carries out a plan; an empty text for none."""
    agent_session = content.get("agent_session_id")
    is_named = isinstance(agent_session, str) and agent_session
    return str(agent_session) if is_named else definitions.session_of(content)


def plan_field(content: dict[str, Any], name: str) -> Any:
    """A field of a plan; None where it is of another type, or an infinite number."""
    value = content.get(name)
    if name not in definitions.PLAN_NUMBERS:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= sys.float_info.max else None


def verdict_order(content: dict[str, Any], at: str, id: str) -> tuple[bool, str, str]:
    """The key of a verdict that is largest in the one that counts."""
    return content.get("source") != "rule", at, id


def _uses(mine: list[Any], said: list[Any], prices: PriceTable) -> Iterator[ModelUse]:
    for at, _, content in mine:
        yield ModelUse(0, at, content.get("model") or "")
    for at, content in said:
        used = definitions.spent(content, _instant(at), prices).tokens
        yield ModelUse(used, at, content.get("model") or "")


def _instant(at: str) -> datetime:
    instant = clock.from_column(at)
    assert instant is not None
    return instant
