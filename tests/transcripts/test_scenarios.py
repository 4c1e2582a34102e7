"""What the three real clients wrote, scenario by scenario, against a count made straight from it.

`scenarios/` has their lines: paths are replaced, and long texts cut.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.transcripts.sync import Sync
from tests.factories import make_project
from tests.stored import select

SCENARIOS = Path(__file__).parent / "scenarios"
ALL = sorted(str(path.relative_to(SCENARIOS)) for path in SCENARIOS.glob("*/*"))


class Count(NamedTuple):
    """Messages, tokens as the tool counts them, and tool calls, by session."""

    messages: Counter[str]
    tokens: Counter[tuple[str, str]]
    calls: Counter[tuple[str, str]]


def transcripts(scenario: str) -> list[Path]:
    return sorted((SCENARIOS / scenario).rglob("*.jsonl"))


def lines(path: Path) -> Iterator[Any]:
    yield from map(json.loads, path.read_text("utf-8").splitlines())


def claude_code(paths: list[Path]) -> Count:
    owner: dict[Any, str] = {}
    usages: dict[Any, Any] = {}
    calls: dict[str, str] = {}
    # What a fork repeats was said before it: the session whose file is older said it.
    for path in sorted(paths, key=lambda path: next(filter(None, map(began_at, lines(path))))):
        for line in lines(path):
            key = line.get("forkedFrom", {}).get("messageUuid") or line.get("uuid")
            if line["type"] == "assistant":
                key = (line["message"]["id"], line.get("requestId"))
                usages[key] = line["message"]["usage"]
            if line["type"] not in ("assistant", "user", "system", "attachment"):
                continue
            session = owner.setdefault(key, line["sessionId"])
            for block in line.get("message", {}).get("content", []):
                if isinstance(block, dict) and block["type"] == "tool_use":
                    calls.setdefault(block["id"], session)
    return counted(owner, [(owner[k], u) for k, u in usages.items()], [*calls.items()])


def began_at(line: Any) -> str | None:
    at: str | None = line.get("timestamp")
    return at


def codex(paths: list[Path]) -> Count:
    owner: dict[Any, str] = {}
    usages: list[tuple[str, Any]] = []
    calls: dict[str, str] = {}
    for path in paths:
        for line in lines(path):
            payload = line["payload"]
            if line["type"] == "session_meta" and "session_id" in payload:
                session = payload["session_id"]
            if line["type"] == "response_item":
                owner[payload["id"]] = session
                if payload["type"] in ("function_call", "custom_tool_call"):
                    calls[payload["call_id"]] = session
            elif line["type"] == "compacted":
                owner[path, line["ordinal"]] = session
            elif line["type"] == "token_usage_record":
                usages.append((session, payload["usage"]))
    return counted(owner, usages, [*calls.items()])


def gemini_cli(paths: list[Path]) -> Count:
    owner: dict[Any, str] = {}
    usages: dict[Any, tuple[str, Any]] = {}
    calls: dict[str, str] = {}
    for path in paths:
        chat = next(line["sessionId"] for line in lines(path))
        session = chat if path.name.startswith("session-") else path.parent.name
        for line in lines(path):
            for message in [line, *line.get("$set", {}).get("messages", [])]:
                if "id" in message and not message["id"].endswith("_response"):
                    owner[chat, message["id"]] = session
                    if "tokens" in message:
                        usages[chat, message["id"]] = (session, message["tokens"])
                    calls |= {call["id"]: session for call in message.get("toolCalls", [])}
    return counted(owner, list(usages.values()), [*calls.items()])


def counted(owner: dict[Any, str], usages: list[tuple[str, Any]], calls: Any) -> Count:
    tokens: Counter[tuple[str, str]] = Counter()
    for session, usage in usages:
        tokens.update({(session, n): v for n, v in usage.items() if isinstance(v, int) and v})
    return Count(
        Counter(owner.values()), tokens, Counter((session, call) for call, session in calls)
    )


COUNTS = {"claude-code": claude_code, "codex": codex, "gemini-cli": gemini_cli}


def contents(project: Project) -> list[dict[str, Any]]:
    found = select(project, "conversations.db", "SELECT content FROM messages")
    return [json.loads(content) for (content,) in found]


def stored(project: Project) -> Count:
    messages = [one for one in contents(project) if one["role"] != "none"]
    return counted(
        {number: message["session_id"] for number, message in enumerate(messages)},
        [(message["session_id"], message.get("usage", {})) for message in messages],
        [
            (call["tool_use_id"], message["session_id"])
            for message in messages
            for call in message.get("tool_calls", ())
        ],
    )


def rows(project: Project) -> dict[str, Any]:
    sql = "SELECT id, content, created_at FROM messages"
    found = select(project, "conversations.db", sql)
    return {id: (json.loads(content), created_at) for id, content, created_at in found}


@pytest.mark.parametrize("scenario", ALL)
def test_messages_tokens_and_calls_are_those_of_the_transcripts(
    project: Project, scenario: str
) -> None:
    tool = scenario.split("/")[0]
    sync = Sync(project, Settings(), None)
    done = [sync.run(path, tool) for path in transcripts(scenario)]
    assert stored(project) == COUNTS[tool](transcripts(scenario))
    assert [(one.unknown, one.damaged) for one in done] == [({}, 0)] * len(done)
    with compared(project, mirrored(project)) as comparison:
        assert comparison.is_equal


@pytest.mark.parametrize("scenario", ALL)
def test_whatever_file_is_read_first_the_rows_are_the_same(
    project: Project, tmp_path: Path, scenario: str
) -> None:
    tool = scenario.split("/")[0]
    other = make_project(tmp_path / "other")
    for at, paths in ((project, transcripts(scenario)), (other, transcripts(scenario)[::-1])):
        for path in paths:
            Sync(at, Settings(), None).run(path, tool)
    assert rows(other) == rows(project)
    with compared(other, mirrored(other)) as comparison:
        assert comparison.is_equal


@pytest.mark.parametrize("scenario", ALL)
def test_read_while_they_grow_the_rows_are_the_same(
    project: Project, tmp_path: Path, scenario: str
) -> None:
    """A sync at each Stop reads up to there; here, after every few lines."""
    tool = scenario.split("/")[0]
    other = make_project(tmp_path / "other")
    for path in transcripts(scenario):
        Sync(project, Settings(), None).run(path, tool)
        growing = tmp_path / "files" / path.relative_to(SCENARIOS)
        growing.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".meta.json")
        if beside.exists():
            growing.with_suffix(".meta.json").write_bytes(beside.read_bytes())
        for some in batched(path.read_bytes().splitlines(keepends=True), 5):
            with growing.open("ab") as file:
                file.write(b"".join(some))
            Sync(other, Settings(), None).run(growing, tool)
    assert without_paths(rows(other)) == without_paths(rows(project))


def batched(lines: list[bytes], size: int) -> Iterator[list[bytes]]:
    for begin in range(0, len(lines), size):
        yield lines[begin : begin + size]


def without_paths(found: dict[str, Any]) -> dict[str, Any]:
    return {
        id: ({n: v for n, v in content.items() if n != "transcript_path"}, created_at)
        for id, (content, created_at) in found.items()
    }


@pytest.mark.parametrize("scenario", ALL)
def test_every_row_is_of_the_time_of_its_transcript(project: Project, scenario: str) -> None:
    for path in transcripts(scenario):
        Sync(project, Settings(), None).run(path, scenario.split("/")[0])
    text = "".join(path.read_text("utf-8") for path in transcripts(scenario))
    instants = sorted(re.findall(r'"(?:timestamp|startTime)": ?"(20[^"]+)Z"', text))
    first, last = (one.replace("T", " ").ljust(26, "0") for one in (instants[0], instants[-1]))
    assert all(first <= at <= last for _, at in rows(project).values())
