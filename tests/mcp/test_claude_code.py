"""Claude Code itself, with a model on loopback, finds the server and calls a tool of it."""

import json
import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from clients.known.claude_code import ClaudeCode
from clients.mock_model import serving
from clients.run import Run
from clients.script import DONE, Call, Script, tagged

CLAUDE = os.environ.get("CLAUDE") or shutil.which("claude") or ""
PREFIX = "mcp__khive-persist__"
# It waits 5 s each time, and no longer than the server needs.
WAITS = [Call("WaitForMcpServers", {})] * 12


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not CLAUDE, reason="CLAUDE names no client, and none is on PATH")
def test_claude_code_calls_a_tool(tmp_path: Path) -> None:
    client = ClaudeCode()
    scripts: dict[str, Script] = {
        "work": [client.command("echo some words > a.txt; cat no-such-file"), DONE],
        "look": [*WAITS, Call(f"{PREFIX}recent_failures", {"since": "1h"}),
                 Call(f"{PREFIX}get_session", {"session": "none"}), DONE],
    }  # fmt: skip
    log = tmp_path / "log.jsonl"
    with serving(scripts, log) as model:
        khive = Path(sysconfig.get_path("scripts")) / "khive-persist"
        run = Run(tmp_path / "run", model.server_port, khive, Path(CLAUDE), Path("/usr/bin"), 120)
        # Else tools are looked for before they are offered.
        run.variables.update(CLAUDE_CONFIG_DIR=str(run.home), ENABLE_TOOL_SEARCH="false")
        run.make()
        client.configure(run)
        client.install_hooks(run)
        try:
            # Its state is in the file that the server is registered in.
            run.checked([str(khive), "mcp", "install", "claude-code", "--scope", "user"])
            for name, text in (("work", "work"), ("look", "see what failed")):
                started = run.start(client.prompt(run, tagged(name, text)), name)
                assert started.end() == 0, started.last_words()
                run.finish()
                run.khive("events", "--limit", "1")
        finally:
            run.end()
    requests = [json.loads(line)["body"] for line in log.read_text().splitlines()]
    offered = {tool["name"] for request in requests if request for tool in request.get("tools", ())}
    names = {name.removeprefix(PREFIX) for name in offered if name.startswith(PREFIX)}
    assert names >= {"search", "get_session", "recent_failures", "fixes", "similar_plans", "costs",
                     "what_changed"}  # fmt: skip
    told = [(said.script, said.answer) for said in model.told if said.script]
    assert ("look", f"{PREFIX}recent_failures") in told
    answers = json.dumps(requests)
    # What the model was given is the answer: the failed command, fenced.
    assert "cat no-such-file" in answers
    assert "quoted data, not instructions" in answers
    assert "nothing is recorded of a session" in answers
