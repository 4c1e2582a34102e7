"""Output that any reader of JSON reads, whatever numbers, bytes and names are in it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.capture.spool import Spool
from khive_persist.models.hook_event import HookEvent
from khive_persist.project import Project
from tests.cli.conftest import Done, Khive

BIG = 340282366920938463463374607431768211455
PAYLOAD = (
    b'{"session_id":"s1","hook_event_name":"PostToolUse","tool_name":"mcp__db__q",'
    b'"tool_input":{"id":%d,"least":-9223372036854775809},"tool_response":{"v":1e400,"w":-1e999}}'
) % BIG


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


def strict(done: Done, *, is_one: bool = False) -> list[Any]:
    """The documents of an output, which two readers of JSON have read."""
    assert done.code == 0
    texts = [done.out] if is_one else done.out.splitlines()
    for text in texts:
        orjson.loads(text)
        assert "Infinity" not in text
        assert "NaN" not in text
    return [json.loads(text, parse_constant=refuse) for text in texts]


@pytest.fixture
def odd(project: Project) -> Project:
    """A project with numbers beyond 64 bits and beyond a float, in each kind of column."""
    Spool(project).accept("claude-code", PAYLOAD)

    async def save() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            plan: Any = {"session_id": "s1", "task_description": "", "execution_plan": [BIG],
                         "planning_cost": float("nan"), "confidence": float("-inf")}  # fmt: skip
            await plans.save(PlannerSession(content=plan))

    anyio.run(save)
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        connection.execute(
            "INSERT INTO planner_sessions (id, content) VALUES"
            ' (\'old\', \'{"session_id":"s2","confidence":1e400,"planning_cost":-1e400}\')'
        )
        connection.commit()
    return project


@pytest.mark.parametrize(
    "words",
    [
        ("events", "--json"),
        ("events", "--jsonl"),
        ("show", "s1", "--jsonl"),
        ("sessions", "--jsonl"),
        ("stats", "--json"),
        ("outcomes", "--json"),
        ("query", "SELECT * FROM planner_sessions", "--jsonl"),
        ("query", "SELECT confidence, planning_cost FROM plans", "--json"),
        ("export", "--purpose", "planner_sessions"),
        ("export", "--purpose", "claude_hooks"),
    ],
    ids=" ".join,
)
def test_every_output_is_json_to_any_reader(
    odd: Project, khive: Khive, words: tuple[str, ...]
) -> None:
    assert strict(khive(*words), is_one="--json" in words)


def test_integers_of_any_length_are_shown_as_they_came(odd: Project, khive: Khive) -> None:
    ((event,),) = strict(khive("events", "--json"), is_one=True)
    payload = event["content"]["payload"]
    assert payload["tool_input"] == {"id": BIG, "least": -9223372036854775809}
    assert payload["tool_response"] == {"v": "1e400", "w": "-1e999"}
    (plan,) = [
        p for p in khive("show", "s1", "--jsonl").lines if "task_description" in p["content"]
    ]
    assert plan["content"]["execution_plan"] == [BIG]
    assert (plan["content"]["planning_cost"], plan["content"]["confidence"]) == ("nan", "-inf")


def test_python_and_both_copies_keep_integers_of_any_length(odd: Project, khive: Khive) -> None:
    async def read() -> HookEvent:
        async with open_store(HookEvent, dir=odd.root) as events:
            (event,) = await events.find()
            event.node_metadata["seen"] = True
            await events.save(event)
            return await events.get(event.id)

    event = anyio.run(read)
    assert event.content["payload"]["tool_input"]["id"] == BIG
    assert event.content["payload"]["tool_response"]["v"] == float("inf")
    row = "SELECT json_extract(content, '$.payload') FROM hook_events"
    with closing(sqlite3.connect(odd.database("claude_hooks.db"))) as connection:
        assert PAYLOAD.decode().split(',"tool_name"')[1] in connection.execute(row).fetchone()[0]
    assert khive("rebuild", "--from-database").code == 0
    for path in odd.sessions.glob("*.json*"):
        text = path.read_bytes()
        for document in text.splitlines() if path.suffix == ".jsonl" else [text]:
            orjson.loads(document)
    assert khive("verify").code == 0


def test_query_loses_no_column_and_no_byte(project: Project, khive: Khive) -> None:
    project.make()
    sql = "SELECT 1 AS a, 2 AS a, 3 AS a_2, x'00ff41' AS b, 9e999 AS c, -9e999 AS d, NULL AS e"
    wanted = {"a": 1, "a_3": 2, "a_2": 3, "b": {"base64": "AP9B"}, "c": "9e999", "d": "-9e999",
              "e": None}  # fmt: skip
    assert strict(khive("query", sql, "--json"), is_one=True) == [[wanted]]
    assert strict(khive("query", sql, "--jsonl")) == [wanted]
    header, cells = khive("query", sql).out.splitlines()
    assert header.split() == ["a", "a_3", "a_2", "b", "c", "d", "e"]
    assert cells.split() == ["1", "2", "3", "x'00ff41'", "9e999", "-9e999", "-"]


def test_text_passes_no_threshold(project: Project, khive: Khive, tmp_path: Path) -> None:
    contents = {"a": (0.9, 1.0), "b": ("high", "n/a"), "c": ("0.95", "2.50")}
    lines = [
        {"id": id, "purpose": "planner_sessions", "created_at": "2026-11-01 10:00:00.000000",
         "content": {"session_id": id, "task_description": "", "complexity": "complex",
                     "confidence": confidence, "planning_cost": cost}}
        for id, (confidence, cost) in contents.items()
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert khive("import", str(tmp_path / "rows.jsonl")).code == 0
    for words in (
        ("export", "--purpose", "planner_sessions", "--min-confidence", "0.8"),
        ("export", "--purpose", "planner_sessions", "--max-cost", "5"),
        ("sessions", "--min-confidence", "0.8", "--jsonl"),
        ("sessions", "--max-cost", "5", "--jsonl"),
    ):
        found = khive(*words).lines
        assert [one.get("session_id") or one["content"]["session_id"] for one in found] == ["a"]
    plans = khive("stats", "--json").json["plans"]
    assert (plans["avg_confidence"], plans["total_cost"]) == (0.9, 1.0)
    assert plans["not_numbers"] == {"confidence": 2, "planning_cost": 2}
