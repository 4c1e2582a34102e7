"""Transcripts of agents that start agents, as each tool writes them, for any tree."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SESSION = "s-tree"
Tree = dict[str, str | None]
Write = Callable[[Path, Tree], list[Path]]


def claude_code(folder: Path, parents: Tree) -> list[Path]:
    """Each agent's transcript; the call's result names the agent, in the words of a subagent's."""
    made = []
    for agent in (None, *parents):
        lines: list[Any] = []
        common: dict[str, Any] = {"sessionId": SESSION, "timestamp": "2026-11-21T10:00:00.000Z"}
        if agent is not None:
            common |= {"agentId": agent, "isSidechain": True}
        started = [child for child, parent in parents.items() if parent == agent]
        for name, words in [("Bash", "done"), *(("Agent", told(child)) for child in started)]:
            use_id = f"toolu {agent} {words}"
            message = {
                "id": f"msg {agent} {words}", "model": "claude-opus-4-8",
                "usage": {"input_tokens": 100, "output_tokens": 10},
                "content": [{"type": "tool_use", "id": use_id, "name": name, "input": {}}],
            }  # fmt: skip
            lines.append({"type": "assistant", "uuid": use_id, "message": message} | common)
            result = {"type": "tool_result", "tool_use_id": use_id, "is_error": name == "Bash",
                      "content": [{"type": "text", "text": words}]}  # fmt: skip
            content = {"message": {"content": [result]}}
            lines.append({"type": "user", "uuid": f"r {use_id}"} | content | common)
        path = folder / (f"{SESSION}.jsonl" if agent is None else f"agent-{agent}.jsonl")
        made.append(written(path, lines))
    return made


def told(agent: str) -> str:
    return f"agentId: {agent} (use SendMessage with to: '{agent}' to continue this agent)"


def codex(folder: Path, parents: Tree) -> list[Path]:
    """Each thread's transcript, which names its parent."""
    made = []
    for agent in (SESSION, *parents):
        meta = {"id": agent, "session_id": SESSION, "cwd": "/p"}
        if agent in parents:
            meta["parent_thread_id"] = parents[agent] or SESSION
        call = {"type": "function_call", "id": f"fc {agent}", "name": "exec_command",
                "call_id": f"call {agent}", "arguments": "{}"}  # fmt: skip
        output = {"type": "function_call_output", "id": f"o {agent}", "call_id": f"call {agent}",
                  "output": "Wall time: 1.2 seconds\naborted by user"}  # fmt: skip
        usage = {"input_tokens": 100, "output_tokens": 10}
        lines = [
            line("session_meta", meta), line("turn_context", {"model": "mock"}),
            line("response_item", call),
            line("token_usage_record", {"response_id": f"resp {agent}", "usage": usage}),
            line("response_item", output),
        ]  # fmt: skip
        made.append(written(folder / f"rollout-{agent}.jsonl", lines))
    return made


def line(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": "2026-11-21T10:00:00.000Z", "type": kind, "payload": payload}


def gemini_cli(folder: Path, parents: Tree) -> list[Path]:
    """Each agent's transcript in the folder of the session; the call names the agent."""
    made = []
    for agent in (None, *parents):
        started = [child for child, parent in parents.items() if parent == agent]
        calls: list[Any] = [{"id": f"c {agent}", "name": "read_file", "args": {},
                             "status": "error", "result": []}]  # fmt: skip
        calls += [
            {"id": f"c {child}", "name": "invoke_agent", "args": {"agent_name": "explorer"},
             "status": "success", "result": [], "agentId": child}
            for child in started
        ]  # fmt: skip
        header = {"sessionId": agent or SESSION, "projectHash": "x",
                  "kind": "subagent" if agent else "main"}  # fmt: skip
        tokens = {"input": 100, "output": 10, "cached": 0, "thoughts": 0, "tool": 0, "total": 110}
        each = [
            {"id": f"m {call['id']}", "type": "gemini", "content": "", "toolCalls": [call],
             "model": "gemini-x", "tokens": tokens, "timestamp": "2026-11-21T10:00:00.000Z"}
            for call in calls
        ]  # fmt: skip
        chats = folder / "chats"
        path = chats / SESSION / f"{agent}.jsonl" if agent else chats / "session-x.jsonl"
        made.append(written(path, [header, *each]))
    return made


def written(path: Path, lines: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


WRITERS: dict[str, Write] = {"claude-code": claude_code, "codex": codex, "gemini-cli": gemini_cli}
