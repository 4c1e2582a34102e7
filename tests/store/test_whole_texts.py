"""`output` and `command` are previews; the view gives the whole, as the payload has it."""

import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.previews import with_whole_texts
from khive_persist.capture.spool import Event
from khive_persist.models.purposes import HOOK_EVENTS, PREVIEW_CHARACTERS
from khive_persist.settings import Settings
from khive_persist.store.codec import Row
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.store.sqlite.readonly_query import AdHoc
from khive_persist.store.sqlite.statements import insert_new
from khive_persist.tools import TOOLS
from khive_persist.transcripts.backfill import event as reconstructed
from tests.payloads import sample_payloads

LONG = 'a "quoted" word, größe, \\back\\slash and 日本語 🚀\n\n' * 40


def claude(response: Any, name: str = "Read") -> dict[str, Any]:
    return {"hook_event_name": "PostToolUse", "tool_name": name, "tool_response": response}


def gemini(text: Any, name: str = "run_shell_command") -> dict[str, Any]:
    response = {"llmContent": text, "returnDisplay": "shown"}
    return {"hook_event_name": "AfterTool", "tool_name": name, "tool_response": response}


def gemini_command(tail: str) -> dict[str, Any]:
    return gemini(f"<untrusted_context>\nOutput: {LONG}end{tail}\n</untrusted_context>")


def copilot(text: str, name: str = "Bash") -> dict[str, Any]:
    result = {"result_type": "success", "text_result_for_llm": text}
    return {"hook_event_name": "PostToolUse", "tool_name": name, "tool_result": result}


