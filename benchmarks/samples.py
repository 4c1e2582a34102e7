"""The payloads and plans that are measured, shaped as real ones are."""

import json
import random
from collections.abc import Iterator
from typing import Any

from khive_persist import clock
from khive_persist.models.planner_session import PlannerSessionContent

COMPLEXITIES = ("simple", "medium", "complex", "very_complex")
PROSE = """return self value config async await store index query event session planner agent
import test result error path file line print string buffer handler request response"""
WORDS = PROSE.split()


def prose(size: int, seed: int) -> str:
    """Text of this many characters, like code or prose in its letters and lines."""
    some = random.Random(seed)
    text = ""
    while len(text) < size:
        text += " ".join(some.choices(WORDS, k=12)) + "\n"
    return text[:size]


def payload(size: int, number: int = 0, *, post: bool = False) -> bytes:
    """A Claude Code payload of `size` bytes: a Write before it ran, or a Bash call after it."""
    common = {
        "session_id": f"{0x3AEAA724 + number // 200:08x}-c75a-4fc5-9e77-8feafee36ced",
        "transcript_path": "/home/dev/.claude/projects/-home-dev-src-proj/3aeaa724.jsonl",
        "cwd": "/home/dev/src/proj",
        "prompt_id": "88910ae8-e997-49d4-9e1d-485187eec679",
        "permission_mode": "default",
        "effort": {"level": "high"},
        "tool_use_id": f"toolu_{number:020x}",
    }
    make = _bash if post else _write
    bare = len(_line(common | make("")))
    text = prose(size, number)
    while (over := bare + len(json.dumps(text)) - 2 - size) > 0:
        text = text[:-over]
    return _line(common | make(text + "x" * -over))


def plan_rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Rows of plans of about 2 KB, as five columns."""
    some = random.Random(7)
    filler = [prose(1_300, seed) for seed in range(50)]
    metadata = '{"lion_class":"khive_persist.records.planner_session.PlannerSession"}'
    for number in range(count):
        yield (
            clock.new_id(),
            json.dumps(plan(number, some, filler[number % 50])),
            metadata,
            f"2026-11-{number * 28 // count + 1:02d} 10:00:00.{number % 1_000_000:06d}",
            None,
        )


def plan(number: int, some: random.Random, text: str) -> PlannerSessionContent:
    """The content of one plan."""
    return {
        "session_id": f"session-{number:08d}",
        "task_description": text[:200],
        "complexity": some.choice(COMPLEXITIES),
        "agent_count": some.randint(1, 12),
        "workflow_pattern": some.choice(("parallel", "sequential", "hybrid")),
        "confidence": round(some.random(), 4),
        "planning_cost": round(some.random() * 2, 6),
        "evaluations": [{"config": "opus", "response_time_ms": 1834.2, "cost": 0.03}] * 3,
        "consensus": {"method": "vote", "rounds": 2},
        "execution_plan": text[200:],
        "phases": ["analyse", "build", "review"],
        "metadata": {"source": "benchmark"},
    }


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _write(text: str) -> dict[str, Any]:
    tool_input = {"file_path": "/home/dev/src/proj/work/a.py", "content": text}
    return {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": tool_input}


def _bash(text: str) -> dict[str, Any]:
    return {
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "make test", "description": "Run the tests"},
        "tool_response": {"stdout": text, "stderr": "", "interrupted": False, "isImage": False},
        "duration_ms": 311,
    }
