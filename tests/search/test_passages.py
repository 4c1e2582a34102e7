"""What a record of each kind gives to the index."""

from typing import Any

import pytest

from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    FOCUS_CHAINS,
    MEASUREMENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    SCORES,
    Purpose,
    purpose,
)
from khive_persist.search_index.passages import MOST_CHARACTERS, indexed
from khive_persist.search_index.source import SourceRow
from khive_persist.store import codec

CLAUDE = EVENT_FILES["claude-code"]
OWN = purpose("trainings")


def given(purpose: Purpose, content: Any, **texts: str) -> dict[str, str]:
    row = SourceRow("1", codec.dump(content), "2026-11-21 12:00:00.000000", **texts)
    return {passage.kind: passage.text for passage in indexed(purpose, row).passages}


@pytest.mark.parametrize(
    ("purpose", "content", "passages"),
    [
        (CONVERSATIONS, {"role": "user", "text": "do it"}, {"prompt": "do it"}),
        (CONVERSATIONS, {"role": "user", "kind": "note", "text": "told"}, {"note": "told"}),
        (CONVERSATIONS, {"role": "user", "text": "<command-name>x</command-name>"},
         {"note": "<command-name>x</command-name>"}),
        (CONVERSATIONS, {"role": "assistant", "text": "done", "thinking": "hm", "tool_calls": [
            {"name": "Bash", "input": {"command": "ls", "description": "list"}},
            {"name": "Edit", "input": {"file_path": "/a.py", "new_string": "x = 1"}}]},
         {"answer": "done", "thinking": "hm", "command": "ls\nx = 1", "path": "/a.py"}),
        (CONVERSATIONS, {"role": "user", "tool_results": [
            {"output": [{"type": "text", "text": "fine"}, {"type": "image", "data": "QUJD"}]},
            {"output": "no such file", "is_error": True}, {"output": "bad", "exit_code": 2}]},
         {"output": "fine", "error": "no such file\nbad"}),
        (CONVERSATIONS, {"role": "none", "payload": {"text": "a line that is no message"}}, {}),
        (CLAUDE, {"event_type": "prompt_submitted", "payload": {"prompt": "do it"}},
         {"prompt": "do it"}),
        (CLAUDE, {"event_type": "stop", "output": "done"}, {"answer": "done"}),
        (CLAUDE, {"event_type": "notification", "output": "look"}, {"note": "look"}),
        (CLAUDE, {"event_type": "post_command", "command": "ls", "output": "a", "error": "no",
                  "file_paths": ["/a", "/b"]},
         {"command": "ls", "output": "a", "error": "no", "path": "/a\n/b"}),
        (PLANNER_SESSIONS, {"task_description": "build", "phases": [{"name": "first"}],
                            "evaluations": [{"config": "c", "evaluation": {"why": "short"}}],
                            "consensus": {"chosen": "second"}, "metadata": {"no": "not this"}},
         {"plan": "build\nfirst\nc\nshort\nsecond"}),
        (FOCUS_CHAINS, {"items": [{"text": "a", "status": "x"}, {"text": "b", "status": "y"}]},
         {"todo": "a\nb"}),
        (FOCUS_CHAINS, {"items": [{"text": "a", "status": "x"}, {"text": "b", "status": "y"}],
                        "position": 2, "added": ["b"], "changed": []}, {"todo": "b"}),
        (OUTCOMES, {"verdict": "failure", "note": "late"}, {"note": "failure\nlate"}),
        (APPLICATION_SESSIONS, {"session_id": "s", "participant": "p", "summary": {"a": "b"}},
         {"application": "p\nb"}),
        (MEASUREMENTS, {"name": "pulse", "value": 60, "unit": "bpm"}, {}),
        (SCORES, {"name": "taste", "value": 3, "note": "sweet"}, {"application": "taste\nsweet"}),
        (OWN, {"session_id": "s", "athlete": "Kim", "sets": [{"what": "squat"}, 5]},
         {"note": "Kim\nsquat"}),
        (OWN, "only a text", {"note": "only a text"}),
        (OWN, [1, 2], {}),
    ],
)  # fmt: skip
def test_what_it_gives(purpose: Purpose, content: Any, passages: dict[str, str]) -> None:
    assert given(purpose, content) == passages


def test_an_event_gives_its_whole_output_and_command() -> None:
    content = {"event_type": "post_command", "command": "ls", "output": "the beg"}
    whole = given(CLAUDE, content, output="the beginning", command="ls -l")
    assert whole == {"command": "ls -l", "output": "the beginning"}


def test_a_plan_is_of_the_session_of_its_agent() -> None:
    content = {"session_id": "p", "agent_session_id": "a", "task_description": "t"}
    row = SourceRow("1", codec.dump(content), 0.0)
    assert indexed(PLANNER_SESSIONS, row)[:2] == ("a", "1970-01-01 00:00:00.000000")


def test_a_long_text_is_searched_in_its_beginning() -> None:
    assert len(given(OWN, {"text": "x" * (MOST_CHARACTERS + 9)})["note"]) == MOST_CHARACTERS


def test_what_is_nested_deep_or_odd_gives_what_it_can() -> None:
    nested: Any = "deep"
    for _ in range(200):
        nested = [nested]
    assert given(OWN, {"a": nested, "b": "flat"}) == {"note": "flat"}
    assert given(CONVERSATIONS, {"role": 5, "text": ["x"], "tool_calls": {"name": 1}}) == {}
