"""The agents of a session as a tree, against counts made straight from the transcripts."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import clock
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.errors import NotFoundError
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.lineage.agents import Agent, Agents
from khive_persist.sessions.lineage.lineage import Lineage, read_lineage
from khive_persist.settings import Settings
from khive_persist.transcripts.call_recount import recount
from khive_persist.transcripts.sync import Sync
from tests.factories import make_project
from tests.lineage.agent_lines import SESSION, WRITERS, Tree, written
from tests.transcripts.test_counts import SAMPLES
from tests.transcripts.test_scenarios import ALL, SCENARIOS, lines

PRICES = PriceTable(["claude-opus-4-8 input=1 output=10 cache_read=0 cache_write=0"])
SETS = {name: SCENARIOS / name for name in ALL} | {
    f"{tool}/sample": SAMPLES / tool for tool in ("claude-code", "codex")
}
DEEP: Tree = {"a5": "a4", "a3": "a2", "b1": None, "a1": None, "a4": "a3", "a2": "a1"}


def read(project: Project, session: str = SESSION, prices: PriceTable = PRICES) -> Lineage:
    return anyio.run(read_lineage, project, session, prices)


def synced(project: Project, tool: str, paths: list[Path]) -> None:
    for path in paths:
        Sync(project, Settings(), None).run(path, tool)


def numbers(agent: Agent) -> tuple[int, ...]:
    own = agent.own
    return own.messages, own.tokens, own.tool_calls


def counted(tool: str, paths: list[Path]) -> dict[tuple[str, str | None], tuple[int, ...]]:
    """Messages, tokens and ended calls of each agent of each session, from the raw lines."""
    messages: dict[Any, set[Any]] = {}
    tokens: Counter[Any] = Counter()
    calls: dict[Any, set[str]] = {}
    seen: set[Any] = set()
    for agent, key, used, called in {"claude-code": claude, "codex": codex, "gemini-cli": gemini}[
        tool
    ](paths):
        if key is not None and key not in seen:
            messages.setdefault(agent, set()).add(key)
            seen.add(key)
        if used is not None and ("tokens", *used[0]) not in seen:
            seen.add(("tokens", *used[0]))
            tokens[agent] += used[1]
        for call in called:
            if ("call", call) not in seen:
                seen.add(("call", call))
                calls.setdefault(agent, set()).add(call)
    return {
        agent: (len(keys), tokens[agent], len(calls.get(agent, ())))
        for agent, keys in messages.items()
    }


Said = Iterator[tuple[Any, Any, Any, list[str]]]


def launched(paths: list[Path]) -> set[str]:
    """The calls that went on in the background: what told of their ends was cut here."""
    signs = ("backgroundTaskId", "isAsync")
    return {
        block["tool_use_id"]
        for path in paths
        for line in lines(path)
        if isinstance(result := line.get("toolUseResult"), dict)
        and any(result.get(sign) for sign in signs)
        for block in line["message"]["content"]
        if block["type"] == "tool_result"
    }


def claude(paths: list[Path]) -> Said:
    def began(path: Path) -> str:
        return next(str(line["timestamp"]) for line in lines(path) if "timestamp" in line)

    running = launched(paths)
    for path in sorted(paths, key=began):
        for line in lines(path):
            if line["type"] not in ("assistant", "user", "system", "attachment"):
                continue
            agent = (line["sessionId"], line.get("agentId"))
            key: Any = (line.get("forkedFrom", {}).get("messageUuid") or line["uuid"],)
            message = line.get("message", {})
            used, called = None, []
            if line["type"] == "assistant":
                key = (message["id"], line.get("requestId"))
                usage = message["usage"]
                names = ("input_tokens", "output_tokens", "cache_read_input_tokens",
                         "cache_creation_input_tokens")  # fmt: skip
                used = (key, sum(usage.get(name) or 0 for name in names))
                called = [
                    b["id"]
                    for b in message["content"]
                    if b["type"] == "tool_use" and b["id"] not in running
                ]
            yield agent, key, used, called


def codex(paths: list[Path]) -> Said:
    """A thread that has its parent's lines begins later, and so its parent has been read."""
    for path in paths:
        meta = next(lines(path))["payload"]
        session, thread = meta["session_id"], meta["id"]
        agent = (session, thread if thread != session else None)
        for line in lines(path):
            payload = line["payload"]
            if line["type"] == "response_item":
                is_call = payload["type"] in ("function_call", "custom_tool_call")
                yield agent, (payload["id"],), None, [payload["call_id"]] if is_call else []
            elif line["type"] == "compacted":
                yield agent, (path, line["ordinal"]), None, []
            elif line["type"] == "token_usage_record":
                usage = payload["usage"]
                # The model that the client talked to said once that more were cached than sent.
                sent = max(usage["input_tokens"], usage["cached_input_tokens"])
                yield agent, None, ((payload["response_id"],), sent + usage["output_tokens"]), []


