"""What Droid's transcripts say, and the settings beside them."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.tools import transcripts_of
from khive_persist.tools.droid.transcript import Reader
from khive_persist.tools.project import Project as Directory
from khive_persist.transcripts.discovery import Transcript, of_agents, session_of, tool_of
from khive_persist.transcripts.reconciliation import account
from khive_persist.transcripts.sync import Sync
from tests import stored

HOME = Path(__file__).parent / "home"
FILES = sorted(HOME.rglob("*.jsonl"))
LONG, AGENTS, COMPACTED, DENIED = (
    next(path for path in FILES if path.name.startswith(name))
    for name in ("369c", "0dfe", "74f5", "2288")
)
# The sums of what the model's server told that it had counted, in all four.
SERVED = {"input": 14_770, "cache_read": 6_000, "output": 1_170}


def lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, path.read_text("utf-8").splitlines())


def synced(project: Project, *paths: Path) -> list[dict[str, Any]]:
    for path in paths:
        assert Sync(project, Settings(), None).run(path, "droid").unknown == {}
    return [*stored.contents(project, "conversations.db").values()]


def tokens_of(messages: list[dict[str, Any]]) -> dict[str, int]:
    tokens: Counter[str] = Counter()
    for message in messages:
        tokens.update(message.get("tokens", {}))
    return {name: tokens[name] for name in SERVED}


@pytest.mark.parametrize("order", [FILES, FILES[::-1]], ids=["first", "last"])
def test_tokens_are_those_of_the_server_each_once(project: Project, order: list[Path]) -> None:
    """The session after the compaction begins with the sum of the one before."""
    messages = synced(project, *order)
    assert tokens_of(messages) == SERVED
    assert {m["model"] for m in messages if "model" in m} == {"mock-model"}


def test_what_is_used_later_takes_the_place_of_the_sum(project: Project, tmp_path: Path) -> None:
    path = tmp_path / DENIED.name
    text = DENIED.read_text("utf-8")
    settings = json.loads(DENIED.with_suffix(".settings.json").read_text("utf-8"))
    begun = {**settings, "tokenUsage": {**settings["tokenUsage"], "inputTokens": 700}}
    path.with_suffix(".settings.json").write_text(json.dumps(begun), "utf-8")
    path.write_text("".join(text.splitlines(keepends=True)[:4]), "utf-8")
    assert tokens_of(synced(project, path))["input"] == 700
    path.with_suffix(".settings.json").write_text(json.dumps(settings), "utf-8")
    path.write_text(text, "utf-8")
    assert tokens_of(synced(project, path))["input"] == settings["tokenUsage"]["inputTokens"]


def test_without_settings_beside_nothing_is_used(project: Project, tmp_path: Path) -> None:
    path = Path(shutil.copy(LONG, tmp_path))
    assert tokens_of(synced(project, path)) == dict.fromkeys(SERVED, 0)


@pytest.mark.parametrize("parent", ["../x", "..", "/etc/passwd", "", 3, None])
def test_a_session_that_goes_on_from_a_strange_name_reads_no_other_file(
    parent: Any, project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    used = json.dumps({"tokenUsage": {"inputTokens": 5}})
    (folder / "a.jsonl").write_text(json.dumps({"type": "session_start", "id": "a"} | (
        {} if parent is None else {"parent": parent})) + "\n")  # fmt: skip
    (folder / "a.settings.json").write_text(used)
    (tmp_path / "x.settings.json").write_text(used)
    assert tokens_of(synced(project, folder / "a.jsonl"))["input"] == 5


def test_prompts_are_what_users_typed(project: Project) -> None:
    messages = synced(project, *FILES)
    prompts = [m for m in messages if m["role"] == "user" and m["kind"] == "message"]
    assert Counter(m["session_id"] for m in prompts) == {LONG.stem: 3, DENIED.stem: 1}
    kinds = {m["kind"] for m in messages if m["role"] == "user"}
    assert kinds == {"message", "meta", "task", "compaction"}


def test_calls_have_their_results_once(project: Project) -> None:
    messages = synced(project, *FILES)
    calls = {c["tool_use_id"]: c["name"] for m in messages for c in m.get("tool_calls", ())}
    results = [r for m in messages for r in m.get("tool_results", ())]
    assert sorted(r["tool_use_id"] for r in results) == sorted(calls)
    codes = Counter(r["exit_code"] for r in results if "exit_code" in r)
    assert codes == {0: 4, 3: 1}


def test_a_subagents_session_names_the_one_that_started_it(project: Project) -> None:
    messages = synced(project, *FILES)
    parents = {
        m["session_id"]: m["parent_session_id"] for m in messages if "parent_session_id" in m
    }
    origins = {m["session_id"]: m["forked_from"] for m in messages if "forked_from" in m}
    assert parents == {AGENTS.stem: LONG.stem}
    assert origins == {COMPACTED.stem: LONG.stem}
    assert [agent.path for agent in of_agents(Transcript("droid", LONG))] == [AGENTS]


def test_a_task_in_the_background_ends_with_its_notice(project: Project, tmp_path: Path) -> None:
    (launch,) = [
        block["content"]
        for line in lines(LONG)
        for block in line.get("message", {}).get("content", ())
        if "Task launched" in str(block.get("content"))
    ]
    task = launch.split("task_id: ")[1].split("\n")[0]
    notice = f"Background task completed.\ntask_id: {task}\ntype: worker\nreason: completed\n"
    end = {
        "type": "message", "id": "task-completion:1", "timestamp": "2026-11-29T22:56:00.000Z",
        "message": {"role": "user", "content": [{"type": "text", "text": notice + "output: Yes"}],
                    "visibility": "llm_only"},
    }  # fmt: skip
    path = tmp_path / LONG.name
    path.write_text(LONG.read_text("utf-8") + json.dumps(end) + "\n", "utf-8")
    messages = synced(project, path)
    (message,) = [m for m in messages if m["kind"] == "task_notification"]
    (result,) = message["tool_results"]
    assert (result["is_error"], result["output"]) == (False, "Yes")
    assert result["tool_use_id"].startswith("call_38_")


def test_endings_tell_denied_from_interrupted(project: Project) -> None:
    synced(project, *FILES)
    endings = {path: anyio.run(account, project, path.stem).endings for path in FILES}
    assert endings[DENIED] == {"denied": 1}
    assert endings[AGENTS] == {"interrupted": 1}
    assert endings[LONG] == {"done": 8, "failed": 2, "refused": 1, "interrupted": 1}


def test_a_call_is_its_events_by_name_and_input(project: Project) -> None:
    call = next(c for line in lines(LONG) for c in calls_of(line))
    common = {"session_id": LONG.stem, "cwd": "/home/dev/src/proj", "transcript_path": str(LONG)}
    common |= {"tool_name": call["name"], "tool_input": call["input"]}
    for event in ("PreToolUse", "PostToolUse"):
        answer = {"tool_response": "hello\n\n\n[Process exited with code 0]"}
        payload = common | {"hook_event_name": event} | answer
        Spool(project).accept("droid", json.dumps(payload).encode())
    drain(project)
    synced(project, LONG)
    calls = anyio.run(account, project, LONG.stem).calls
    assert [(c.has_pre, c.has_post) for c in calls if c.tool_use_id == call["id"]] == [(True, True)]
    assert sum(c.has_post for c in calls) == 1


def calls_of(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for block in line.get("message", {}).get("content", ()):
        if block.get("type") == "tool_use":
            yield block


def test_to_do_lists_come_from_lines_of_text(project: Project) -> None:
    synced(project, LONG)
    (snapshot,) = stored.contents(project, "focus_chains.db").values()
    items = [(item["text"], item["status"]) for item in snapshot["items"]]
    assert items == [("first", "in_progress"), ("second", "pending")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:4])
def test_every_file_is_known_for_its_own(path: Path) -> None:
    assert tool_of(path) == "droid"
    assert session_of(Transcript("droid", path)) == path.stem


def test_transcripts_are_found_below_the_home_that_the_user_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = transcripts_of("droid").find
    monkeypatch.setenv("FACTORY_HOME_OVERRIDE", str(HOME))
    assert sorted(find(None)) == FILES
    assert not list(find(Directory(tmp_path)))


ODD: list[Any] = [None, 3, "x", [], [3], {}, {"content": [3, {"type": "text"}]}, True]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_lines_are_no_error(odd: Any) -> None:
    for path in FILES:
        for line in lines(path):
            for name in line:
                Reader({}).read(line | {name: odd})
                if isinstance(line[name], dict):
                    for inner in line[name]:
                        Reader({}).read(line | {name: line[name] | {inner: odd}})
