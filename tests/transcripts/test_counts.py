"""Messages, tokens and tool calls of real transcripts against a count made straight from them."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from khive_persist.mirror.schema import schema
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.transcripts.discovery import tool_of
from khive_persist.transcripts.sync import Sync
from tests.stored import select

SAMPLES = Path(__file__).parent / "samples"


def transcripts(tool: str) -> list[Path]:
    return sorted((SAMPLES / tool).rglob("*.jsonl"))


def lines(path: Path) -> Iterator[Any]:
    yield from map(json.loads, path.read_text("utf-8").splitlines())


def synced(project: Project, tool: str) -> None:
    sync = Sync(project, Settings(), None)
    for path in transcripts(tool):
        sync.run(path, tool)


def rows(project: Project, sql: str) -> list[Any]:
    return select(project, "conversations.db", sql)


def stored_calls(project: Project) -> list[tuple[str, str]]:
    return rows(
        project,
        "SELECT json_extract(value, '$.tool_use_id'), json_extract(value, '$.name')"
        " FROM messages, json_each(content, '$.tool_calls') ORDER BY 1",
    )


def stored_tokens(project: Project) -> Counter[str]:
    found = rows(project, "SELECT json_extract(content, '$.usage') FROM messages")
    return added(json.loads(usage) for (usage,) in found if usage)


def added(usages: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for usage in usages:
        total.update({name: n for name, n in usage.items() if isinstance(n, int)})
    return total


def test_claude_code(project: Project) -> None:
    synced(project, "claude-code")
    usages, calls, users = {}, {}, set()
    for path in transcripts("claude-code"):
        for line in lines(path):
            message = line.get("message", {})
            if line["type"] == "assistant":
                usages[message["id"], line.get("requestId")] = message["usage"]
                for block in message["content"]:
                    if block["type"] == "tool_use":
                        calls[block["id"]] = block["name"]
            elif line["type"] == "user":
                users.add(line["uuid"])
    assert stored_tokens(project) == added(usages.values())
    assert stored_calls(project) == sorted(calls.items())
    roles = dict(rows(project, "SELECT role, count(*) FROM conversation GROUP BY role"))
    assert roles["assistant"] == len(usages)
    assert roles["user"] + roles["tool"] == len(users)


def test_codex(project: Project) -> None:
    synced(project, "codex")
    usages, calls, items = [], {}, set()
    for path in transcripts("codex"):
        for line in lines(path):
            payload = line["payload"]
            if line["type"] == "token_usage_record":
                usages.append(payload["usage"])
            elif line["type"] == "response_item":
                items.add(payload["id"])
                if payload["type"] == "function_call":
                    calls[payload["call_id"]] = payload["name"]
    assert stored_tokens(project) == added(usages)
    assert stored_calls(project) == sorted(calls.items())
    assert rows(project, "SELECT count(*) FROM messages") == [(len(items),)]


def test_gemini_cli(project: Project) -> None:
    synced(project, "gemini-cli")
    last: dict[tuple[str, str], Any] = {}
    for path in transcripts("gemini-cli"):
        chat = ""
        for line in lines(path):
            chat = line.get("sessionId", chat)
            for message in [line, *line.get("$set", {}).get("messages", [])]:
                # On resume the client says the results of a message's calls under one more id.
                if "id" in message and not message["id"].endswith("_response"):
                    last[chat, message["id"]] = {**last.get((chat, message["id"]), {}), **message}
    assert rows(project, "SELECT count(*) FROM messages") == [(len(last),)]
    assert stored_tokens(project) == added(m["tokens"] for m in last.values() if "tokens" in m)
    calls = [(call["id"], call["name"]) for m in last.values() for call in m.get("toolCalls", [])]
    assert stored_calls(project) == sorted(calls)


@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_the_tool_is_told_from_the_lines(tool: str) -> None:
    assert {tool_of(path) for path in transcripts(tool)} == {tool}


@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_read_again_and_from_other_files_a_message_is_one(
    project: Project, tmp_path: Path, tool: str
) -> None:
    synced(project, tool)
    before = rows(project, "SELECT * FROM messages ORDER BY id")
    synced(project, tool)
    shutil.rmtree(project.khive / "sync")
    synced(project, tool)
    for path in transcripts(tool):
        copy = tmp_path / "copies" / path.relative_to(SAMPLES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        Sync(project, Settings(), None).run(copy, tool)
    assert rows(project, "SELECT * FROM messages ORDER BY id") == before


def test_no_token_is_in_two_classes(project: Project) -> None:
    for tool in ("claude-code", "codex", "gemini-cli"):
        synced(project, tool)
    classes = ["input", "cache_read", "cache_write", "cache_write_1h", "output"]
    columns = " + ".join(f"coalesce(sum(tokens_{name}), 0)" for name in classes)
    found = dict(rows(project, f"SELECT tool, {columns} FROM conversation GROUP BY tool"))
    totals: Counter[str] = Counter()
    for (usage, tool) in rows(
        project, "SELECT json_extract(content, '$.usage'), json_extract(content, '$.tool')"
        " FROM messages"
    ):  # fmt: skip
        said = json.loads(usage) if usage else {}
        if tool == "claude-code":
            names = ("input_tokens", "output_tokens", "cache_creation_input_tokens")
            totals[tool] += sum(said.get(n, 0) for n in (*names, "cache_read_input_tokens"))
        else:
            totals[tool] += said.get("total_tokens", said.get("total", 0))
    assert found == dict(totals)


def test_subagents_are_under_their_parents(project: Project) -> None:
    for tool in ("claude-code", "codex", "gemini-cli"):
        synced(project, tool)
    found = rows(
        project, "SELECT DISTINCT tool, session_id, agent_id FROM conversation"
        " WHERE agent_id IS NOT NULL ORDER BY tool"
    )  # fmt: skip
    assert found == [
        ("claude-code", "949752ba-dbca-4cef-aed8-56a872909535", "a3950f7d282fa0dfb"),
        ("codex", "01a1fba8-60b7-76a3-a735-c47a2f5f82a7", "01a1fba8-6276-7f21-94e1-7cf20a5d5103"),
        ("gemini-cli", "e2b09b57-9ba8-43f1-a562-a8721b660dcb",
         "1022d2c9-d581-44f9-9df4-f6da4bbc882f"),
    ]  # fmt: skip


def test_the_mirror_of_messages_is_as_the_schema_says(project: Project) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    for tool in ("claude-code", "codex", "gemini-cli"):
        synced(project, tool)
    files = [path for path in project.sessions.iterdir() if path.suffix == ".jsonl"]
    assert {path.name.split("_")[0] for path in files} == {"messages", "focus"}
    for path in files:
        for line in lines(path):
            validator.validate(line)