def gemini(paths: list[Path]) -> Said:
    last: dict[Any, Any] = {}
    for path in paths:
        chat = next(line["sessionId"] for line in lines(path))
        is_main = path.name.startswith("session-")
        agent = (chat, None) if is_main else (path.parent.name, chat)
        for line in lines(path):
            for message in [line, *line.get("$set", {}).get("messages", [])]:
                if "id" in message and not message["id"].endswith("_response"):
                    key = (*agent, message["id"])
                    last[key] = {**last.get(key, {}), **message}
    for (session, id, key), message in last.items():
        total = message.get("tokens", {}).get("total", 0)
        called = [call["id"] for call in message.get("toolCalls", ())]
        yield (session, id), (session, id, key), ((session, id, key), total), called


@pytest.mark.parametrize("name", SETS)
def test_each_agents_counts_are_those_of_its_transcript(project: Project, name: str) -> None:
    tool = name.split("/")[0]
    paths = sorted(SETS[name].rglob("*.jsonl"))
    synced(project, tool, paths)
    told = counted(tool, paths)
    found = {
        (session, agent.agent_id): numbers(agent)
        for session in {session for session, _ in told}
        for agent in read(project, session).agents
    }
    assert {key: value for key, value in found.items() if value[0]} == told


def test_claude_code_agents_are_as_deep_as_the_client_says(project: Project) -> None:
    paths = sorted((SCENARIOS / "claude-code/deep").rglob("*.jsonl"))
    synced(project, "claude-code", paths[::-1])
    said = {
        path.stem.removeprefix("agent-"): json.loads(beside.read_text())["spawnDepth"]
        for path in paths
        if (beside := path.with_suffix(".meta.json")).exists()
    }
    (session,) = [path.stem for path in paths if not path.stem.startswith("agent-")]
    agents = read(project, session).agents
    assert {agent.agent_id: agent.depth for agent in agents if agent.agent_id} == said
    assert sorted(said.values()) == [1, 1, 2, 3, 4, 5]
    assert all(agent.parent_is_recorded for agent in agents)
    assert {agent.agent_type for agent in agents} == {None, "general-purpose"}


def test_codex_agents_are_as_deep_as_the_client_says(project: Project) -> None:
    paths = sorted((SCENARIOS / "codex/deep").rglob("*.jsonl"))
    synced(project, "codex", paths[::-1])
    metas = [next(lines(path))["payload"] for path in paths]
    said = {
        meta["id"]: meta["source"]["subagent"]["thread_spawn"]["depth"]
        for meta in metas
        if isinstance(meta["source"], dict)
    }
    agents = read(project, metas[0]["session_id"]).agents
    assert {agent.agent_id: agent.depth for agent in agents if agent.agent_id} == said
    assert sorted(said.values()) == [1, 2, 3, 4]


