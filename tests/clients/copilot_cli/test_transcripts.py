"""Copilot CLI's transcripts: messages, tokens by an independent count, results, agents, places."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from khive_persist.sessions.lineage.endings import ending_of
from khive_persist.tools import project as tools_project
from khive_persist.tools import transcripts_of
from khive_persist.transcripts import discovery
from tests.clients.copilot_cli.recorded import (
    SCENARIOS,
    messages,
    session_of,
    synced,
    transcript,
)

# Input in all, of that cached, output and reasoning, as the model's server counted them.
COUNTED = {
    "command": (203, 83, 23, 6),
    "failure": (207, 87, 27, 6),
    "edit": (426, 186, 66, 12),
    "parallel": (219, 99, 39, 6),
    "agent": (450, 210, 90, 12),
    "mcp": (306, 126, 36, 9),
    "nested": (675, 315, 135, 18),
    # The summary's 119, 59 and 29 with it, whose reasoning the client does not tell.
    "compaction": (470, 230, 110, 9),
}


def results(project: Project) -> list[dict[str, Any]]:
    return [r for m in messages(project) for r in m.get("tool_results", ())]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_line_is_known_and_read_once(project: Project, scenario: str) -> None:
    first = synced(project, scenario)
    assert first.unknown == {}
    assert first.damaged == 0
    assert {m["session_id"] for m in messages(project)} == {session_of(scenario)}
    assert synced(project, scenario).new == 0


@pytest.mark.parametrize("scenario", COUNTED)
def test_tokens_are_those_of_the_models_server(project: Project, scenario: str) -> None:
    synced(project, scenario)
    total: Counter[str] = Counter()
    for message in messages(project):
        total.update(message.get("tokens", {}))
        if "tokens" in message:
            assert message["model"] == "mock-model"
    counted = COUNTED[scenario]
    assert total["input"] + total["cache_read"] == counted[0]
    assert (total["cache_read"], total["output"], total["reasoning"]) == counted[1:]


def test_an_answer_has_its_tokens_thinking_and_calls(project: Project) -> None:
    synced(project, "compaction")
    said = messages(project)
    (thought,) = [m for m in said if m.get("thinking")]
    assert (thought["thinking"], thought["text"]) == ("thinking about it", "Thought.")
    assert thought["tokens"]["output"] == 26
    (asked,) = [m for m in said if m.get("tool_calls")]
    assert asked["tokens"]["output"] == 27
    assert asked["tool_calls"][0]["input"]["command"] == "echo hello-from-tool"
    (summary,) = [m for m in said if m["kind"] == "compaction"]
    assert (summary["role"], summary["text"]) == ("system", "All done.")
    assert summary["tokens"]["output"] == 29
    assert [m["text"] for m in said if m["role"] == "user"] == ["SCRIPT:think", "SCRIPT:echo"]


@pytest.mark.parametrize(
    ("scenario", "endings"),
    [
        ("command", ["done"]),
        ("failure", ["failed"]),
        ("edit", ["done", "done", "failed"]),
        ("mcp", ["done", "failed"]),
        ("denied", ["denied"]),
        ("interrupt", ["interrupted"]),
    ],
)
def test_how_calls_ended(project: Project, scenario: str, endings: list[str]) -> None:
    synced(project, scenario)
    assert [ending_of("copilot-cli", result) for result in results(project)] == endings


def test_what_a_result_tells(project: Project) -> None:
    for scenario in ("failure", "edit", "shell"):
        synced(project, scenario)
    found = {str(r["tool_use_id"]): r for r in results(project)}
    assert [r["exit_code"] for r in found.values() if "exit_code" in r] == [3]
    assert [r["file_paths"] for r in found.values() if "file_paths" in r] == [
        ["/home/dev/src/proj/note.txt"]
    ] * 2
    assert [r["name"] for r in found.values() if r.get("is_running")] == ["bash"]


def test_agents_are_told_apart(project: Project) -> None:
    synced(project, "nested")
    agents: dict[str, dict[str, Any]] = {}
    for message in messages(project):
        if "agent_id" in message:
            agents.setdefault(message["agent_id"], message)
    outer, inner = agents.values()
    assert outer["agent_type"] == inner["agent_type"] == "general-purpose"
    assert (outer["parent_is_session"], inner["parent_agent_id"]) == (True, outer["agent_id"])
    spawned = [r["spawned_agent_id"] for r in results(project) if "spawned_agent_id" in r]
    assert sorted(spawned) == sorted(agents)


def test_what_the_client_says_is_no_prompt(project: Project) -> None:
    synced(project, "background")
    kinds = [m["kind"] for m in messages(project) if m["role"] == "user" and "agent_id" not in m]
    assert kinds.count("message") == 1
    assert set(kinds) <= {"message", "task_notification", "context"}


@pytest.mark.parametrize("variable", ["HOME", "COPILOT_HOME"])
def test_a_session_is_found_by_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    project, other = tmp_path / "proj 🙂", tmp_path / "other"
    home = tmp_path / "home"
    monkeypatch.delenv("COPILOT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    folder = home / ".copilot"
    if variable == "COPILOT_HOME":
        folder = tmp_path / "elsewhere"
        monkeypatch.setenv(variable, str(folder))
    for scenario, directory in (("command", project), ("failure", other), ("edit", project / "x")):
        directory.mkdir(parents=True)
        path = folder / "session-state" / session_of(scenario) / "events.jsonl"
        path.parent.mkdir(parents=True)
        text = transcript(scenario).read_text()
        path.write_text(text.replace('"/home/dev/src/proj"', json.dumps(str(directory))))
    find = transcripts_of("copilot-cli").find
    found = {path.parent.name for path in find(tools_project.Project(project))}
    assert found == {session_of("command"), session_of("edit")}
    assert len(list(find(None))) == 3
    for path in find(None):
        assert discovery.tool_of(path) == "copilot-cli"
        assert discovery.session_of(discovery.Transcript("copilot-cli", path)) == path.parent.name


@pytest.mark.parametrize(
    "line",
    [
        {"type": 3, "data": 4, "id": 5},
        {"type": "user.message", "data": {"content": []}, "id": "a", "timestamp": 1},
        {"type": "assistant.message", "data": {"toolRequests": [1, {}]}, "id": "b"},
        {"type": "session.usage_record", "data": {"usage": {"inputTokens": "x"}}, "id": "c"},
        {"type": "tool.execution_complete", "data": {"fileEdits": 1, "error": []}, "id": "d"},
        {"type": "hook.start", "data": {"hookType": [], "input": {"timestamp": 1e99}}, "id": "e"},
        {"type": "hook.start", "data": {"hookType": "agentStop", "input": {"timestamp": 10**30}},
         "id": "f"},
        {"type": "session.start", "data": {"context": [], "sessionId": {}}, "id": "g"},
        {"type": "subagent.started", "data": {"toolCallId": {}}, "agentId": [], "id": "h"},
        {"type": "session.compaction_complete", "data": {"compactionTokensUsed": 5}, "id": "i"},
    ],
)  # fmt: skip
def test_odd_lines_raise_nothing(line: dict[str, Any]) -> None:
    reader = transcripts_of("copilot-cli").reader({})
    json.dumps([part.fields for part in reader.read(line).parts])