BLOCKS: list[Any] = [{"type": "text", "text": LONG}, LONG, {"type": "image"}, {"x": 1}, 7, {}]
PATCH = {"structuredPatch": [{"lines": [" one", "+" + LONG, ""]}, {"lines": ["-two"]}, 3]}
PAYLOADS: list[tuple[str, dict[str, Any]]] = [
    ("claude-code", claude(LONG)),
    ("claude-code", claude(BLOCKS)),
    ("claude-code", claude({"stdout": LONG, "stderr": ""}, "Bash")),
    ("claude-code", claude({"stdout": "", "stderr": LONG}, "Bash")),
    ("claude-code", claude({"stdout": LONG, "stderr": LONG}, "Bash")),
    ("claude-code", claude({"file": {"content": LONG}, "type": "text"})),
    ("claude-code", claude(PATCH, "Edit")),
    ("claude-code", claude({"structuredPatch": [], "content": LONG}, "Write")),
    ("claude-code", claude({"content": BLOCKS, "status": "completed"}, "Agent")),
    ("claude-code", claude({"content": "", "result": LONG, "text": "no"})),
    ("claude-code", claude({"questions": [{"question": LONG}], "answers": {}, "n": 1.5})),
    ("claude-code", {"hook_event_name": "Stop", "last_assistant_message": LONG}),
    ("claude-code", {"hook_event_name": "MessageDisplay", "delta": LONG}),
    ("claude-code", {"hook_event_name": "Notification", "message": LONG}),
    ("claude-code", {"hook_event_name": "PostCompact", "compact_summary": LONG}),
    (
        "claude-code",
        {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": LONG}},
    ),
    ("codex", claude(LONG, "Bash")),
    ("codex", claude(f"Exit code: 1\nWall time: 2 s\nOutput:\n{LONG}", "Bash")),
    ("codex", claude(BLOCKS, "view_image")),
    ("codex", claude({"content": BLOCKS}, "mcp__a__b")),
    ("codex", claude({"content": LONG, "deep": {"a": [1, None, True]}}, "mcp__a__b")),
    ("codex", {"hook_event_name": "Stop", "last_assistant_message": LONG}),
    ("codex", claude("ok", "Bash") | {"tool_input": {"command": LONG}}),
    ("gemini-cli", gemini(LONG, "read_file")),
    ("gemini-cli", gemini(BLOCKS, "read_file")),
    ("gemini-cli", gemini({"text": LONG}, "read_file")),
    ("gemini-cli", gemini({"inlineData": {"data": "x"}, "text": LONG}, "read_file")),
    ("gemini-cli", gemini(None, "read_file") | {"tool_response": {"other": LONG}}),
    ("gemini-cli", gemini(f"<untrusted_context>\n{LONG}\n</untrusted_context>", "read_file")),
    ("gemini-cli", gemini(LONG)),
    ("gemini-cli", gemini_command("")),
    ("gemini-cli", gemini_command("\nExit Code: 1")),
    ("gemini-cli", gemini_command("\nExit Code: 1\nProcess Group PGID: 42")),
    ("gemini-cli", gemini_command("\nBackground PIDs: 1, 2\nProcess Group PGID: 42")),
    ("gemini-cli", gemini_command("\nExit Code: 0\nExit Code: 0")),
    ("gemini-cli", gemini_command("\nProcess Group PGID: 42\nExit Code: 0")),
    ("gemini-cli", gemini_command("\nProcess Group PGID: x")),
    ("gemini-cli", gemini_command("\nExit Code: 12345678901")),
    ("gemini-cli", {"hook_event_name": "AfterAgent", "prompt_response": LONG}),
    ("gemini-cli", {"hook_event_name": "Notification", "message": LONG}),
    ("gemini-cli", {"hook_event_name": "Notification", "details": {"command": LONG}}),
    ("gemini-cli", gemini("x") | {"tool_input": {"command": LONG}}),
    ("copilot-cli", copilot(f"{LONG}end\n<shellId: 0 completed with exit code 3>")),
    ("copilot-cli", copilot(f"{LONG}end\n<command started in background with shellId: s1>")),
    ("copilot-cli", copilot(f"{LONG}<shellId: 0 completed with exit code 3>")),
    ("copilot-cli", copilot(f"{LONG}\n<shellId: 0 completed with exit code 3>", "Read")),
    ("droid", claude(f"{LONG}end\n\n\n[Process exited with code 0]", "Execute")),
    ("droid", claude(f"{LONG}end\nProcess exited with code 0]", "Execute")),
]


def row_of(tool: str, payload: dict[str, Any], id: str = "e1") -> Row:
    event = Event(f"1-{id}-{tool}.event", 1, id, tool, is_away=False, is_cut=False)
    # As the tools do, which escape no more than they must.
    raw = json.dumps(payload, ensure_ascii=False).encode()
    return normalise(event, raw, Settings(), None)


def shown(folder: Path, tool: str, rows: list[Row], *, together: bool = False) -> list[Any]:
    """What the view gives of rows: that of their file, or the one of all files together."""
    purpose = HOOK_EVENTS[tool]
    path = folder / purpose.file
    sql = "SELECT id, command, output FROM events ORDER BY id"
    with closing(open_writer(path, purpose)) as connection:
        connection.executemany(insert_new(purpose.table), rows)
        if not together:
            return connection.execute(sql).fetchall()
    with closing(AdHoc([path])) as adhoc:
        return list(adhoc.run(sql)[1])


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_the_view_gives_the_whole(number: int, together: bool, folder: Path) -> None:
    tool, payload = PAYLOADS[number]
    whole = TOOLS[tool].describe(in_our_words(payload))
    row = row_of(tool, payload)
    content = json.loads(row[1] or "")
    texts = {name: str(whole.get(name, "")) for name in PREVIEW_CHARACTERS}
    assert any(len(text) > PREVIEW_CHARACTERS[name] for name, text in texts.items())
    for name, limit in PREVIEW_CHARACTERS.items():
        assert content.get(name, "") == texts[name][:limit]
    shown_rows = shown(folder, tool, [row], together=together)
    assert shown_rows == [("e1", whole.get("command"), whole.get("output"))]
    whole_content = with_whole_texts(content)
    assert (whole_content.get("command"), whole_content.get("output")) == shown_rows[0][1:]


@pytest.mark.parametrize("tool", TOOLS)
def test_the_view_gives_every_sample_as_it_is_described(tool: str, folder: Path) -> None:
    payloads = [json.loads(line) for line in sample_payloads(tool)]
    rows = {
        row[0]: (row, TOOLS[tool].describe(in_our_words(payload)))
        for nth, payload in enumerate(payloads)
        for row in [row_of(tool, payload, f"{nth:04d}")]
    }
    for id, command, output in shown(folder, tool, [row for row, _ in rows.values()]):
        described = rows[id][1]
        assert (command, output) == (described.get("command"), described.get("output"))


KEYS = (
    "stdout", "stderr", "structuredPatch", "lines", "file", "content", "base64", "result", "text",
    "message", "new_source", "type", "llmContent", "error", "success", "interrupted", "isError",
)  # fmt: skip
TEXTS = ("", "short", LONG, f"Output: {LONG}", f"<untrusted_context>\n{LONG}\n</untrusted_context>")
TAILS = ("", "\n", "\nExit Code: 1", "\nSignal: 9", "\nSignal: a b", "\nBackground PIDs: 1, 2",
         "\nProcess Group PGID: 7")  # fmt: skip
EVENTS = {
    "claude-code": ("PostToolUse", "PostToolUseFailure", "Stop", "Notification", "PreToolUse"),
    "codex": ("PostToolUse", "Stop", "PreToolUse"),
    "gemini-cli": ("AfterTool", "AfterAgent", "Notification", "BeforeTool"),
}


def any_value(draw: random.Random, depth: int = 0) -> Any:
    kind = draw.random()
    if depth > 3 or kind < 0.3:
        return draw.choice(TEXTS)
    if kind < 0.4:
        tail = "".join(draw.choice(TAILS) for _ in range(3))
        return f"<untrusted_context>\nOutput: {LONG}{tail}\n</untrusted_context>"
    if kind < 0.5:
        return draw.choice((1, 2.5, None, True, False))
    if kind < 0.65:
        return [any_value(draw, depth + 1) for _ in range(draw.randint(0, 4))]
    return {key: any_value(draw, depth + 1) for key in draw.sample(KEYS, draw.randint(0, 6))}


def any_payload(draw: random.Random, tool: str) -> dict[str, Any]:
    return {
        "hook_event_name": draw.choice(EVENTS[tool]),
        "tool_name": draw.choice(("Bash", "Read", "Edit", "run_shell_command")),
        "tool_input": {"command": any_value(draw, 2)},
        "tool_response": any_value(draw),
        "details": any_value(draw, 2),
    } | {
        key: any_value(draw, 2) for key in ("last_assistant_message", "message", "prompt_response")
    }


@pytest.mark.parametrize("tool", EVENTS)
def test_the_view_gives_any_payload_as_it_is_described(tool: str, folder: Path) -> None:
    draw = random.Random(7)
    payloads = [any_payload(draw, tool) for _ in range(400)]
    rows = [row_of(tool, payload, f"{nth:04d}") for nth, payload in enumerate(payloads)]
    described = [TOOLS[tool].describe(payload) for payload in payloads]
    shown_rows = [row[1:] for row in shown(folder, tool, rows)]
    assert shown_rows == [(one.get("command"), one.get("output")) for one in described]


def test_a_text_that_the_payload_has_not_stays_as_it_is(folder: Path) -> None:
    beginning = "x" * PREVIEW_CHARACTERS["output"]
    contents: list[dict[str, Any]] = [
        {"event_type": "stop", "output": beginning, "payload": {"dropped": {"bytes": 1}}},
        {"event_type": "stop", "output": beginning + "more"},
        {"event_type": "stop", "output": beginning, "payload": claude("another text" * 50)},
        {"event_type": "stop", "output": beginning, "payload": "no object"},
    ]
    rows: list[Row] = [
        (
            f"e{nth}",
            json.dumps({"tool": "claude-code"} | content),
            "{}",
            "2026-11-21 10:00:00.000000",
            None,
        )
        for nth, content in enumerate(contents)
    ]
    outputs = [content["output"] for content in contents]
    assert [row[2] for row in shown(folder, "claude-code", rows)] == outputs
    assert [with_whole_texts(json.loads(row[1] or ""))["output"] for row in rows] == outputs


async def test_a_view_of_an_earlier_version_is_made_anew(folder: Path) -> None:
    purpose = HOOK_EVENTS["claude-code"]
    with closing(open_writer(folder / purpose.file, purpose)) as connection:
        connection.execute("DROP VIEW events")
        connection.execute(
            "CREATE VIEW events AS SELECT id, json_extract(content, '$.output') AS output"
            " FROM hook_events"
        )
    # Its rows have longer previews.
    tool, payload = PAYLOADS[0]
    id, content, metadata, created_at, embedding = row_of(tool, payload)
    earlier = json.dumps(json.loads(content or "") | {"output": LONG[:1_500]})
    assert shown(folder, tool, [(id, earlier, metadata, created_at, embedding)]) == [
        ("e1", None, LONG)
    ]


def test_an_event_that_is_made_anew_keeps_no_more() -> None:
    payload = claude({"stdout": LONG, "stderr": ""}, "Bash") | {"session_id": "s"}
    payload["tool_input"] = {"command": LONG}
    event = reconstructed("claude-code", "t1", payload, "2026-11-21 10:00:00.000000")
    assert event.content["output"] == LONG[:200]
    assert event.content["command"] == LONG[:500]
    assert event.content["metadata"] == {"cut_fields": ["command"], "reconstructed": True}
    assert event.content["payload"] == payload