def test_who_reviews_for_codex_is_an_agent_of_the_session(project: Project) -> None:
    paths = sorted((SCENARIOS / "codex/guardian").rglob("*.jsonl"))
    synced(project, "codex", paths)
    own, guardian = read(project, next(lines(paths[0]))["payload"]["session_id"]).agents
    assert (guardian.agent_type, guardian.depth, guardian.parent_is_recorded) == (
        "guardian", 1, True,
    )  # fmt: skip
    assert own.total.messages == own.own.messages + guardian.own.messages


def test_what_a_codex_agent_inherits_is_its_parents(project: Project) -> None:
    paths = sorted((SCENARIOS / "codex/inherited").rglob("*.jsonl"))
    synced(project, "codex", paths[::-1])
    own, child = read(project, next(lines(paths[0]))["payload"]["session_id"]).agents
    assert (own.own.tool_calls, child.own.tool_calls) == (3, 0)
    # Two lines from before its history begins say to the child what it is.
    assert (own.own.messages, child.own.messages) == (13, 5)


def test_gemini_cli_says_what_kind_an_agent_is_where_it_starts_it(project: Project) -> None:
    paths = sorted((SCENARIOS / "gemini-cli/subagent").rglob("*.jsonl"))
    synced(project, "gemini-cli", paths)
    own, child = read(project, next(lines(paths[-1]))["sessionId"]).agents
    assert (child.agent_type, child.depth, child.parent_is_recorded) == (
        "codebase_investigator", 1, True,
    )  # fmt: skip
    assert (own.own.failures, child.own.failures) == (1, 0)


def test_a_teammate_is_under_who_called_it(project: Project) -> None:
    paths = sorted((SCENARIOS / "claude-code/terminal").rglob("*.jsonl"))
    synced(project, "claude-code", paths)
    (session,) = {path.parent.parent.name for path in paths if path.stem.startswith("agent-")}
    _, mate = read(project, session).agents
    assert (mate.agent_type, mate.depth, mate.parent_is_recorded) == ("mate1", 1, True)


