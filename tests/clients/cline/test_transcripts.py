"""What Cline 3.0.65 wrote down of a session with a subagent: one document each."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.tools.cline.transcript import Reader, state_of
from khive_persist.transcripts.discovery import Transcript, find, of_agents, session_of, tool_of
from khive_persist.transcripts.sync import Sync, Synced
from tests import stored

SESSION = "1795993390433_1cay1"
FOLDER = Path(__file__).parent / "transcripts" / SESSION
MAIN = FOLDER / f"{SESSION}.messages.json"
# The model's server counted so many tokens of all prompts, of those from a cache, of answers.
COUNTED = 5_018, 498, 452
(AGENT,) = FOLDER.glob("agent_*.messages.json")


def run(project: Project, path: Path) -> Synced:
    return Sync(project, Settings(), None).run(path, "cline")


def messages(project: Project) -> list[dict[str, Any]]:
    return [*stored.contents(project, "conversations.db").values()]


def used(contents: list[dict[str, Any]]) -> tuple[int, int, int]:
    tokens = [m.get("tokens", {}) for m in contents]
    prompts = sum(t.get("input", 0) + t.get("cache_read", 0) for t in tokens)
    cached = sum(t.get("cache_read", 0) for t in tokens)
    return prompts, cached, sum(t.get("output", 0) for t in tokens)


def test_a_session_and_its_agent_are_read_whole(project: Project) -> None:
    for path in (MAIN, AGENT):
        synced = run(project, path)
        assert (synced.unknown, synced.damaged) == ({}, 0)
    said = messages(project)
    assert {m["session_id"] for m in said} == {SESSION}
    assert {m["cwd"] for m in said} == {"/home/dev/src/proj"}
    of_agent = [m for m in said if "agent_id" in m]
    assert {m["agent_id"] for m in of_agent} == {AGENT.name.removesuffix(".messages.json")}
    assert all(m["parent_is_session"] is True for m in of_agent)
    assert [m["role"] for m in of_agent] == ["user", "assistant", "tool", "assistant"]


def test_the_tokens_are_those_that_the_model_counted(project: Project) -> None:
    run(project, MAIN)
    beside = json.loads((FOLDER / f"{SESSION}.json").read_text("utf-8"))
    usage = beside["metadata"]["usage"]
    own = usage["inputTokens"], usage["cacheReadTokens"], usage["outputTokens"]
    assert used(messages(project)) == own
    run(project, AGENT)
    assert used(messages(project)) == COUNTED


def test_a_prompt_is_without_what_cline_puts_around_it(project: Project) -> None:
    run(project, MAIN)
    (prompt,) = [m for m in messages(project) if m["role"] == "user"]
    assert prompt["text"].startswith("run @@")
    assert "user_input" not in prompt["text"]
    assert prompt["kind"] == "message"


def test_how_calls_ended(project: Project) -> None:
    run(project, MAIN)
    said = messages(project)
    names = {c["tool_use_id"]: c["name"] for m in said for c in m.get("tool_calls", ())}
    results = [(names[r["tool_use_id"]], r) for m in said for r in m.get("tool_results", ())]
    assert len(results) == len(names)
    (failed,) = [r for name, r in results if r.get("exit_code")]
    assert (failed["exit_code"], failed["is_error"]) == (3, True)
    assert [r["is_error"] for name, r in results if name == "nosuch"] == [True]
    assert all(r["is_error"] is False for name, r in results if name in ("editor", "spawn_agent"))


def test_a_document_that_is_written_again_adds_what_is_new(
    project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / SESSION
    folder.mkdir()
    document = json.loads(MAIN.read_text("utf-8"))
    path = folder / MAIN.name
    for count in (1, 3, 3, len(document["messages"])):
        listed = document["messages"][:count]
        path.write_text(json.dumps(document | {"messages": listed, "updated_at": str(count)}))
        run(project, path)
        assert len(messages(project)) == count
    assert run(project, path).lines == 0


def test_what_cline_says_that_it_cost(project: Project, tmp_path: Path) -> None:
    document = json.loads(MAIN.read_text("utf-8"))
    costs = [0.25, 0.5]
    answers = [m for m in document["messages"] if "metrics" in m]
    for message, cost in zip(answers, costs, strict=False):
        message["metrics"]["cost"] = cost
    path = tmp_path / MAIN.name
    path.write_text(json.dumps(document))
    run(project, path)
    assert [m["reported"]["cost"] for m in messages(project) if "reported" in m] == [0.75]


def test_transcripts_are_found_by_their_project(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLINE_DIR", "CLINE_DATA_DIR", "CLINE_SESSION_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(FOLDER, home / ".cline" / "data" / "sessions" / SESSION)
    found = [f.path.name for f in find(Path("/home/dev/src/proj")) if f.tool == "cline"]
    assert found == sorted([MAIN.name, AGENT.name])
    assert not [f for f in find(Path("/home/dev/src/other")) if f.tool == "cline"]


def test_whose_a_document_is() -> None:
    for path in (MAIN, AGENT):
        assert tool_of(path) == "cline"
        assert session_of(Transcript("cline", path)) == SESSION
    assert [agent.path for agent in of_agents(Transcript("cline", MAIN))] == [AGENT]
    assert list(of_agents(Transcript("cline", AGENT))) == []


def test_a_long_document_is_known_by_its_beginning(tmp_path: Path) -> None:
    document = json.loads(MAIN.read_text("utf-8"))
    document["messages"][0]["content"][0]["text"] = "x" * 200_000
    path = tmp_path / MAIN.name
    path.write_text(json.dumps(document))
    assert tool_of(path) == "cline"
    assert session_of(Transcript("cline", path)) == SESSION


@pytest.mark.parametrize("odd", [None, 1, True, "x", [], [None, 1], {"x": 1}, 1e300])
def test_odd_messages_break_nothing(odd: object, tmp_path: Path) -> None:
    reader = Reader({})
    reader.read({"sessionId": odd, "origin": odd, "agent": odd})
    reader.read({"sessionId": "s", "origin": {"parentThreadId": odd, "subagent": odd}})
    for key in ("id", "role", "content", "ts", "modelInfo", "metrics"):
        reader.read({"id": "i", "role": "assistant", "content": []} | {key: odd})
    for key in ("inputTokens", "cost", "cacheReadTokens"):
        reader.read({"id": "i", "role": "assistant", "metrics": {key: odd}})
    for kind in ("text", "tool_use", "tool_result", "thinking"):
        block = {"type": kind, "text": odd, "content": odd, "name": odd, "id": odd, "input": odd}
        reader.read({"id": "i", "role": "user", "content": [block]})
    (tmp_path / f"{tmp_path.name}.json").write_text(json.dumps({"cwd": odd, "session_id": odd}))
    state_of(tmp_path / "x.messages.json")
