"""Lines of transcripts about to-do lists: the real ones, with other calls in them."""

import json
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent / "samples"
CLAUDE = SAMPLES / "claude-code" / "-home-dev-src-proj"
CLAUDE /= "949752ba-dbca-4cef-aed8-56a872909535.jsonl"
CODEX = SAMPLES / "codex"
CODEX /= "rollout-2026-11-21T01-11-16-01a1fba8-5999-72e2-af3b-725dbe705173.jsonl"
GEMINI = SAMPLES / "gemini-cli" / "basic" / "session-2026-11-21T01-11-41f49510.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def text(documents: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


def claude(
    use_id: str,
    name: str,
    given: dict[str, Any],
    at: str,
    *,
    result: Any = None,
    is_error: bool = False,
    agent_id: str | None = None,
) -> list[dict[str, Any]]:
    """A call and its result, as Claude Code writes them, at a time of one day."""
    call, answer = (
        json.loads(line)
        for line in CLAUDE.read_text("utf-8").splitlines()
        if '"parentUuid":"551dc343' in line or '"parentUuid":"a75d6f09' in line
        if '"type":"attachment"' not in line
    )
    block = {"type": "tool_use", "id": use_id, "name": name, "input": given}
    call["message"] |= {"id": f"msg_{use_id}", "content": [block]}
    call |= {"uuid": f"call {use_id}", "requestId": f"req_{use_id}"}
    said = "Updated task #1 status" if name == "TaskUpdate" else "done"
    block = {"type": "tool_result", "tool_use_id": use_id, "content": said}
    answer["message"]["content"] = [block | {"is_error": is_error}]
    answer |= {"uuid": f"result {use_id}", "toolUseResult": result or said}
    for line in (call, answer):
        line["timestamp"] = f"2026-11-21T{at}Z"
        if agent_id is not None:
            line["agentId"] = agent_id
    return [call, answer]


def codex(plan: list[dict[str, str]], output: str = "Plan updated") -> list[dict[str, Any]]:
    """A session of Codex whose first call is one of `update_plan`."""
    documents = lines(CODEX)
    call = next(d for d in documents if d["payload"].get("type") == "function_call")
    answer = next(d for d in documents if d["payload"].get("call_id") and d is not call)
    given = {"plan": plan, "explanation": "because"}
    call["payload"] |= {"name": "update_plan", "arguments": json.dumps(given)}
    answer["payload"]["output"] = output
    return documents