@pytest.mark.parametrize("tool", WRITERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_tree_of_five_levels_whatever_file_is_read_first(
    project: Project, tmp_path: Path, tool: str, seed: int
) -> None:
    paths = WRITERS[tool](tmp_path / "t", DEEP)
    random.Random(seed).shuffle(paths)
    synced(project, tool, paths)
    agents = {agent.agent_id: agent for agent in read(project).agents}
    assert {id: agent.depth for id, agent in agents.items()} == {
        None: 0, "a1": 1, "a2": 2, "a3": 3, "a4": 4, "a5": 5, "b1": 1,
    }  # fmt: skip
    assert {id: agent.parent_agent_id for id, agent in agents.items() if id} == DEEP
    calls = sum(agent.own.tool_calls for agent in agents.values())
    assert agents[None].total.tool_calls == calls
    assert agents[None].total.tokens == sum(agent.own.tokens for agent in agents.values())
    assert agents[None].total.failures == 7
    below_a3 = ["a3", "a4", "a5"]
    assert agents["a3"].total.messages == sum(agents[id].own.messages for id in below_a3)
    assert agents["a5"].total == agents["a5"].own
    below_a1 = [agent for id, agent in agents.items() if id not in (None, "b1")]
    assert agents["a1"].total.messages == sum(agent.own.messages for agent in below_a1)
    order = [agent.agent_id for agent in read(project).agents]
    assert order == [None, "a1", "a2", "a3", "a4", "a5", "b1"]


def test_costs_add_up_and_what_has_no_price_is_said(project: Project, tmp_path: Path) -> None:
    synced(project, "claude-code", WRITERS["claude-code"](tmp_path / "t", {"a": None}))
    own, child = read(project).agents
    # Two answers, of 100 tokens and 10.
    assert own.own.cost == pytest.approx(2 * (100 * 1 + 10 * 10) / 10**6)
    assert own.total.cost == pytest.approx(3 * (100 * 1 + 10 * 10) / 10**6)
    assert (own.total.unpriced, child.total.unpriced) == (0, 0)
    other = PriceTable(["claude-opus-4-8 from=2030-01-01 input=1"])
    own, child = read(project, prices=other).agents
    assert own.own.cost != pytest.approx(2 * (100 * 1 + 10 * 10) / 10**6)
    unknown = Agents(PriceTable())
    content = {"tool": "codex", "model": "x", "tokens": {"input": 1}, "role": "assistant"}
    unknown.see_message(content, clock.now())
    (one,) = unknown.tree()
    assert (one.own.cost, one.own.unpriced) == (None, 1)


def test_a_parent_that_is_not_recorded_is_not_guessed(project: Project, tmp_path: Path) -> None:
    """Without the transcript that started it, and with one that names who has none."""
    paths = WRITERS["claude-code"](tmp_path / "c", {"a": None})
    synced(project, "claude-code", [path for path in paths if path.stem == "agent-a"])
    own, child = read(project).agents
    assert (child.parent_is_recorded, child.parent_agent_id, child.depth) == (False, None, 1)
    assert own.total.tool_calls == child.own.tool_calls == 1
    other = make_project(tmp_path / "other")
    paths = WRITERS["codex"](tmp_path / "x", {"a": "gone", "b": "a"})
    synced(other, "codex", paths)
    _, a, b = read(other).agents
    assert (a.agent_id, a.parent_is_recorded, a.parent_agent_id) == ("a", False, "gone")
    assert (b.agent_id, b.parent_is_recorded, b.parent_agent_id, b.depth) == ("b", True, "a", 2)


def test_a_call_that_never_ended_is_named_beside_the_transcript(
    project: Project, tmp_path: Path
) -> None:
    """Without a result, what Claude Code writes beside it says which call it was."""
    paths = WRITERS["claude-code"](tmp_path / "t", {"a": None})
    (main,) = [path for path in paths if path.stem == SESSION]
    said = [json.loads(line) for line in main.read_text().splitlines()]
    written(main, [one for one in said if one["type"] == "assistant"])
    call = said[2]["message"]["content"][0]["id"]
    beside = {"agentType": "Explore", "toolUseId": call, "spawnDepth": 1}
    (tmp_path / "t" / "agent-a.meta.json").write_text(json.dumps(beside))
    synced(project, "claude-code", paths)
    _, child = read(project).agents
    assert (child.agent_type, child.parent_is_recorded) == ("Explore", True)


@pytest.mark.parametrize("parents", [{"a": "b", "b": "a"}, {"a": "a"},
                                     {"a": "c", "b": "a", "c": "b", "d": "c"}])  # fmt: skip
def test_agents_below_themselves_are_listed_once(
    project: Project, tmp_path: Path, parents: Tree
) -> None:
    synced(project, "codex", WRITERS["codex"](tmp_path / "t", parents))
    agents = read(project).agents
    assert sorted(agent.agent_id for agent in agents if agent.agent_id) == sorted(parents)
    assert agents[0].total.tool_calls == 1 + len(parents)
    assert [agent for agent in agents if not agent.parent_is_recorded] != []


def test_a_chain_of_thousands_is_no_recursion() -> None:
    agents = Agents(PRICES)
    at = clock.now()
    for number in range(5_000):
        content = {"tool": "codex", "agent_id": f"a{number}", "role": "tool"}
        parent = {"parent_agent_id": f"a{number - 1}"} if number else {"parent_is_session": True}
        agents.see_message(content | parent, at)
    found = agents.tree()
    assert found[-1].depth == 5_000
    assert found[0].total.messages == 5_000
    assert found[2_500].total.messages == 2_501


def test_hook_events_alone_tell_of_agents_too(project: Project) -> None:
    events: list[dict[str, Any]] = [
        {"hook_event_name": "SessionStart", "source": "startup"},
        {"hook_event_name": "PreToolUse", "tool_name": "Agent", "tool_use_id": "t0"},
        {"hook_event_name": "SubagentStart", "agent_id": "a", "agent_type": "Explore"},
        {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t1",
         "agent_id": "a", "agent_type": "Explore"},
        {"hook_event_name": "PostToolUseFailure", "tool_name": "Bash", "tool_use_id": "t1",
         "agent_id": "a", "agent_type": "Explore", "error": "Exit code 1"},
        {"hook_event_name": "SubagentStop", "agent_id": "a", "agent_type": "Explore"},
        {"hook_event_name": "PostToolUse", "tool_name": "Agent", "tool_use_id": "t0",
         "tool_response": {"status": "completed", "agentId": "a"}},
        {"hook_event_name": "SubagentStop", "agent_id": "compacts", "agent_type": ""},
        {"hook_event_name": "SessionStart", "source": "resume"},
    ]  # fmt: skip
    for event in events:
        Spool(project).accept("claude-code", json.dumps({"session_id": SESSION} | event).encode())
    drain(project)
    found = read(project)
    own, child = found.agents
    assert (child.agent_id, child.agent_type, child.parent_is_recorded) == ("a", "Explore", True)
    assert (own.own.tool_calls, own.own.failures) == (1, 0)
    assert (child.own.tool_calls, child.own.failures) == (1, 1)
    assert (own.own.messages, own.own.tokens, own.own.cost) == (0, 0, None)
    assert [start.source for start in found.starts] == ["startup", "resume"]
    assert own.own.duration_seconds is not None


def test_events_and_messages_of_one_call_count_once(project: Project, tmp_path: Path) -> None:
    """And for the agent that the messages name; what began and has not ended does not count."""
    synced(project, "claude-code", WRITERS["claude-code"](tmp_path / "t", {"a": None}))
    before = [agent.own.tool_calls for agent in read(project).agents]
    for name in ("PreToolUse", "PostToolUse"):
        event = {"session_id": SESSION, "hook_event_name": name, "tool_name": "Bash",
                 "tool_use_id": "toolu None done", "agent_id": "a"}  # fmt: skip
        Spool(project).accept("claude-code", json.dumps(event).encode())
    for name, id in (("PreToolUse", "running"), ("PostToolUse", "only-an-event")):
        event = {"session_id": SESSION, "hook_event_name": name, "tool_name": "Bash",
                 "tool_use_id": id, "agent_id": "a"}  # fmt: skip
        Spool(project).accept("claude-code", json.dumps(event).encode())
    drain(project)
    # The events came after the messages were read.
    recount(project, Settings(), None, SESSION)
    assert [agent.own.tool_calls for agent in read(project).agents] == [before[0], before[1] + 1]


def test_damaged_fields_do_not_stop_it(project: Project, tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", [
        {"type": "user", "uuid": "1", "sessionId": SESSION, "agentId": 7, "message": {}},
        {"type": "user", "uuid": "2", "sessionId": SESSION, "agentId": "x", "toolUseResult": [1],
         "message": {"content": [{"type": "tool_result", "content": ["agentId: y"]}]}},
    ])  # fmt: skip
    synced(project, "claude-code", [path])
    assert [agent.agent_id for agent in read(project).agents] == [None, "x"]


def test_a_session_is_found_by_how_its_id_begins(project: Project, tmp_path: Path) -> None:
    synced(project, "claude-code", WRITERS["claude-code"](tmp_path / "t", {}))
    assert read(project, "s-tr").session_id == SESSION
    with pytest.raises(NotFoundError):
        read(project, "nobody")
    path = written(tmp_path / "o.jsonl", [
        {"type": "user", "uuid": "9", "sessionId": "s-trunk", "message": {"content": "x"}}
    ])  # fmt: skip
    synced(project, "claude-code", [path])
    with pytest.raises(NotFoundError, match="several"):
        read(project, "s-tr")
    assert read(project, SESSION).session_id == SESSION
